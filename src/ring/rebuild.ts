import type { Core } from './core.js';
import { readState, setPosition } from './database.js';
import type { JournalLine } from './journal.js';
import { seqOf } from './layout.js';
import { endMs } from './rows.js';

/** Journal lines that one step applies: a few milliseconds. */
const LINES_PER_STEP = 200;

/**
 * Fills an empty index from the newest file of the journal alone: its first lines carry over the heads of all chains,
 * so that recording can begin at once. What older files say follows in the background.
 */
export function bootstrap(core: Core): void {
  const numbers = core.journal.numbers();
  const from = newestStart(core, numbers);
  core.tables.sql.transaction(() => {
    for (const number of numbers.filter((n) => n >= from)) {
      for (const line of core.journal.lines(number)) core.applier.apply(line.entry, number);
    }
    setPosition(core.tables.sql, core.journal.position);
    if (numbers[0]! < from) saveProgress(core, { number: numbers[0]!, offset: 0 }, from);
    else sealHeads(core);
  });
}

/** The newest file that begins as a file of the journal begins; the oldest when none does. */
function newestStart(core: Core, numbers: readonly number[]): number {
  for (const number of [...numbers].reverse()) {
    const first = core.journal.lines(number).next();
    if (first.done !== true && first.value.entry.k === 'start') return number;
  }
  return numbers[0] ?? 1;
}

function saveProgress(core: Core, at: { number: number; offset: number } | null, until: number | null): void {
  core.tables.sql.run(
    `update state set rebuild_number = :number, rebuild_offset_bytes = :offset, rebuild_until_number = :until
     where id = 1`,
    { number: at?.number ?? null, offset: at?.offset ?? null, until: at === null ? null : until },
  );
}

/** Where the newest segments of a stream are deleted and their records too, only the carried-over head tells of them. */
function sealHeads(core: Core): void {
  for (const stream of core.tables.streams()) {
    const toSeq = stream.next_seq - 1;
    if (core.tables.linkOf(stream.id, toSeq) !== undefined) continue;
    const newest = core.tables.newest(stream.id);
    const fromSeq = newest === undefined ? 1 : seqOf(newest.id) + 1;
    const atMs = newest === undefined ? 0 : endMs(newest);
    const link = stream.head_link;
    core.tables.pruned.add({ streamId: stream.id, fromSeq, toSeq, fromMs: atMs, toMs: atMs, link, why: 'ring' });
  }
}

/** Reads the older files of the journal into the index, in steps, while recording goes on. Survives a restart. */
export class Rebuild {
  readonly #core: Core;
  #lines: Generator<JournalLine> | undefined;
  #number = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  get running(): boolean {
    return readState(this.#core.tables.sql).rebuild_number !== null;
  }

  /** How much is done, 0 to 1; null when there is nothing to do. */
  get share(): number | null {
    const state = readState(this.#core.tables.sql);
    if (state.rebuild_number === null) return null;
    const numbers = this.#core.journal.numbers().filter((n) => n < (state.rebuild_until_number ?? 0));
    const done = numbers.filter((n) => n < state.rebuild_number!).length;
    return numbers.length === 0 ? 1 : done / numbers.length;
  }

  /** @returns false when it was the last step. */
  step(): boolean {
    const state = readState(this.#core.tables.sql);
    if (state.rebuild_number === null) return false;
    if (this.#lines === undefined || this.#number !== state.rebuild_number) {
      this.#number = state.rebuild_number;
      this.#lines = this.#core.journal.lines(state.rebuild_number, state.rebuild_offset_bytes ?? 0);
    }
    const lines = take(this.#lines, LINES_PER_STEP);
    const at = lines.length < LINES_PER_STEP ? this.#nextFile(state.rebuild_until_number ?? 0) : lines.at(-1)!.next;
    this.#core.tables.sql.transaction(() => {
      for (const { entry, at } of lines) {
        // What is still open stands in the newest file, too.
        if (entry.k !== 'gap-open') this.#core.applier.apply(entry, at.number);
      }
      saveProgress(this.#core, at, state.rebuild_until_number);
      if (at === null) {
        this.#markMotion(state.rebuild_until_number ?? 0);
        // They were applied before these rows were there.
        this.#core.tables.sql.run('update corrections set done = 0');
        sealHeads(this.#core);
      }
    });
    return at !== null;
  }

  /** What the files that were read first say of segments that only older ones knew. */
  #markMotion(from: number): void {
    for (const number of this.#core.journal.numbers().filter((n) => n >= from)) {
      for (const { entry } of this.#core.journal.lines(number)) {
        if (entry.k === 'motion') this.#core.applier.apply(entry, number);
      }
    }
  }

  #nextFile(until: number): { number: number; offset: number } | null {
    this.#lines = undefined;
    const next = this.#core.journal.numbers().find((n) => n > this.#number && n < until);
    return next === undefined ? null : { number: next, offset: 0 };
  }
}

function take(lines: Generator<JournalLine>, count: number): JournalLine[] {
  const out: JournalLine[] = [];
  while (out.length < count) {
    const next = lines.next();
    if (next.done === true) break;
    out.push(next.value);
  }
  return out;
}
