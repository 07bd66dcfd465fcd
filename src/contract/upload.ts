import { z } from 'zod';
import { sha256Hex, slug, ulidText, utc } from './primitives.js';

/**
 * How a clip reaches the center, below the upload address of the claim (`U`):
 *
 * 1. `PUT U/clips/{clip}/manifest` with the signed manifest; the answer is a `clipConfirmation`. The center refuses a
 *    manifest that the box's enrolled key did not sign (403) and any file that has no manifest.
 * 2. tus 1.0 creation at `U/files` with the metadata of `UPLOAD_METADATA`, then PATCH. After the last byte the center
 *    hashes the file; a file that differs from its manifest is deleted and answered with 460.
 * 3. `GET U/clips/{clip}` gives the `clipConfirmation` again, at any time.
 */
export const UPLOAD_METADATA = { clip: 'clip', sha256: 'sha256', filename: 'filename' } as const;

export const clipDeliveryState = z.enum(['expected', 'receiving', 'delivered']);

/** What the center states of a file that it holds, signed with its key as a JWS of type `RECEIPT_TYPE`. */
export const deliveryReceipt = z.object({
  schema: z.literal(1),
  box: slug,
  clip: ulidText,
  bytes: z.number().int().nonnegative(),
  /** Of the bytes on the center's disk, hashed by the center. */
  sha256: sha256Hex,
  at: utc,
});
export type DeliveryReceipt = z.infer<typeof deliveryReceipt>;
export const RECEIPT_TYPE = 'bluelight-receipt+jws';

export const clipConfirmation = z.object({
  schema: z.literal(1),
  clip: ulidText,
  state: clipDeliveryState,
  /** An upload already begun for this clip, to be taken up again; null: create one. */
  upload: z.string().nullable(),
  offset: z.number().int().nonnegative(),
  /** JWS of a `deliveryReceipt`; null until delivered. Only this makes a clip delivered. */
  receipt: z.string().nullable(),
});
export type ClipConfirmation = z.infer<typeof clipConfirmation>;

/** JWS type of the center's acknowledgements on the `ack` topic. */
export const ACK_TYPE = 'bluelight-ack+jws';
/** DSSE payload type of a clip's manifest. */
export const MANIFEST_TYPE = 'application/vnd.bluelight.manifest+json';
