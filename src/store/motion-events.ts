import { toUtc } from '../contract/primitives.js';
import type { MotionEvent } from '../contract/motion.js';
import type { Sql } from './sql.js';

interface Row {
  id: string;
  camera: string;
  start_ms: number;
  decided_ms: number;
  end_ms: number | null;
  score: number;
  reason: string;
}

export function motionEventsTable(sql: Sql) {
  return {
    /** A start, update or end: what is known now replaces what was known of this event. */
    save(event: MotionEvent): void {
      sql.run(
        `insert into motion_events (id, camera, start_ms, decided_ms, end_ms, score, reason)
         values (:id, :camera, :start, :decided, :end, :score, :reason)
         on conflict (id) do update set start_ms = excluded.start_ms, end_ms = excluded.end_ms,
           score = excluded.score, reason = excluded.reason`,
        {
          id: event.id,
          camera: event.camera,
          start: Date.parse(event.start),
          decided: Date.parse(event.decidedAt),
          end: event.end === null ? null : Date.parse(event.end),
          score: event.score,
          reason: event.reason,
        },
      );
    },
    get(id: string): MotionEvent | null {
      const row = sql.one<Row>('select * from motion_events where id = :id', { id });
      return row === undefined ? null : toEvent(row);
    },
    /** Events of a camera (null: of all) that touch the range, oldest first; ones still going on included. */
    list(ask: { camera: string | null; fromMs: number; toMs: number; limit: number }): MotionEvent[] {
      return sql
        .all<Row>(
          `select * from motion_events where (:camera is null or camera = :camera)
             and start_ms < :to and (end_ms is null or end_ms >= :from) order by start_ms, id limit :limit`,
          { camera: ask.camera, from: ask.fromMs, to: ask.toMs, limit: ask.limit },
        )
        .map(toEvent);
    },
    /** Ends events that a stop of the agent left open; gives them. */
    closeOpen(end: { atMs: number }): MotionEvent[] {
      return sql
        .all<Row>('update motion_events set end_ms = max(start_ms, :at) where end_ms is null returning *', {
          at: end.atMs,
        })
        .map(toEvent);
    },
    /** Forgets events that ended before the oldest footage. */
    prune(ask: { beforeMs: number }): number {
      return sql.run('delete from motion_events where end_ms < :before', { before: ask.beforeMs });
    },
  };
}

function toEvent(row: Row): MotionEvent {
  return {
    id: row.id,
    camera: row.camera,
    phase: row.end_ms === null ? 'update' : 'end',
    start: toUtc(row.start_ms),
    decidedAt: toUtc(row.decided_ms),
    end: row.end_ms === null ? null : toUtc(row.end_ms),
    score: row.score,
    reason: row.reason,
  };
}
