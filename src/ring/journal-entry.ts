import { z } from 'zod';
import { clockTrust, pruneRecord, segmentRecord, streamName } from '../contract/evidence.js';
import { sha256Hex, ulidText } from '../contract/primitives.js';

const ms = z.number().int();
const count = z.number().int().nonnegative();
const signature = z.strictObject({ keyid: z.string(), sig: z.string() });

const gapFields = {
  stream: streamName,
  fromMs: ms,
  reason: z.string(),
  boot: z.string(),
  monoMs: ms,
  clock: clockTrust,
};

/** First line of each file. What follows carries over what must be known to go on recording from this file alone. */
const startEntry = z.strictObject({ k: z.literal('start'), number: count });
const headEntry = z.strictObject({
  k: z.literal('head'),
  stream: streamName,
  nextSeq: count.min(1),
  link: sha256Hex,
});

/** The file exists with its init; its row follows. */
const openEntry = z.strictObject({
  k: z.literal('open'),
  stream: streamName,
  seq: count.min(1),
  ordinal: count,
  run: ulidText,
  boot: z.string(),
  startMs: ms,
  monoMs: count,
  decodeTicks: count,
  clock: clockTrust,
  initSha256: sha256Hex,
});

/** Hashed and chained. Also carried over, word for word, when its file of the journal is removed. */
const closedEntry = z.strictObject({
  k: z.literal('closed'),
  ordinal: count,
  record: segmentRecord,
});

/** The record of footage that is deleted, carried over because older footage needs it to reach its checkpoint. */
const spentEntry = z.strictObject({ k: z.literal('spent'), record: segmentRecord });
/** An opened segment that never got a whole fragment: its number is used again. */
const droppedEntry = z.strictObject({ k: z.literal('dropped'), stream: streamName, seq: count.min(1) });
/** Nothing is recorded from here on. */
const gapOpenEntry = z.strictObject({ k: z.literal('gap-open'), ...gapFields });
/** Recorded again from here on; `toBoot` and `toClock` as at its beginning where they are not said. */
const gapEntry = z.strictObject({
  k: z.literal('gap'),
  ...gapFields,
  toMs: ms,
  toMonoMs: ms,
  toBoot: z.string().optional(),
  toClock: clockTrust.optional(),
});
/** The media of these records is deleted now. `sig`: over the DSSE pre-authentication encoding of the record. */
const pruneEntry = z.strictObject({ k: z.literal('prune'), record: pruneRecord, signatures: z.array(signature) });
/** What prune records in a file of the journal that is removed have said in sum. */
const deletedEntry = z.strictObject({
  k: z.literal('deleted'),
  stream: streamName,
  fromSeq: count.min(1),
  toSeq: count.min(1),
  fromMs: ms,
  toMs: ms,
  link: sha256Hex,
  why: z.string(),
});
const motionEntry = z.strictObject({
  k: z.literal('motion'),
  stream: streamName,
  fromSeq: count.min(1),
  toSeq: count.min(1),
});
const correctionEntry = z.strictObject({
  k: z.literal('correction'),
  boot: z.string(),
  monoMs: ms,
  offsetMs: ms,
});
/** `payload`: base64 of exactly the bytes that were signed. */
const checkpointEntry = z.strictObject({
  k: z.literal('checkpoint'),
  payload: z.string(),
  signatures: z.array(signature),
});

export const journalEntry = z.discriminatedUnion('k', [
  startEntry,
  headEntry,
  openEntry,
  closedEntry,
  spentEntry,
  droppedEntry,
  gapOpenEntry,
  gapEntry,
  pruneEntry,
  deletedEntry,
  motionEntry,
  correctionEntry,
  checkpointEntry,
]);
export type JournalEntry = z.infer<typeof journalEntry>;
export type EntryOf<K extends JournalEntry['k']> = Extract<JournalEntry, { k: K }>;
