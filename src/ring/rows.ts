/** What the rows of ring.db are, and what their numbers mean. */

export const OPEN = 0;
export const CLOSED = 1;
export const GARBAGE = 2;
export const DAMAGED = 3;

export interface StreamRow {
  id: number;
  name: string;
  next_seq: number;
  head_link: Buffer;
  segments: number;
  stored_bytes: number;
  duration_ms: number;
  longest_ms: number;
}

export interface SegmentRow {
  id: number;
  stream_id: number;
  state: number;
  ordinal: number;
  run_id: number;
  init_id: number;
  start_ms: number;
  shift_ms: number;
  mono_ms: number;
  clock: number;
  decode_ticks: number;
  duration_ticks: number | null;
  body_bytes: number | null;
  body_sha256: Buffer | null;
  prev: Buffer | null;
  link: Buffer | null;
  recovered: number;
  has_motion: number;
  journal_number: number | null;
}

export type CandidateRow = Pick<
  SegmentRow,
  | 'id'
  | 'stream_id'
  | 'ordinal'
  | 'run_id'
  | 'init_id'
  | 'start_ms'
  | 'mono_ms'
  | 'clock'
  | 'duration_ticks'
  | 'body_bytes'
  | 'has_motion'
>;

/** What a file is laid out by. */
export type OutlineRow = Pick<
  SegmentRow,
  'id' | 'run_id' | 'init_id' | 'start_ms' | 'decode_ticks' | 'duration_ticks' | 'body_bytes'
>;

/** A row with the texts that its numbers stand for. */
export interface SegmentDetail extends SegmentRow {
  run: string;
  boot: string;
  init_sha256: Buffer;
  init_bytes: number;
}

export interface GapRow {
  id: number;
  stream_id: number;
  from_ms: number;
  to_ms: number | null;
  reason: string;
  boot_id: string;
  mono_ms: number;
  clock: number;
  to_boot_id: string | null;
  to_mono_ms: number | null;
  to_clock: number | null;
  shift_from_ms: number;
  shift_to_ms: number;
}

export function ticksToMs(ticks: number): number {
  return Math.round(ticks / 90);
}

/** Where a settled segment ends on the wall clock. */
export function endMs(row: Pick<SegmentRow, 'start_ms' | 'duration_ticks'>): number {
  return row.start_ms + ticksToMs(row.duration_ticks ?? 0);
}
