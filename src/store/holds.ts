import type { Sql } from './sql.js';

/** Protection of a range of one camera from overwriting. */
export interface Hold {
  id: string;
  camera: string;
  fromMs: number;
  toMs: number;
  reason: string;
  by: string;
  job: string | null;
  createdMs: number;
  /** Null: until released. */
  expiresMs: number | null;
  releasedMs: number | null;
}

const COLUMNS = `id, camera, from_ms as fromMs, to_ms as toMs, reason, by, job, created_ms as createdMs,
  expires_ms as expiresMs, released_ms as releasedMs`;

export function holdsTable(sql: Sql) {
  return {
    /** The same id again changes nothing. */
    set(hold: Omit<Hold, 'releasedMs'>): void {
      sql.run(
        `insert into holds (id, camera, from_ms, to_ms, reason, by, job, created_ms, expires_ms)
         values (:id, :camera, :fromMs, :toMs, :reason, :by, :job, :createdMs, :expiresMs) on conflict do nothing`,
        { ...hold },
      );
    },
    /** Not released. Whether one has expired is for the caller to decide, who knows how far time is trusted. */
    active(): Hold[] {
      return sql.all<Hold>(`select ${COLUMNS} from holds where released_ms is null order by created_ms, id`);
    },
    list(ask: { limit: number }): Hold[] {
      return sql.all<Hold>(`select ${COLUMNS} from holds order by created_ms desc, id desc limit :limit`, ask);
    },
    /** False: there is no such hold, or it was released before. */
    release(entry: { id: string; atMs: number }): boolean {
      return sql.run('update holds set released_ms = :atMs where id = :id and released_ms is null', entry) > 0;
    },
  };
}
