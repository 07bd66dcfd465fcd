import { recordLink, type SegmentRecord } from '../proof/chain.js';
import { BluelightError } from '../base/errors.js';
import { seqOf } from './layout.js';
import type { SegmentDetail, StreamRow } from './rows.js';
import { CLOCK_TRUST } from './types.js';

/** What is known only when a segment is closed. */
interface Closing {
  durationTicks: number;
  bytes: number;
  sha256: string;
  recovered: boolean;
  prev: string;
}

/** The record that is hashed and chained: times as they were recorded, without later corrections. */
export function recordOf(stream: Pick<StreamRow, 'name'>, row: SegmentDetail, closing: Closing): SegmentRecord {
  return {
    v: 1,
    stream: stream.name,
    seq: seqOf(row.id),
    run: row.run,
    boot: row.boot,
    startMs: row.start_ms - row.shift_ms,
    monoMs: row.mono_ms,
    decodeTicks: row.decode_ticks,
    durationTicks: closing.durationTicks,
    clock: CLOCK_TRUST[row.clock] ?? 'none',
    initSha256: row.init_sha256.toString('hex'),
    bytes: closing.bytes,
    sha256: closing.sha256,
    recovered: closing.recovered,
    prev: closing.prev,
  };
}

/**
 * The record of a closed row, checked against the row's link: a row that a fault of the disk changed is found here and
 * never served.
 * @throws BluelightError INDEX_CORRUPT
 */
export function checkedRecord(stream: StreamRow, row: SegmentDetail): SegmentRecord {
  const seq = seqOf(row.id);
  if (row.prev !== null && row.duration_ticks !== null && row.body_bytes !== null && row.body_sha256 !== null) {
    const record = recordOf(stream, row, {
      durationTicks: row.duration_ticks,
      bytes: row.body_bytes,
      sha256: row.body_sha256.toString('hex'),
      recovered: row.recovered === 1,
      prev: row.prev.toString('hex'),
    });
    if (recordLink(record) === row.link?.toString('hex')) return record;
  }
  throw new BluelightError('INDEX_CORRUPT', `the row of segment ${seq} of ${stream.name} does not fit its link`, {
    retryable: true,
    fix: 'nothing: the index is rebuilt from the recordings',
  });
}
