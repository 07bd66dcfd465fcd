import { z } from 'zod';
import { anchor, envelope, segmentRecord } from './evidence.js';
import { cameraId, publicKeyText, rendition, sha256Hex, streamRole, ulidText, utc } from './primitives.js';

/** A signed description of one exported file; see docs/evidence.md. Integers only, so that canonical form is unambiguous. */
export const manifest = z.object({
  type: z.literal('bluelight/manifest/v1'),
  clip: ulidText,
  site: z.string(),
  box: z.string(),
  key: publicKeyText,
  camera: cameraId,
  cameraName: z.string(),
  stream: streamRole,
  rendition,
  /** What was asked, and the whole segments that it was rounded out to. */
  asked: z.object({ from: utc, to: utc }),
  covers: z.object({ from: utc, to: utc }),
  gaps: z.array(z.object({ from: utc, to: utc, reason: z.string() })),
  file: z.object({ name: z.string(), bytes: z.number().int(), sha256: sha256Hex }),
  /**
   * The file is not what was recorded but was made out of it: a picture, as JPEG. What follows then says of which footage,
   * and an `offset` means nothing. `masked`: areas that the terms hide are painted over.
   */
  derived: z.object({ masked: z.boolean(), at: utc }).optional(),
  /** In file order: the init, then each segment's fragments verbatim. */
  init: z.object({ bytes: z.number().int(), sha256: sha256Hex }),
  segments: z.array(
    z.object({
      seq: z.number().int(),
      from: utc,
      to: utc,
      /** Of the fragments as they stand in this file, from this offset. */
      offset: z.number().int(),
      bytes: z.number().int(),
      sha256: sha256Hex,
      /** Chain value of the segment record, see proof/chain. */
      link: sha256Hex,
      clock: z.string(),
      recovered: z.boolean(),
      /** The chained record itself: its hash is `link`, its `prev` the link before. */
      record: segmentRecord,
    }),
  ),
  /** Identity of the recording disk, whose checkpoints count here. */
  disk: z.string(),
  /**
   * Absent while no checkpoint has been made since the last segment: it is a document of its own then, `.anchor.json`,
   * and comes with the next checkpoint. The manifest is not signed again.
   */
  anchor: anchor.optional(),
  clockOffsetMs: z.number().int().nullable(),
  requester: z.string(),
  reason: z.string(),
  policyVersion: z.number().int(),
  grant: z.string(),
  madeAt: utc,
});
export type Manifest = z.infer<typeof manifest>;

export const signedManifest = envelope;
export type SignedManifest = z.infer<typeof signedManifest>;

export const priority = z.enum(['emergency', 'urgent', 'routine', 'auto']);
export type Priority = z.infer<typeof priority>;

export const clipState = z.enum(['queued', 'uploading', 'delivered', 'failed', 'withheld', 'local']);
export const clip = z.object({
  id: ulidText,
  camera: cameraId,
  from: utc,
  to: utc,
  rendition,
  priority,
  state: clipState,
  /** Why, in words, when it is failed or withheld or waits. */
  detail: z.string(),
  motionEvent: ulidText.nullable(),
  bytes: z.number().int().nullable(),
  sentBytes: z.number().int(),
  sha256: sha256Hex.nullable(),
  createdAt: utc,
  deliveredAt: utc.nullable(),
});
export type Clip = z.infer<typeof clip>;
