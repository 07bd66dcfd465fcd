import { endMs, ticksToMs, DAMAGED, type SegmentRow, type StreamRow } from './rows.js';
import type { Tables } from './tables.js';
import type { CoverageAnswer, CoverageGapReason } from './types.js';

/** The synced part of the segment that is being written. */
export interface OpenPart {
  run: number;
  startMs: number;
  monoMs: number;
  endMs: number;
  decodeTicks: number;
  bytes: number;
}

/** Rounding of capture times inside a run; more than this between two segments is a step of the clock. */
const JITTER_MS = 2_000;
/** Of times on the monotonic clock: rounding, and how far they may slew while a segment lasts. */
const MONO = { roundingMs: 2, slew: 0.001 };
/** A corrected time and one that was right at once are apart by what it takes to read two clocks. */
const SEAM_MS = 20;

/**
 * What is recorded of a stream in [from, to), and why the rest is not. Spans and gaps together fill the range up to
 * now without overlap.
 */
export function coverage(
  tables: Tables,
  stream: StreamRow | undefined,
  range: { fromMs: number; toMs: number },
  now: { nowMs: number; open?: OpenPart },
): CoverageAnswer {
  const toMs = Math.min(range.toMs, now.nowMs);
  if (stream === undefined) {
    const gaps = range.fromMs < toMs ? [{ fromMs: range.fromMs, toMs, reason: 'not_recorded' as const }] : [];
    return { spans: [], gaps, bytes: 0 };
  }
  const rows = tables.overlapping(stream, range.fromMs, range.toMs);
  const spans = mergeSpans(rows, now.open, range, (run) => tables.bootOf(run));
  const labels = gapLabels(tables, stream, rows, range.fromMs, toMs);
  return {
    spans,
    gaps: complement(spans, range.fromMs, toMs).flatMap((hole) => label(hole, labels)),
    bytes: spans.reduce((sum, span) => sum + span.bytes, 0),
  };
}

type Span = CoverageAnswer['spans'][number];

interface Piece extends Span {
  run: number;
  monoMs: number;
  endMonoMs: number;
  decodeTicks: number;
  nextDecodeTicks: number;
}

function mergeSpans(
  rows: readonly SegmentRow[],
  open: OpenPart | undefined,
  range: { fromMs: number; toMs: number },
  bootOf: (run: number) => string,
): Span[] {
  const pieces = rows
    .filter((row) => row.state !== DAMAGED)
    .map((row): Piece => ({
      fromMs: row.start_ms,
      toMs: endMs(row),
      bytes: row.body_bytes ?? 0,
      run: row.run_id,
      monoMs: row.mono_ms,
      endMonoMs: row.mono_ms + ticksToMs(row.duration_ticks ?? 0),
      decodeTicks: row.decode_ticks,
      nextDecodeTicks: row.decode_ticks + (row.duration_ticks ?? 0),
    }));
  if (open !== undefined && open.startMs < range.toMs && open.endMs > Math.max(range.fromMs, open.startMs)) {
    pieces.push({ ...open, fromMs: open.startMs, toMs: open.endMs, endMonoMs: 0, nextDecodeTicks: 0, open: true });
  }
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last !== undefined && joins(last, piece, bootOf)) {
      last.toMs = Math.max(last.toMs, piece.toMs);
      last.bytes += piece.bytes;
      last.run = piece.run;
      last.monoMs = piece.monoMs;
      last.endMonoMs = piece.endMonoMs;
      last.nextDecodeTicks = piece.nextDecodeTicks;
      if (piece.open === true) last.open = true;
    } else {
      merged.push({ ...piece });
    }
  }
  return merged.flatMap((piece) => {
    const fromMs = Math.max(piece.fromMs, range.fromMs);
    const toMs = Math.min(piece.toMs, range.toMs);
    const span: Span = { fromMs, toMs, bytes: piece.bytes };
    if (piece.open === true) span.open = true;
    return toMs > fromMs ? [span] : [];
  });
}

/**
 * Overlapping, or the next segment of the same run whatever the capture times were rounded to. Of two runs the
 * monotonic clock knows whether anything was between them: the wall clock may have been set there.
 */
function joins(last: Piece, next: Piece, bootOf: (run: number) => string): boolean {
  if (next.fromMs <= last.toMs) return true;
  if (next.fromMs - last.toMs > JITTER_MS) return false;
  if (last.run === next.run) return last.nextDecodeTicks === next.decodeTicks;
  const slackMs = MONO.roundingMs + (last.endMonoMs - last.monoMs) * MONO.slew;
  return next.monoMs - last.endMonoMs <= slackMs && bootOf(last.run) === bootOf(next.run);
}

interface Hole {
  fromMs: number;
  toMs: number;
}

function complement(spans: readonly Span[], fromMs: number, toMs: number): Hole[] {
  const holes: Hole[] = [];
  let at = fromMs;
  for (const span of spans) {
    if (span.fromMs > at) holes.push({ fromMs: at, toMs: Math.min(span.fromMs, toMs) });
    at = Math.max(at, span.toMs);
  }
  if (at < toMs) holes.push({ fromMs: at, toMs });
  return holes.filter((hole) => hole.toMs > hole.fromMs);
}

interface Label extends Hole {
  reason: CoverageGapReason;
}

/** Every known reason in the range, the more telling ones first. */
function gapLabels(
  tables: Tables,
  stream: StreamRow,
  rows: readonly SegmentRow[],
  fromMs: number,
  toMs: number,
): Label[] {
  const damaged = rows
    .filter((row) => row.state === DAMAGED)
    .map((row): Label => ({ fromMs: row.start_ms, toMs: endMs(row), reason: 'damaged' }));
  const gaps = tables
    .gaps(stream.id, fromMs, toMs)
    .map((gap): Label => ({ fromMs: gap.from_ms, toMs: gap.to_ms ?? toMs, reason: gap.reason as CoverageGapReason }));
  const pruned = tables.pruned
    .overlapping(stream.id, fromMs, toMs)
    .map((p): Label => ({ fromMs: p.from_ms, toMs: p.to_ms, reason: p.why === 'lost' ? 'damaged' : 'overwritten' }));
  return [...damaged, ...gaps, ...pruned, ...beforeTheOldest(tables, stream)];
}

/** Gaps from before the oldest footage are forgotten with it; what was never there is told from what is gone. */
function beforeTheOldest(tables: Tables, stream: StreamRow): Label[] {
  const pruned = tables.pruned.bounds(stream.id);
  const kept = tables.settledFrom(stream.id, 0, 1)[0] ?? tables.openSegment(stream.id);
  const oldest = kept?.start_ms ?? pruned?.toMs ?? Number.POSITIVE_INFINITY;
  const first = pruned?.fromMs ?? oldest;
  const labels: Label[] = [
    { fromMs: Number.NEGATIVE_INFINITY, toMs: first, reason: 'not_recorded' },
    { fromMs: first, toMs: oldest, reason: 'overwritten' },
  ];
  return labels.filter((l) => l.toMs > l.fromMs);
}

/** Cuts a hole into pieces, each with the first label that covers it, or else with that of the piece it is a seam of. */
function label(hole: Hole, labels: readonly Label[]): Label[] {
  const touching = labels.filter((l) => l.fromMs < hole.toMs && l.toMs > hole.fromMs);
  const cuts = [hole.fromMs, hole.toMs];
  for (const l of touching) {
    for (const cut of [l.fromMs, l.toMs]) if (cut > hole.fromMs && cut < hole.toMs) cuts.push(cut);
  }
  cuts.sort((a, b) => a - b);
  const out: Label[] = [];
  for (let i = 0; i + 1 < cuts.length; i++) {
    const piece = { fromMs: cuts[i]!, toMs: cuts[i + 1]! };
    if (piece.fromMs === piece.toMs) continue;
    const reason = touching.find((l) => l.fromMs <= piece.fromMs && l.toMs >= piece.toMs)?.reason ?? 'unknown';
    out.push({ ...piece, reason });
  }
  for (const [i, piece] of out.entries()) {
    const isSeam = piece.reason === 'unknown' && piece.toMs - piece.fromMs <= SEAM_MS;
    if (isSeam) piece.reason = (out[i - 1] ?? out[i + 1] ?? piece).reason;
  }
  return united(out);
}

function united(pieces: readonly Label[]): Label[] {
  const out: Label[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (last?.reason === piece.reason) last.toMs = piece.toMs;
    else out.push({ ...piece });
  }
  return out;
}

/** Where a segment that is being written stands, as far as it is safe on the disk. */
export function openPart(
  run: number,
  writer:
    | { startMs: number; monoMs: number; decodeTicks: number; committed: { bytes: number; durationTicks: number } }
    | undefined,
): OpenPart | undefined {
  if (writer === undefined || writer.committed.durationTicks === 0) return undefined;
  return {
    run,
    startMs: writer.startMs,
    monoMs: writer.monoMs,
    endMs: writer.startMs + ticksToMs(writer.committed.durationTicks),
    decodeTicks: writer.decodeTicks,
    bytes: writer.committed.bytes,
  };
}
