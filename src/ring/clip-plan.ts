import type { OutlineRow, SegmentDetail, StreamRow } from './rows.js';
import type { Tables } from './tables.js';
import { endMs } from './rows.js';
import { anchorOf } from './checkpoints.js';
import { checkedRecord } from './records.js';
import { seqOf } from './layout.js';
import type { OutlinedFile, PlannedFile, PlannedSegment } from './types.js';

/**
 * The whole segments that cover [from, to), grouped into files that play as they stand: one init, decode times that
 * run on. Every row is checked against its link before it is offered.
 */
export function planFiles(tables: Tables, stream: StreamRow, fromMs: number, toMs: number): PlannedFile[] {
  return grouped(tables.closedIn(stream, fromMs, toMs)).map((rows) => {
    const segments = rows.map((row) => planned(stream, row));
    const { init_bytes: initBytes } = rows[0]!;
    const anchor = anchorOf(tables, stream, seqOf(rows.at(-1)!.id));
    return {
      run: rows[0]!.run,
      initHash: rows[0]!.init_sha256.toString('hex'),
      initBytes,
      startMs: segments[0]!.startMs,
      endMs: segments.at(-1)!.endMs,
      bytes: segments.reduce((sum, segment) => sum + segment.bytes, initBytes),
      segments,
      ...(anchor === undefined ? {} : { anchor }),
    };
  });
}

/**
 * The same files without their records, for whoever reads the footage itself: fast enough to be asked for an hour
 * before its first byte is sent. What is read is checked against its hash then.
 */
export function outlineFiles(tables: Tables, stream: StreamRow, fromMs: number, toMs: number): OutlinedFile[] {
  return grouped(tables.outlineIn(stream, fromMs, toMs)).map((rows) => {
    const first = rows[0]!;
    return {
      run: tables.runName(first.run_id),
      initHash: tables.initHash(first.init_id).toString('hex'),
      initBytes: tables.initLength(first.init_id),
      zeroMs: first.start_ms - first.decode_ticks / 90,
      segments: rows.map((row) => ({
        seq: seqOf(row.id),
        fromMs: row.start_ms,
        toMs: endMs(row),
        bytes: row.body_bytes ?? 0,
      })),
    };
  });
}

function grouped<R extends OutlineRow>(rows: readonly R[]): R[][] {
  const files: R[][] = [];
  for (const row of rows) {
    const last = files.at(-1)?.at(-1);
    if (last !== undefined && continues(last, row)) files.at(-1)!.push(row);
    else files.push([row]);
  }
  return files;
}

/** The next segment plays behind this one in the same file. */
function continues(last: OutlineRow, next: OutlineRow): boolean {
  return (
    next.run_id === last.run_id &&
    next.init_id === last.init_id &&
    next.id === last.id + 1 &&
    next.decode_ticks === last.decode_ticks + (last.duration_ticks ?? 0)
  );
}

function planned(stream: StreamRow, row: SegmentDetail): PlannedSegment {
  const record = checkedRecord(stream, row);
  return {
    seq: seqOf(row.id),
    startMs: row.start_ms,
    endMs: endMs(row),
    bodyOffset: row.init_bytes,
    bytes: record.bytes,
    sha256: record.sha256,
    link: row.link!.toString('hex'),
    clock: record.clock,
    recovered: record.recovered,
    motion: row.has_motion === 1,
    record,
  };
}
