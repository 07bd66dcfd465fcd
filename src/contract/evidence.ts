import { z } from 'zod';
import { publicKeyText, sha256Hex, slug, ulidText, utc } from './primitives.js';

/**
 * Documents of the evidence chain. Integers only and closed objects, so that each has one canonical form.
 * `SHA-256("bluelight/seg/v1\n" + canonical form)` of a record is its link, and the next record's `prev`.
 */
export const clockTrust = z.enum(['none', 'rtc', 'ntp']);

/** Records between two checkpoints of a stream: 30 at 10 s and 5 minutes. More means that checkpoints are missing. */
export const MAX_FOLLOWING = 90;

const count = z.number().int().nonnegative();
export const streamName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}\.(main|sub)$/, '{camera}.main or {camera}.sub');

/** Written once, when a segment is closed. */
export const segmentRecord = z.strictObject({
  v: z.literal(1),
  stream: streamName,
  seq: count.min(1),
  run: ulidText,
  /** Boot of the box; `monoMs` counts in it. */
  boot: z.string(),
  startMs: z.number().int(),
  monoMs: count,
  /** 1/90000 s since the start of the run. */
  decodeTicks: count,
  durationTicks: count,
  clock: clockTrust,
  initSha256: sha256Hex,
  /** Of the fragments, without the init. */
  bytes: count,
  sha256: sha256Hex,
  /** Cut off by a crash or a power cut and taken up to its last whole fragment. */
  recovered: z.boolean(),
  /** Link of the record before it in this stream; 64 zeros for the first. */
  prev: sha256Hex,
});
export type SegmentRecord = z.infer<typeof segmentRecord>;

/** Footage was deleted: the chain goes on from `linkAtTo`. */
export const pruneRecord = z.strictObject({
  v: z.literal(1),
  stream: streamName,
  fromSeq: count.min(1),
  toSeq: count.min(1),
  fromMs: z.number().int(),
  toMs: z.number().int(),
  linkAtTo: sha256Hex,
  /** `ring`: space; `retention`: tiers; `maximum`: legal maximum; `order`: erased by the owner; `lost`: found missing. */
  why: z.enum(['ring', 'retention', 'maximum', 'order', 'lost']),
  atMs: z.number().int(),
});
export type PruneRecord = z.infer<typeof pruneRecord>;

/** DSSE: what is signed are these very bytes, so that a verifier never serialises anything again. */
export const envelope = z.object({
  payloadType: z.string(),
  /** base64 of the signed bytes */
  payload: z.string(),
  signatures: z.array(z.object({ keyid: publicKeyText, sig: z.string() })).min(1),
});
export type Envelope = z.infer<typeof envelope>;

/** The heads of all chains at one moment, signed and sent to the center. */
export const checkpoint = z.strictObject({
  v: z.literal(1),
  site: slug,
  box: slug,
  /** Identity of the recording disk: another disk has chains of its own, and counts its checkpoints from 1. */
  disk: z.string().min(1),
  n: count.min(1),
  /** SHA-256 of the payload of the checkpoint before it; 64 zeros for the first. */
  prev: sha256Hex,
  at: utc,
  clock: clockTrust,
  heads: z.record(streamName, z.strictObject({ seq: count, link: sha256Hex })),
  audit: sha256Hex.nullable(),
});
export type Checkpoint = z.infer<typeof checkpoint>;

/**
 * What ties a segment to a published head of its chain: the records that followed it and the checkpoint that names the
 * last of them. Needs no signature of its own.
 */
export const anchor = z.strictObject({ records: z.array(segmentRecord).max(MAX_FOLLOWING), checkpoint: envelope });
export type Anchor = z.infer<typeof anchor>;

export const PRUNE_TYPE = 'application/vnd.bluelight.prune+json';
export const CHECKPOINT_TYPE = 'application/vnd.bluelight.checkpoint+json';
