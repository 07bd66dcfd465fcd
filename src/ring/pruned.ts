import type { Sql } from '../store/sql.js';

/** Missing, nobody knows why: only a guess until it is read that it was deleted. */
const LOST = 'lost';

export interface PrunedRow {
  from_seq: number;
  to_seq: number;
  from_ms: number;
  to_ms: number;
  link_at_to: Buffer;
  why: string;
}

/** What was deleted of each stream: how far, why, and the link from which the chain goes on. */
export class Pruned {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** From when to when footage was deleted; undefined when none was. */
  bounds(streamId: number): { fromMs: number; toMs: number } | undefined {
    const ends = (['asc', 'desc'] as const).map((order) =>
      this.#sql.one<{ from_ms: number; to_ms: number }>(
        `select from_ms, to_ms from pruned where stream_id = :streamId order by from_seq ${order} limit 1`,
        { streamId },
      ),
    );
    const [first, last] = ends;
    return first === undefined || last === undefined ? undefined : { fromMs: first.from_ms, toMs: last.to_ms };
  }

  /** Deleted ranges that overlap [from, to); they follow each other, so only the last that begins before can reach in. */
  overlapping(streamId: number, fromMs: number, toMs: number): { from_ms: number; to_ms: number; why: string }[] {
    return this.#sql.all(
      `select from_ms, to_ms, why from pruned where stream_id = :streamId and from_ms < :toMs and to_ms > :fromMs
         and from_ms >= coalesce((select max(from_ms) from pruned where stream_id = :streamId and from_ms <= :fromMs), :fromMs)`,
      { streamId, fromMs, toMs },
    );
  }

  /** The deleted range in which a segment lies. */
  around(streamId: number, seq: number): PrunedRow | undefined {
    return this.#sql.one<PrunedRow>(
      'select * from pruned where stream_id = :streamId and from_seq <= :seq and to_seq >= :seq',
      { streamId, seq },
    );
  }

  /** The link of the last record of a deleted range. */
  linkAt(streamId: number, seq: number): Buffer | undefined {
    return this.#sql.one<{ link_at_to: Buffer }>(
      'select link_at_to from pruned where stream_id = :streamId and to_seq = :seq',
      { streamId, seq },
    )?.link_at_to;
  }

  /** Remembers a deleted range of records and merges it with its neighbours. */
  add(range: {
    streamId: number;
    fromSeq: number;
    toSeq: number;
    fromMs: number;
    toMs: number;
    link: Uint8Array;
    why: string;
  }): void {
    let { fromSeq, fromMs, toSeq, toMs, link } = range;
    const touching = this.#sql.all<PrunedRow>(
      `select * from pruned where stream_id = :streamId and from_seq <= :next and to_seq >= :before`,
      { streamId: range.streamId, next: toSeq + 1, before: fromSeq - 1 },
    );
    if (range.why === LOST && touching.some((other) => other.from_seq <= fromSeq && other.to_seq >= toSeq)) return;
    for (const other of touching) {
      const inside = other.from_seq >= range.fromSeq && other.to_seq <= range.toSeq;
      if (!inside && (other.why === LOST) !== (range.why === LOST)) continue;
      this.#sql.run('delete from pruned where stream_id = :streamId and from_seq = :from', {
        streamId: range.streamId,
        from: other.from_seq,
      });
      if (other.from_seq < fromSeq) {
        fromSeq = other.from_seq;
        fromMs = other.from_ms;
      }
      if (other.to_seq > toSeq) {
        toSeq = other.to_seq;
        link = other.link_at_to;
      }
      // What was deleted before the clock was put right must not make the range end in 1970.
      if (!inside) toMs = Math.max(toMs, other.to_ms);
    }
    if (range.why !== LOST) {
      this.#sql.run(
        `delete from pruned where stream_id = :streamId and from_seq >= :fromSeq and to_seq <= :toSeq and why = :lost`,
        { streamId: range.streamId, fromSeq, toSeq, lost: LOST },
      );
    }
    this.#sql.run(
      `insert or replace into pruned (stream_id, from_seq, to_seq, from_ms, to_ms, link_at_to, why)
       values (:streamId, :fromSeq, :toSeq, :fromMs, :toMs, :link, :why)`,
      { streamId: range.streamId, fromSeq, toSeq, fromMs, toMs, link, why: range.why },
    );
  }
}
