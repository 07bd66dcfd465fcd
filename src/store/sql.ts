import type Database from 'better-sqlite3';

/** Named parameters as they are written in SQL (`:camera`). */
export type Params = Record<string, string | number | bigint | null | Uint8Array>;

/** The few ways in which tables talk to SQLite; statements are prepared once. */
export class Sql {
  readonly db: Database.Database;
  readonly #prepared = new Map<string, Database.Statement<[Params]>>();

  constructor(db: Database.Database) {
    this.db = db;
  }

  /** `Row` is what the columns of the statement are; schema.sql is STRICT, so types hold. */
  all<Row>(sql: string, params: Params = {}): Row[] {
    return this.#statement(sql).all(params) as Row[];
  }

  one<Row>(sql: string, params: Params = {}): Row | undefined {
    return this.#statement(sql).get(params) as Row | undefined;
  }

  /** Number of rows changed. */
  run(sql: string, params: Params = {}): number {
    return this.#statement(sql).run(params).changes;
  }

  /** All or nothing; on disk (synchronous=FULL) when it returns. */
  transaction<T>(work: () => T): T {
    return this.db.transaction(work).immediate();
  }

  #statement(sql: string): Database.Statement<[Params]> {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare<[Params]>(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
