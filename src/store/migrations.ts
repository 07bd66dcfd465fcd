import { readFileSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { BluelightError } from '../base/errors.js';

/** One step: from `version - 1` to `version`. Written once, never changed after a release. */
export interface Migration {
  version: number;
  sql: string;
}

/** Version of the database that schema.sql makes. */
export const SCHEMA_VERSION = 1;
export const MIGRATIONS: readonly Migration[] = [];

/** "blue" in ASCII: tells our files from other people's SQLite databases (SQLite file format §1.3.14). */
const APPLICATION_ID = 0x626c7565;

export function freshSchema(): string {
  return readFileSync(new URL('./schema.sql', import.meta.url), 'utf8');
}

/**
 * Brings a database to `target`: an empty one by the schema, an older one step by step, each step in one transaction.
 * @throws BluelightError STATE_DB_FOREIGN: not ours; STATE_DB_NEWER: written by a later version of the agent
 */
export function migrate(
  db: Database.Database,
  plan: { schema: string; target: number; steps: readonly Migration[] } = {
    schema: freshSchema(),
    target: SCHEMA_VERSION,
    steps: MIGRATIONS,
  },
): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  const owner = db.pragma('application_id', { simple: true }) as number;
  const empty = db.prepare('select 1 from sqlite_schema limit 1').get() === undefined;
  if (!empty && owner !== APPLICATION_ID) {
    throw new BluelightError('STATE_DB_FOREIGN', `${db.name} is a database of another program`, {
      fix: 'point state_dir at the directory of the agent, or move the file away',
    });
  }
  if (version > plan.target) {
    throw new BluelightError('STATE_DB_NEWER', `${db.name} was written by a later version (schema ${version})`, {
      fix: `install a version of the agent that knows schema ${version}, or restore the backup made before the update`,
    });
  }
  if (empty) return apply(db, plan.schema, plan.target);
  for (const step of plan.steps) {
    if (step.version > version && step.version <= plan.target) apply(db, step.sql, step.version);
  }
}

function apply(db: Database.Database, sql: string, version: number): void {
  db.transaction(() => {
    db.exec(sql);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${version}`);
  }).immediate();
}
