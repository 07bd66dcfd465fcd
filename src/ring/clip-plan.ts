import type { Tables, SegmentDetail, StreamRow } from './tables.js';
import { CLOSED, endMs } from './tables.js';
import { anchorOf } from './checkpoints.js';
import { checkedRecord } from './records.js';
import { seqOf } from './layout.js';
import type { PlannedFile, PlannedSegment } from './types.js';

/**
 * The whole segments that cover [from, to), grouped into files that play as they stand: one init, decode times that
 * run on. Every row is checked against its link before it is offered.
 */
export function planFiles(tables: Tables, stream: StreamRow, fromMs: number, toMs: number): PlannedFile[] {
  const rows = tables
    .details(tables.overlapping(stream, fromMs, toMs).flatMap((row) => (row.state === CLOSED ? [row.id] : [])))
    // In order of recording: after a step of the clock a later segment may carry an earlier time.
    .sort((a, b) => a.id - b.id);
  const files: { file: PlannedFile; last: SegmentDetail }[] = [];
  for (const row of rows) {
    const segment = planned(stream, row);
    const current = files.at(-1);
    if (current !== undefined && continues(current.last, row)) {
      current.file.segments.push(segment);
      current.file.endMs = segment.endMs;
      current.file.bytes += segment.bytes;
      current.last = row;
    } else {
      const file: PlannedFile = {
        run: row.run,
        initHash: row.init_sha256.toString('hex'),
        initBytes: row.init_bytes,
        startMs: segment.startMs,
        endMs: segment.endMs,
        bytes: row.init_bytes + segment.bytes,
        segments: [segment],
      };
      files.push({ file, last: row });
    }
  }
  return files.map(({ file, last }) => {
    const anchor = anchorOf(tables, stream, seqOf(last.id));
    return anchor === undefined ? file : { ...file, anchor };
  });
}

/** The next segment plays behind this one in the same file. */
function continues(last: SegmentDetail, next: SegmentDetail): boolean {
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
