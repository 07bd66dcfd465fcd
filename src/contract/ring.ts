import { z } from 'zod';

const count = z.number().int().nonnegative();

/** `presence` looks at names and sizes, `hash` reads every byte. */
export const ringCheckLevel = z.enum(['presence', 'hash']);
export type RingCheckLevel = z.infer<typeof ringCheckLevel>;

export const ringCheckAsk = z.strictObject({
  level: ringCheckLevel.default('hash'),
  /** First put the index aside and build it anew from journal and media. */
  rebuild: z.boolean().default(false),
});
export type RingCheckAsk = z.infer<typeof ringCheckAsk>;

/**
 * `row_without_file`, `file_without_row`, `damaged` (the file does not fit its hash), `index` (a row or the chain does
 * not fit), `totals` (running totals differ from the rows).
 */
export const ringFinding = z.object({
  kind: z.enum(['row_without_file', 'file_without_row', 'damaged', 'index', 'totals']),
  /** Empty: of no stream. */
  stream: z.string(),
  seq: z.number().int().nullable(),
  message: z.string(),
});
export type RingFinding = z.infer<typeof ringFinding>;

/** A check of the ring, under way or over. */
export const ringCheckReport = z.object({
  /** `failed`: the disk went away meanwhile. */
  state: z.enum(['rebuilding', 'checking', 'done', 'failed']),
  level: ringCheckLevel,
  /** Of the rebuilding, 0..1. */
  rebuilt: z.number(),
  checked: count,
  total: count,
  bytes: z.number(),
  /** At the present speed; null: not known yet. */
  remainingMs: z.number().nullable(),
  /** The first thousand. */
  findings: z.array(ringFinding),
  /** The index must be rebuilt. */
  indexDamaged: z.boolean(),
  /** In words, when it failed. */
  problem: z.string().nullable(),
});
export type RingCheckReport = z.infer<typeof ringCheckReport>;

/** Null: none since the agent was started. */
export const ringCheckBody = z.object({ check: ringCheckReport.nullable() });
