import { existsSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readState, setPosition } from './database.js';
import type { Core } from './core.js';
import { ensureDir, unlinkIfThere } from './disk-io.js';
import type { JournalEntry } from './journal-entry.js';
import { bucketDir, bucketOf, seqOf } from './layout.js';
import { recordOf } from './records.js';
import { scanSegment } from './scan.js';
import { CLOCK_TRUST } from './types.js';
import { GARBAGE, OPEN, ticksToMs, type SegmentDetail, type SegmentRow } from './rows.js';
import type { SegmentRecord } from '../proof/chain.js';

export interface RecoveryReport {
  recovered: { stream: string; seq: number; lostBytes: number }[];
  dropped: { stream: string; seq: number }[];
  garbage: number;
}

/** Applies what reached the journal but not the index: a crash came between the two. */
export function replayTail(core: Core): number {
  const state = readState(core.tables.sql);
  let replayed = 0;
  core.tables.sql.transaction(() => {
    for (const number of core.journal.numbers()) {
      if (number < state.journal_number) continue;
      const offset = number === state.journal_number ? state.journal_offset_bytes : 0;
      for (const line of core.journal.lines(number, offset)) {
        core.applier.apply(line.entry, number);
        replayed++;
      }
    }
    setPosition(core.tables.sql, core.journal.position);
  });
  return replayed;
}

/**
 * Settles every row that a crash left unsettled: open segments are taken up to their last whole fragment, garbage is
 * unlinked. Looks at those rows only, however many segments there are.
 * @param reason of the gap behind what is recovered
 */
export function settle(core: Core, reason: string): RecoveryReport {
  const report: RecoveryReport = { recovered: [], dropped: [], garbage: 0 };
  const rows = core.tables.unsettled();
  for (const row of rows) if (row.state === OPEN) settleOpen(core, row, reason, report);
  for (const stream of core.tables.streams()) clearTheWay(core, stream.name, stream.next_seq);
  report.garbage = removeGarbage(
    core,
    rows.filter((row) => row.state === GARBAGE),
  );
  return report;
}

/**
 * A file may lie where the next segment goes and no row knows it: a crash came between creating it and its journal
 * entry. It is deleted if there is no picture in it, and kept aside otherwise.
 */
export function clearTheWay(core: Core, stream: string, seq: number): void {
  const path = core.path(stream, seq);
  if (!existsSync(path)) return;
  const found = scanSegment(core.io, path);
  if (found === undefined || found.count === 0) {
    unlinkIfThere(core.io, path);
    core.io.syncDir(dirname(path));
    return;
  }
  const aside = join(core.directory, 'orphans');
  ensureDir(core.io, core.directory, aside);
  renameSync(path, join(aside, `${stream}-${seq}-${found.bodySha256.slice(0, 8)}.mp4`));
  core.io.syncDir(aside);
}

function settleOpen(core: Core, row: SegmentRow, reason: string, report: RecoveryReport): void {
  const stream = core.tables.streamById(row.stream_id);
  const seq = seqOf(row.id);
  const path = core.path(stream.name, seq);
  const found = scanSegment(core.io, path);
  const detail = core.tables.detail(row.id)!;
  // By the clocks of the boot that recorded it: this one may know nothing of the time.
  const gapOpen = (durationMs: number): JournalEntry[] => {
    if (core.tables.openGap(stream.id) !== undefined) return [];
    const begin = { fromMs: detail.start_ms + durationMs, monoMs: detail.mono_ms + durationMs };
    const clock = CLOCK_TRUST[detail.clock] ?? 'none';
    return [{ k: 'gap-open', stream: stream.name, reason, boot: detail.boot, clock, ...begin }];
  };
  if (found === undefined || found.count === 0) {
    if (unlinkIfThere(core.io, path)) core.io.syncDir(bucketDir(core.directory, stream.name, bucketOf(seq)));
    core.commit([{ k: 'dropped', stream: stream.name, seq }, ...gapOpen(0)]);
    report.dropped.push({ stream: stream.name, seq });
    return;
  }
  const fd = core.io.openWrite(path);
  try {
    if (found.wholeBytes < found.fileBytes) core.io.truncate(fd, found.wholeBytes);
    core.io.sync(fd);
  } finally {
    core.io.close(fd);
  }
  const record = recordOf(stream, detail, {
    durationTicks: found.durationTicks,
    bytes: found.bodyBytes,
    sha256: found.bodySha256,
    recovered: true,
    prev: stream.head_link.toString('hex'),
  });
  core.commit([...closedEntries(detail, record), ...gapOpen(ticksToMs(found.durationTicks))], {
    after: () => saveFragments(core, row.id, found.fragments),
  });
  report.recovered.push({ stream: stream.name, seq, lostBytes: found.fileBytes - found.wholeBytes });
}

/**
 * The motion of a segment was marked while it was open: said again behind its record, since whoever reads the journal
 * from there on does not know the segment before.
 */
export function closedEntries(row: SegmentDetail, record: SegmentRecord): JournalEntry[] {
  const { stream, seq } = record;
  const closed: JournalEntry = { k: 'closed', ordinal: row.ordinal, record };
  return row.has_motion === 0 ? [closed] : [closed, { k: 'motion', stream, fromSeq: seq, toSeq: seq }];
}

export function saveFragments(core: Core, id: number, list: Buffer): void {
  core.tables.sql.run('insert or replace into fragments (segment_id, list) values (:id, :list)', { id, list });
}

/** Unlinks the files of garbage rows, makes that durable, then drops the rows. Returns how many. */
export function removeGarbage(core: Core, rows: readonly SegmentRow[]): number {
  if (rows.length === 0) return 0;
  const names = new Map(core.tables.streams().map((stream) => [stream.id, stream.name]));
  const directories = new Set<string>();
  for (const row of rows) {
    const stream = names.get(row.stream_id)!;
    unlinkIfThere(core.io, core.path(stream, seqOf(row.id)));
    directories.add(bucketDir(core.directory, stream, bucketOf(seqOf(row.id))));
  }
  for (const directory of directories) core.syncOrRemoveDir(directory);
  core.tables.sql.transaction(() => core.tables.drop(rows));
  return rows.length;
}
