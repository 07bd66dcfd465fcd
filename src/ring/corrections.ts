import type { Core } from './core.js';
import { segmentId } from './layout.js';
import type { StreamRow } from './rows.js';
import type { Tables } from './tables.js';

/** clock = ntp */
const TRUSTED = 2;

/**
 * Puts what an untrusted clock recorded where it belongs: start_ms follows, shift_ms remembers by how much, the record
 * and the footage stay. Shifts are set and not added, so that doing it twice changes nothing.
 * @returns whether anything was pending
 */
export function applyCorrections(core: Core): boolean {
  const { sql } = core.tables;
  const boots = sql.all<{ boot_id: string }>('select distinct boot_id from corrections where done = 0');
  for (const { boot_id: boot } of boots) {
    sql.transaction(() => {
      for (const stream of core.tables.streams()) shiftSegments(core, stream, boot);
      shiftGaps(core, boot);
      sql.run('update corrections set done = 1 where boot_id = :boot', { boot });
    });
  }
  return boots.length > 0;
}

/** Latencies and slews; only what is further off was told by a wrong clock. */
const TOLERANCE_MS = 2_000;

/**
 * By how much a time was wrong: the monotonic clock knew when it was, and the first correction after it knows what the
 * wall clock should have said then.
 */
function shiftOf(recordedMs: string, mono: string): string {
  const should = `(select ${mono} + c.offset_ms - (${recordedMs}) from corrections c
    where c.boot_id = :boot and c.mono_ms > ${mono} order by c.mono_ms limit 1)`;
  return `(case when abs(coalesce(${should}, 0)) > ${TOLERANCE_MS} then ${should} else 0 end)`;
}

function shiftSegments(core: Core, stream: StreamRow, boot: string): void {
  const { sql } = core.tables;
  // Segments of one boot follow each other: its runs say where they begin and end, so that nothing else is looked at.
  const range = sql.one<{ first: number | null }>(
    `select min(id) as first from (
       select s.id from segments s where s.id >= :from and s.id < :end and s.run_id >=
         (select min(id) from runs where boot_id = :boot) order by s.id desc)`,
    { from: segmentId(stream.id, 0), end: segmentId(stream.id + 1, 0), boot },
  );
  if (range?.first === null || range === undefined) return;
  const shift = shiftOf('segments.start_ms - segments.shift_ms', 'segments.mono_ms');
  sql.run(
    `update segments set start_ms = start_ms - shift_ms + ${shift}, shift_ms = ${shift}
     where id >= :first and id < :end and clock <> ${TRUSTED} and run_id in (select id from runs where boot_id = :boot)`,
    { first: range.first, end: segmentId(stream.id + 1, 0), boot },
  );
}

function shiftGaps(core: Core, boot: string): void {
  const { sql } = core.tables;
  const from = shiftOf('gaps.from_ms - gaps.shift_from_ms', 'gaps.mono_ms');
  sql.run(
    `update gaps set from_ms = from_ms - shift_from_ms + ${from}, shift_from_ms = ${from}
     where boot_id = :boot and clock <> ${TRUSTED}`,
    { boot },
  );
  const to = shiftOf('gaps.to_ms - gaps.shift_to_ms', 'gaps.to_mono_ms');
  sql.run(
    `update gaps set to_ms = to_ms - shift_to_ms + ${to}, shift_to_ms = ${to}
     where to_boot_id = :boot and to_clock <> ${TRUSTED}`,
    { boot },
  );
}

/**
 * Gaps from before the oldest footage are forgotten with it; not those of a clock that was wrong and is still to be
 * corrected.
 */
export function forgetGaps(tables: Tables, stream: StreamRow, before: { beforeMs: number; boot: string }): void {
  tables.sql.run(
    `delete from gaps where stream_id = :stream and to_ms is not null and max(from_ms, to_ms) < :before
       and (to_boot_id <> :boot or min(clock, to_clock) = ${TRUSTED}
         or to_mono_ms < (select max(mono_ms) from corrections where boot_id = :boot))`,
    { stream: stream.id, before: before.beforeMs, boot: before.boot },
  );
}
