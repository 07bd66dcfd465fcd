import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { RingCheckLevel, RingFinding } from '../contract/ring.js';
import type { Core } from './core.js';
import { diskError, diskTrouble } from './disk-errors.js';
import { readIfThere } from './disk-io.js';
import { segmentId, seqOf } from './layout.js';
import { checkedRecord } from './records.js';
import type { SegmentRow, StreamRow } from './rows.js';
import type { Tables } from './tables.js';

export interface CheckProgress {
  done: boolean;
  checked: number;
  total: number;
  bytes: number;
  /** At the present speed; null before there is one. */
  remainingMs: number | null;
  findings: RingFinding[];
}

/** So many findings are listed; a disk that lost everything must not fill the memory. */
const MAX_FINDINGS = 1_000;
const ROWS_AT_ONCE = 100;
/** Bounded by cameras, checkpoints kept or gaps: whole in one step. Segments are walked row by row. */
const SMALL_TABLES = [
  'streams',
  'inits',
  'runs',
  'gaps',
  'pruned',
  'corrections',
  'checkpoints',
  'checkpoint_heads',
  'spent_records',
  'journals',
] as const;

/**
 * Holds index and media against each other: rows without files, files without rows, hashes, links. Works in steps, so
 * that it can run beside recording. Reports; changes nothing but the state of segments that are found damaged.
 */
export class RingCheck {
  readonly #core: Core;
  readonly #clock: Clock;
  readonly #work: Generator<number>;
  readonly #startedMono: number;
  readonly #total: number;
  #checked = 0;
  #bytes = 0;
  #done = false;
  readonly #findings: RingFinding[] = [];
  /** A row or a link that does not fit: the index must be rebuilt. */
  indexDamaged = false;

  constructor(core: Core, level: RingCheckLevel, clock: Clock) {
    this.#core = core;
    this.#clock = clock;
    this.#startedMono = clock.monotonic();
    this.#total = core.tables.streams().reduce((sum, stream) => sum + stream.segments, 0);
    this.#work = this.#run(level);
  }

  get progress(): CheckProgress {
    const elapsed = this.#clock.monotonic() - this.#startedMono;
    const rest = Math.max(0, this.#total - this.#checked);
    return {
      done: this.#done,
      checked: this.#checked,
      total: this.#total,
      bytes: this.#bytes,
      remainingMs: this.#checked === 0 ? null : Math.round((elapsed / this.#checked) * rest),
      findings: this.#findings,
    };
  }

  /**
   * Works for about `budgetMs`; false when everything was checked or the index turned out to be damaged.
   * @throws BluelightError DISK_FAILED when the disk went away meanwhile
   */
  step(budgetMs: number, maxRows = Number.POSITIVE_INFINITY): boolean {
    if (!this.#core.tables.sql.db.open) throw new BluelightError('DISK_FAILED', 'the disk was closed during the check');
    try {
      this.#done = !this.#stepUntil(this.#clock.monotonic() + budgetMs, maxRows);
    } catch (error) {
      if (diskTrouble(error) !== 'index') throw diskError(error);
      this.indexDamaged = true;
      this.#add('index', '', null, errorMessage(error));
      this.#done = true;
    }
    return !this.#done;
  }

  #stepUntil(until: number, maxRows: number): boolean {
    let rows = 0;
    do {
      const next = this.#work.next();
      if (next.done === true) return false;
      this.#checked += next.value;
    } while (++rows < maxRows && this.#clock.monotonic() < until);
    return true;
  }

  *#run(level: RingCheckLevel): Generator<number> {
    for (const table of SMALL_TABLES) {
      this.#table(table);
      yield 0;
    }
    for (const stream of this.#core.tables.streams()) {
      yield* this.#rows(stream, level);
      yield* this.#byTime(stream);
      yield* this.#files(stream.name);
    }
  }

  /** Rows of these carry no hash of their own, so SQLite looks at their pages. */
  #table(name: string): void {
    const problem = this.#core.tables.problemOf(name);
    if (problem === undefined) return;
    this.indexDamaged = true;
    this.#add('index', '', null, `table ${name}: ${problem}`);
  }

  *#rows(stream: StreamRow, level: RingCheckLevel): Generator<number> {
    let from = segmentId(stream.id, 0);
    for (;;) {
      const rows = this.#core.tables.settledFrom(stream.id, from, ROWS_AT_ONCE);
      for (const row of rows) {
        this.#row(stream, row, level);
        yield 1;
      }
      if (rows.length < ROWS_AT_ONCE) break;
      from = rows.at(-1)!.id + 1;
    }
    this.#totals(stream);
  }

  /** Reads the rows once more through the index by time: an entry that leads nowhere makes SQLite complain. */
  *#byTime(stream: StreamRow): Generator<number> {
    let after = { start_ms: Number.MIN_SAFE_INTEGER, id: 0 };
    for (;;) {
      const rows = this.#core.tables.byTimeAfter(stream.id, after, ROWS_AT_ONCE);
      yield 0;
      if (rows.length < ROWS_AT_ONCE) return;
      after = rows.at(-1)!;
    }
  }

  #row(stream: StreamRow, row: SegmentRow, level: RingCheckLevel): void {
    const seq = seqOf(row.id);
    const detail = this.#core.tables.detail(row.id);
    // Evicted since the list was made.
    if (detail === undefined) {
      if (this.#core.tables.segment(row.id) !== undefined) this.#index(stream, seq, 'its run or init is missing');
      return;
    }
    try {
      checkedRecord(stream, detail);
    } catch (error) {
      if (diskTrouble(error) !== 'index') throw error;
      return this.#index(stream, seq, errorMessage(error));
    }
    const before = this.#core.tables.linkOf(stream.id, seq - 1);
    if (before !== undefined && !before.equals(row.prev!))
      return this.#index(stream, seq, 'it does not continue the chain');
    if (!this.#core.tables.inTimeIndex(detail)) return this.#index(stream, seq, 'the index by time does not know it');
    const path = this.#core.path(stream.name, seq);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return this.#add('row_without_file', stream.name, seq, 'its file is missing');
    const wanted = detail.init_bytes + (row.body_bytes ?? 0);
    if (size !== wanted) return this.#damaged(row, stream.name, `its file has ${size} bytes instead of ${wanted}`);
    this.#bytes += size;
    if (level === 'presence') return;
    const data = readIfThere(this.#core.io, path);
    const body = createHash('sha256')
      .update(data?.subarray(detail.init_bytes) ?? '')
      .digest();
    const init = createHash('sha256')
      .update(data?.subarray(0, detail.init_bytes) ?? '')
      .digest();
    if (!body.equals(row.body_sha256 ?? Buffer.alloc(0)) || !init.equals(detail.init_sha256)) {
      this.#damaged(row, stream.name, 'its file does not fit its hash');
    }
  }

  #damaged(row: SegmentRow, stream: string, message: string): void {
    this.#core.tables.markDamaged(row.id);
    this.#add('damaged', stream, seqOf(row.id), message);
  }

  #index(stream: StreamRow, seq: number, message: string): void {
    this.indexDamaged = true;
    this.#add('index', stream.name, seq, message);
  }

  #totals(stream: StreamRow): void {
    const now = this.#core.tables.streamById(stream.id);
    const counted = this.#core.tables.countRows(stream.id);
    if (now.segments !== counted.segments || now.duration_ms !== counted.durationMs) {
      this.indexDamaged = true;
      this.#add('totals', stream.name, null, `${now.segments} segments are counted, ${counted.segments} are there`);
    }
  }

  *#files(stream: string): Generator<number> {
    const root = join(this.#core.directory, 'media', stream);
    if (statSync(root, { throwIfNoEntry: false }) === undefined) return;
    const id = this.#core.tables.stream(stream)!.id;
    for (const bucket of readdirSync(root)) {
      for (const name of readdirSync(join(root, bucket))) {
        const seq = Number(/^(\d+)\.mp4$/.exec(name)?.[1] ?? 0);
        if (seq > 0 && this.#core.tables.segment(segmentId(id, seq)) !== undefined) continue;
        this.#add('file_without_row', stream, seq > 0 ? seq : null, `no row knows ${bucket}/${name}`);
      }
      yield 0;
    }
  }

  #add(kind: RingFinding['kind'], stream: string, seq: number | null, message: string): void {
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push({ kind, stream, seq, message });
  }
}

/**
 * Held against each other at every start, two rows per stream: the newest row must be the head of the chain. A wrong
 * number here would let the chain fork.
 * @returns the stream in which they differ
 */
export function wrongHead(tables: Tables, rebuilding: boolean): string | undefined {
  return tables.streams().find((stream) => {
    const newest = tables.newest(stream.id);
    if (newest !== undefined && seqOf(newest.id) >= stream.next_seq) return true;
    const link = tables.linkOf(stream.id, stream.next_seq - 1);
    // Rows of a rebuild that is under way are not all there yet.
    if (link === undefined && rebuilding) return false;
    return link === undefined || !link.equals(stream.head_link);
  })?.name;
}
