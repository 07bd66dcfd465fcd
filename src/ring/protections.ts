import { seqOf } from './layout.js';
import { toRanges, type NumberRange } from './ranges.js';
import type { Tables } from './tables.js';
import type { Protection } from './types.js';

/** One hold or lease, and by stream the ranges of sequence numbers that it covers. */
interface Covered {
  item: Protection;
  ranges: Map<string, NumberRange[]>;
}

/**
 * Which segments are held or leased. Main pushes the whole list whenever it changes; here each item becomes ranges of
 * sequence numbers once, so that asking costs nothing however long a hold is.
 */
export class Protections {
  #list: readonly Protection[] | undefined;
  #covered = new Map<string, Covered>();

  /** Until the first snapshot nobody knows what is held: nothing may be evicted. */
  get seen(): boolean {
    return this.#list !== undefined;
  }

  /** @returns by stream, where the oldest begins that an item covered which is not in the list any more */
  set(list: readonly Protection[], tables: Tables): ReadonlyMap<string, number> {
    this.remember(list);
    const known = this.#covered;
    this.#covered = new Map();
    for (const item of this.#list ?? []) {
      const key = JSON.stringify([item.camera, item.role, item.fromMs, item.toMs]);
      this.#covered.set(key, known.get(key) ?? { item, ranges: rangesOf(item, tables) });
    }
    return oldestOf([...known].filter(([key]) => !this.#covered.has(key)).map(([, covered]) => covered));
  }

  /** While no disk is open: `refresh` follows when there is one. */
  remember(list: readonly Protection[]): void {
    this.#list = list.map((item) => ({ ...item }));
  }

  /** After rows were added by a rebuild or moved on the wall clock by a correction. */
  refresh(tables: Tables): void {
    this.#covered = new Map();
    if (this.#list !== undefined) this.set(this.#list, tables);
  }

  /** A segment was closed: it may lie in a hold that reaches into the future. */
  closed(stream: string, seq: number, fromMs: number, toMs: number): void {
    for (const { item, ranges } of this.#covered.values()) {
      if (!concerns(item, stream) || item.fromMs >= toMs || item.toMs <= fromMs) continue;
      const list = ranges.get(stream) ?? [];
      const last = list.at(-1);
      if (last !== undefined && last[1] >= seq - 1) last[1] = Math.max(last[1], seq);
      else list.push([seq, seq]);
      ranges.set(stream, list);
    }
  }

  has(stream: string, seq: number): boolean {
    return this.endOf(stream, seq) !== undefined;
  }

  /** The last sequence number of the protected range around `seq`; undefined when it is not protected. */
  endOf(stream: string, seq: number): number | undefined {
    for (const { ranges } of this.#covered.values()) {
      const around = ranges.get(stream)?.find(([from, to]) => seq >= from && seq <= to);
      if (around !== undefined) return around[1];
    }
    return undefined;
  }
}

function oldestOf(gone: readonly Covered[]): Map<string, number> {
  const oldest = new Map<string, number>();
  for (const [stream, ranges] of gone.flatMap(({ ranges }) => [...ranges])) {
    for (const [from] of ranges) oldest.set(stream, Math.min(from, oldest.get(stream) ?? from));
  }
  return oldest;
}

function concerns(item: Protection, stream: string): boolean {
  return item.role === undefined ? stream.startsWith(`${item.camera}.`) : stream === `${item.camera}.${item.role}`;
}

function rangesOf(item: Protection, tables: Tables): Map<string, NumberRange[]> {
  const ranges = new Map<string, NumberRange[]>();
  for (const stream of tables.streams()) {
    if (!concerns(item, stream.name)) continue;
    const seqs = tables.idsIn(stream, item.fromMs, item.toMs).map(seqOf);
    ranges.set(stream.name, toRanges(seqs.sort((a, b) => a - b)));
  }
  return ranges;
}
