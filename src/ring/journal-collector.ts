import type { Core } from './core.js';
import type { EntryOf, JournalEntry } from './journal-entry.js';
import { segmentId } from './layout.js';
import type { Tables } from './tables.js';

/** A file with at most this many live records is worth carrying over: a tenth of a full one. */
const WORTH_CARRYING = 800;

/**
 * Removes one file of the journal whose segments are (nearly) all gone. What still counts in it is written word for
 * word into the newest file first. Returns the number that was removed.
 */
export function collectJournal(core: Core): number | undefined {
  const { tables, journal } = core;
  const numbers = journal.numbers();
  const newest = numbers.at(-1);
  const oldest = numbers[0];
  const live = new Map(
    tables.sql
      .all<{ number: number; live_records: number }>('select number, live_records from journals')
      .map((row) => [row.number, row.live_records]),
  );
  const number = numbers.find((n) => n !== newest && (live.get(n) ?? 0) <= WORTH_CARRYING);
  if (number === undefined) return undefined;
  const carried = [...entriesWorthKeeping(core, number, number !== oldest)];
  if (carried.length > 0) core.commit(carried);
  tables.sql.transaction(() => tables.sql.run('delete from journals where number = :number', { number }));
  journal.remove(number);
  return number;
}

function* entriesWorthKeeping(core: Core, number: number, olderExist: boolean): Generator<JournalEntry> {
  const { tables } = core;
  const withMotion: JournalEntry[] = [];
  const deleted = new Map<string, JournalEntry>();
  for (const { entry } of core.journal.lines(number)) {
    if (entry.k === 'closed') {
      const stream = tables.stream(entry.record.stream);
      const row = stream === undefined ? undefined : tables.segment(segmentId(stream.id, entry.record.seq));
      if (row === undefined && tables.isSpent(entry.record)) yield { k: 'spent', record: entry.record };
      if (row === undefined || row.journal_number !== number) continue;
      yield entry;
      const { stream: name, seq } = entry.record;
      if (row.has_motion === 1) withMotion.push({ k: 'motion', stream: name, fromSeq: seq, toSeq: seq });
    } else if (entry.k === 'gap') {
      const stream = tables.stream(entry.stream);
      if (stream !== undefined && tables.hasGap(stream.id, entry)) yield entry;
    } else if (entry.k === 'motion') {
      if (marksOthers(tables, entry, number)) yield entry;
    } else if (entry.k === 'spent') {
      if (tables.isSpent(entry.record)) yield entry;
    } else if (entry.k === 'checkpoint') {
      if (tables.hasCheckpoint(entry.payload)) yield entry;
    } else if (entry.k === 'prune' && olderExist) {
      // An older file may still hold records of what was deleted here.
      yield entry;
    } else if (entry.k === 'prune' || entry.k === 'deleted') {
      const { stream, fromSeq } = entry.k === 'prune' ? entry.record : entry;
      const sum = deletedEntryOf(tables, stream, fromSeq);
      if (sum !== undefined) deleted.set(`${stream} ${sum.fromSeq}`, sum);
    }
  }
  yield* withMotion;
  yield* deleted.values();
}

/** Does the mark stand on segments whose records are in other files? Those in this one take theirs along. */
function marksOthers(tables: Tables, { stream, fromSeq, toSeq }: EntryOf<'motion'>, number: number): boolean {
  const id = tables.stream(stream)?.id;
  if (id === undefined) return false;
  const rows = tables.settledFrom(id, segmentId(id, fromSeq), toSeq - fromSeq + 1);
  return rows.some((row) => row.id <= segmentId(id, toSeq) && row.journal_number !== number);
}

/** The whole range that was deleted around a segment, from however many prune records. */
function deletedEntryOf(tables: Tables, stream: string, seq: number): EntryOf<'deleted'> | undefined {
  const id = tables.stream(stream)?.id;
  const row = id === undefined ? undefined : tables.pruned.around(id, seq);
  if (row === undefined) return undefined;
  return {
    k: 'deleted',
    stream,
    fromSeq: row.from_seq,
    toSeq: row.to_seq,
    fromMs: row.from_ms,
    toMs: row.to_ms,
    link: row.link_at_to.toString('hex'),
    why: row.why,
  };
}
