import { BluelightError } from '../base/errors.js';
import type { Sql } from './sql.js';

export type OutboxClass = 'critical' | 'high' | 'normal' | 'low';

export interface OutboxEntry {
  stream: string;
  /** Without holes per stream, from 1. */
  sequence: number;
  /** ULID, the idempotency key. */
  id: string;
  class: OutboxClass;
  type: string;
  timeMs: number;
  data: unknown;
}

export interface OutboxStats {
  rows: number;
  bytes: number;
  /** Events refused because the outbox was full for their class, since ever. */
  refused: number;
  oldestMs: number | null;
}

/** Share of the limit up to which a class may fill the outbox: what matters more finds room when the rest no longer does. */
export const CLASS_SHARE: Record<OutboxClass, number> = { low: 0.6, normal: 0.8, high: 0.95, critical: 1 };
/** What a row costs beside its data: keys, id, page overhead. */
const ROW_BYTES = 120;

interface Row {
  stream: string;
  sequence: number;
  id: string;
  class: OutboxClass;
  type: string;
  time_ms: number;
  data: string;
}

/**
 * Events for the center until it has acknowledged them. Bounded by bytes. When it is full, new events of the less
 * important classes are refused and counted, before they get a sequence: what has a sequence is never taken back,
 * so that the center sees no hole.
 */
export function outboxTable(sql: Sql, limitBytes: number) {
  let { bytes } = sql.one<{ bytes: number }>('select coalesce(sum(bytes), 0) as bytes from outbox')!;
  return {
    /** Its sequence; null: refused for lack of room. The same id again gives the sequence it already has. */
    append(event: Omit<OutboxEntry, 'sequence'>): number | null {
      const data = JSON.stringify(event.data);
      const size = Buffer.byteLength(data) + ROW_BYTES;
      const written = sql.transaction(() => {
        const known = sql.one<{ sequence: number }>('select sequence from outbox where id = :id', { id: event.id });
        if (known !== undefined) return { sequence: known.sequence, added: 0 };
        sql.run(
          `insert into outbox_streams (stream, last_sequence, acked_sequence) values (:stream, 0, 0)
           on conflict do nothing`,
          { stream: event.stream },
        );
        if (bytes + size > limitBytes * CLASS_SHARE[event.class]) {
          sql.run('update outbox_streams set refused = refused + 1 where stream = :stream', { stream: event.stream });
          return { sequence: null, added: 0 };
        }
        const { last } = sql.one<{ last: number }>(
          `update outbox_streams set last_sequence = last_sequence + 1 where stream = :stream
           returning last_sequence as last`,
          { stream: event.stream },
        )!;
        sql.run(
          `insert into outbox (stream, sequence, id, class, type, time_ms, data, bytes)
           values (:stream, :sequence, :id, :class, :type, :time, :data, :bytes)`,
          {
            stream: event.stream,
            sequence: last,
            id: event.id,
            class: event.class,
            type: event.type,
            time: event.timeMs,
            data,
            bytes: size,
          },
        );
        return { sequence: last, added: size };
      });
      bytes += written.added;
      return written.sequence;
    },

    /**
     * What to send next: streams in order of the most important event that waits in them, each in order of sequence.
     * `after`: what was already sent on this connection, per stream; what is not named starts at the first unacknowledged.
     */
    next(ask: { after: Record<string, number>; limit: number }): OutboxEntry[] {
      const streams = sql.all<{ stream: string }>(
        `select stream from outbox group by stream
         order by min(case class when 'critical' then 0 when 'high' then 1 when 'normal' then 2 else 3 end), stream`,
      );
      const batch: OutboxEntry[] = [];
      for (const { stream } of streams) {
        if (batch.length >= ask.limit) break;
        const rows = sql.all<Row>(
          'select * from outbox where stream = :stream and sequence > :after order by sequence limit :limit',
          { stream, after: ask.after[stream] ?? 0, limit: ask.limit - batch.length },
        );
        batch.push(...rows.map(toEntry));
      }
      return batch;
    },

    /**
     * Drops what the center has. Gives how many rows went.
     * @throws BluelightError ACK_AHEAD: it acknowledges what was never sent; nothing is dropped then
     */
    ack(streams: Record<string, number>): number {
      const gone = sql.transaction(() => {
        const total = { rows: 0, bytes: 0 };
        for (const [stream, sequence] of Object.entries(streams)) {
          const known = sql.one<{ last: number }>(
            'select last_sequence as last from outbox_streams where stream = :stream',
            { stream },
          );
          if (sequence > (known?.last ?? 0)) {
            throw new BluelightError(
              'ACK_AHEAD',
              `the center acknowledged ${stream} up to ${sequence}; this box has sent ${known?.last ?? 0}`,
              { fix: 'another box may use the same identity, or this one was restored from a backup' },
            );
          }
          total.bytes += sql.one<{ bytes: number }>(
            'select coalesce(sum(bytes), 0) as bytes from outbox where stream = :stream and sequence <= :sequence',
            { stream, sequence },
          )!.bytes;
          total.rows += sql.run('delete from outbox where stream = :stream and sequence <= :sequence', {
            stream,
            sequence,
          });
          sql.run('update outbox_streams set acked_sequence = max(acked_sequence, :sequence) where stream = :stream', {
            stream,
            sequence,
          });
        }
        return total;
      });
      bytes -= gone.bytes;
      return gone.rows;
    },

    /** Acknowledged sequence per stream. */
    acked(): Record<string, number> {
      const rows = sql.all<{ stream: string; acked: number }>(
        'select stream, acked_sequence as acked from outbox_streams',
      );
      return Object.fromEntries(rows.map((row) => [row.stream, row.acked]));
    },

    stats(): OutboxStats {
      const held = sql.one<{ rows: number; oldest: number | null }>(
        'select count(*) as rows, min(time_ms) as oldest from outbox',
      )!;
      const { refused } = sql.one<{ refused: number | null }>('select sum(refused) as refused from outbox_streams')!;
      return { rows: held.rows, bytes, refused: refused ?? 0, oldestMs: held.oldest };
    },

    /** Drops everything unsent, at the end of the enrolment. */
    clear(): void {
      sql.transaction(() => {
        sql.run('delete from outbox');
        sql.run('update outbox_streams set acked_sequence = last_sequence');
      });
      bytes = 0;
    },
  };
}

function toEntry(row: Row): OutboxEntry {
  return {
    stream: row.stream,
    sequence: row.sequence,
    id: row.id,
    class: row.class,
    type: row.type,
    timeMs: row.time_ms,
    data: JSON.parse(row.data) as unknown,
  };
}
