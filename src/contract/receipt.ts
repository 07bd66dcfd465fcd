import { z } from 'zod';
import { cameraId, publicKeyText, sha256Hex, ulidText, utc } from './primitives.js';

/** DSSE payload type of a receipt. */
export const RECEIPT_TYPE = 'application/vnd.bluelight.receipt.v1+json';

/** One file that the center has. */
export const delivered = z.strictObject({
  clip: ulidText,
  camera: cameraId,
  from: utc,
  to: utc,
  sha256: sha256Hex.nullable(),
  bytes: z.number().int().nullable(),
  to_center: z.string(),
  requester: z.string(),
  reason: z.string(),
  at: utc,
});

/** What the box gives the owner in its own name, signed with its key: `openssl` alone verifies it. */
export const receipt = z.strictObject({
  type: z.literal('bluelight/receipt/v1'),
  kind: z.enum(['consent', 'pause', 'resume', 'exit', 'addendum']),
  id: ulidText,
  /** The receipt that this one adds to. */
  adds: ulidText.optional(),
  site: z.string(),
  box: z.string(),
  key: publicKeyText,
  at: utc,
  by: z.string(),
  policy: z.strictObject({ version: z.number().int(), sha256: sha256Hex }).nullable(),
  /** What it says, in plain words. */
  words: z.array(z.string()),
  /** Everything ever delivered; only in an exit receipt. */
  delivered: z.array(delivered),
  /** Live sessions that were ever open; only in an exit receipt. */
  looks: z.array(z.strictObject({ audit: ulidText, camera: z.string(), kind: z.string(), at: utc, party: z.string() })),
  /** Head of the audit log at that moment: nothing before it can be changed any more without this receipt telling. */
  audit: z.strictObject({ seq: z.number().int(), link: sha256Hex }),
});
export type Receipt = z.infer<typeof receipt>;
