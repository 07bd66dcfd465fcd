import type { Sql } from './sql.js';

/** Small values by key, as JSON. */
export function kvTable(sql: Sql) {
  const put = (entry: { key: string; value: unknown }): void => {
    sql.run(
      'insert into kv (key, value) values (:key, :value) on conflict (key) do update set value = excluded.value',
      { key: entry.key, value: JSON.stringify(entry.value) },
    );
  };
  const get = (key: string): unknown => {
    const row = sql.one<{ value: string }>('select value from kv where key = :key', { key });
    return row === undefined ? null : (JSON.parse(row.value) as unknown);
  };
  return {
    /** Null: not set. The caller validates: an older version may have written it. */
    get,
    put,
    remove(key: string): void {
      sql.run('delete from kv where key = :key', { key });
    },
    /** Adds 1 to a counter that starts at 0 and gives the new value; never gives a value twice, power cuts included. */
    next(key: string): number {
      return sql.transaction(() => {
        const now = get(key);
        const value = (typeof now === 'number' ? now : 0) + 1;
        put({ key, value });
        return value;
      });
    },
  };
}

export type KvTable = ReturnType<typeof kvTable>;
