import { seqOf } from './layout.js';
import { toRanges, type NumberRange } from './ranges.js';
import type { Tables } from './tables.js';
import type { Protection } from './types.js';

/**
 * Which segments are held or leased. Main pushes the whole list whenever it changes; here it becomes ranges of
 * sequence numbers, so that asking costs nothing however long a hold is.
 */
export class Protections {
  #list: readonly Protection[] | undefined;
  #ranges = new Map<string, NumberRange[]>();

  /** Until the first snapshot nobody knows what is held: nothing may be evicted. */
  get seen(): boolean {
    return this.#list !== undefined;
  }

  get count(): number {
    return this.#list?.length ?? 0;
  }

  set(list: readonly Protection[], tables: Tables): void {
    this.remember(list);
    this.refresh(tables);
  }

  /** While no disk is open: `refresh` follows when there is one. */
  remember(list: readonly Protection[]): void {
    this.#list = list.map((item) => ({ ...item }));
  }

  /** After rows were added by a rebuild or moved on the wall clock by a correction. */
  refresh(tables: Tables): void {
    this.#ranges = new Map();
    for (const stream of tables.streams()) {
      const seqs = new Set<number>();
      for (const item of this.#of(stream.name)) {
        for (const row of tables.overlapping(stream, item.fromMs, item.toMs)) seqs.add(seqOf(row.id));
      }
      if (seqs.size > 0) this.#ranges.set(stream.name, toRanges([...seqs].sort((a, b) => a - b)));
    }
  }

  /** A segment was closed: it may lie in a hold that reaches into the future. */
  closed(stream: string, seq: number, fromMs: number, toMs: number): void {
    if (!this.#of(stream).some((item) => item.fromMs < toMs && item.toMs > fromMs)) return;
    const ranges = this.#ranges.get(stream) ?? [];
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === seq - 1) last[1] = seq;
    else if (last === undefined || last[1] < seq) ranges.push([seq, seq]);
    this.#ranges.set(stream, ranges);
  }

  has(stream: string, seq: number): boolean {
    return this.endOf(stream, seq) !== undefined;
  }

  /** The last sequence number of the protected range around `seq`; undefined when it is not protected. */
  endOf(stream: string, seq: number): number | undefined {
    return this.#ranges.get(stream)?.find(([from, to]) => seq >= from && seq <= to)?.[1];
  }

  #of(stream: string): readonly Protection[] {
    return (this.#list ?? []).filter((item) =>
      item.role === undefined ? stream.startsWith(`${item.camera}.`) : stream === `${item.camera}.${item.role}`,
    );
  }
}
