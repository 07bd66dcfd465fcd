import type { Core } from './core.js';
import { segmentId } from './layout.js';
import type { StreamRow } from './tables.js';

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

/** The sum of all steps that came after this moment of the boot. */
const STEPS_AFTER = (mono: string): string =>
  `(select coalesce(sum(c.offset_ms), 0) from corrections c where c.boot_id = :boot and c.mono_ms > ${mono})`;

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
  sql.run(
    `update segments set start_ms = start_ms - shift_ms + ${STEPS_AFTER('mono_ms')}, shift_ms = ${STEPS_AFTER('mono_ms')}
     where id >= :first and id < :end and clock <> ${TRUSTED} and run_id in (select id from runs where boot_id = :boot)`,
    { first: range.first, end: segmentId(stream.id + 1, 0), boot },
  );
}

function shiftGaps(core: Core, boot: string): void {
  const { sql } = core.tables;
  sql.run(
    `update gaps set
       from_ms = from_ms - shift_from_ms + ${STEPS_AFTER('mono_ms')}, shift_from_ms = ${STEPS_AFTER('mono_ms')},
       to_ms = to_ms - shift_to_ms + ${STEPS_AFTER('to_mono_ms')}, shift_to_ms = ${STEPS_AFTER('to_mono_ms')}
     where boot_id = :boot and clock <> ${TRUSTED}`,
    { boot },
  );
}
