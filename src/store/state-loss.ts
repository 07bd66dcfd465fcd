import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { errorCode } from '../base/errors.js';
import { fsyncDir, writeFileAtomic } from '../base/files.js';
import type { Sql } from './sql.js';

/** The last good copy, beside the database. */
const COPY = 'state.copy.db';
/** Events that may have been numbered after the copy was made: no number is given twice. */
const SKIPPED_SEQUENCES = 1_000_000;

export interface StateLoss {
  what: 'missing' | 'damaged';
  /** When the copy was made that took its place; null: there was none, the box begins anew. */
  copyMs: number | null;
  /** Where the damaged file was put. */
  aside: string | null;
}

/**
 * Looks whether a box that has lived before lost its database, and puts the copy in its place. A damaged file is kept
 * aside. Null: all is well, or this is a first start.
 */
export function recoverState(path: string): StateLoss | null {
  const dir = dirname(path);
  if (!existsSync(join(dir, 'box.key'))) return null;
  const missing = !existsSync(path) || statSync(path).size === 0;
  if (!missing && isSound(path)) return null;
  const aside = missing ? null : setAside(path);
  // What a write-ahead log holds belongs to the file that is gone.
  for (const tail of ['-wal', '-shm']) rmSync(path + tail, { force: true });
  const copy = join(dir, COPY);
  const what = missing ? 'missing' : 'damaged';
  if (!existsSync(copy) || !isSound(copy)) return { what, copyMs: null, aside };
  const copyMs = Math.round(statSync(copy).mtimeMs);
  writeFileAtomic(path, readFileSync(copy), 0o600);
  return { what, copyMs, aside };
}

/** After the copy was opened: what was said since it was made is not said again under the same numbers. */
export function afterLoss(sql: Sql): void {
  sql.transaction(() => {
    sql.run('delete from outbox');
    sql.run(
      `update outbox_streams set last_sequence = last_sequence + ${SKIPPED_SEQUENCES},
         acked_sequence = last_sequence + ${SKIPPED_SEQUENCES}`,
    );
  });
}

/** Makes the copy anew, so that after a power cut there is the old one or the new one. */
export function copyState(sql: Sql, dir: string): void {
  const [copy, fresh] = [join(dir, COPY), join(dir, `${COPY}.new`)];
  rmSync(fresh, { force: true });
  sql.run('vacuum into :path', { path: fresh });
  const fd = openSync(fresh, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, copy);
  fsyncDir(dir);
}

/** False: SQLite itself says that it is damaged. Anything else is for who opens it to tell. */
function isSound(path: string): boolean {
  try {
    const db = new Database(path);
    try {
      return db.pragma('quick_check(1)', { simple: true }) === 'ok';
    } finally {
      db.close();
    }
  } catch (error) {
    const code = errorCode(error) ?? '';
    return !code.startsWith('SQLITE_CORRUPT') && code !== 'SQLITE_NOTADB';
  }
}

function setAside(path: string): string {
  let n = 1;
  while (existsSync(`${path}.damaged-${n}`)) n++;
  const aside = `${path}.damaged-${n}`;
  renameSync(path, aside);
  return aside;
}
