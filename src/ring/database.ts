import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import Database from 'better-sqlite3';
import { BluelightError } from '../base/errors.js';
import { Sql } from '../store/sql.js';
import { INDEX_FILE } from './layout.js';
import type { JournalPosition } from './journal.js';

/** "ring" */
const APPLICATION_ID = 0x72696e67;
const VERSION = 1;

/** Opens the index of a disk, or makes an empty one. Whoever has it open has it alone: two agents never write one ring. */
export function openDatabase(directory: string, diskId: string): Sql {
  const db = new Database(join(directory, INDEX_FILE), { timeout: 1000 });
  try {
    // Without the shared-memory file of WAL, and with the lock held as long as it is open.
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    // better-sqlite3 is built so that WAL means NORMAL, which loses acknowledged rows at a power cut.
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = OFF');
    db.pragma('cache_size = -16000');
    db.pragma('journal_size_limit = 16000000');
    db.pragma('temp_store = MEMORY');
    if (isEmpty(db)) createSchema(db, diskId);
    checkOurs(db, diskId);
    return new Sql(db);
  } catch (error) {
    db.close();
    throw error;
  }
}

function isEmpty(db: Database.Database): boolean {
  return db.prepare('select count(*) from sqlite_schema').pluck().get() === 0;
}

function readSchema(): string {
  return readFileSync(new URL('./schema.sql', import.meta.url), 'utf8');
}

function createSchema(db: Database.Database, diskId: string): void {
  db.transaction(() => {
    db.exec(readSchema());
    db.prepare(
      'insert into state (id, disk_uuid, journal_number, journal_offset_bytes, next_ordinal) values (1, ?, 1, 0, 1)',
    ).run(diskId);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${VERSION}`);
  })();
}

function checkOurs(db: Database.Database, diskId: string): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  const application = db.pragma('application_id', { simple: true }) as number;
  if (application !== APPLICATION_ID || version < 1) throw damaged('it is not an index of a ring');
  if (version > VERSION) {
    throw new BluelightError('RING_TOO_NEW', `the ring was written by a newer version (schema ${version})`, {
      fix: 'install the newer version again',
    });
  }
  // One flipped bit in the name of a column, and every query would read something else or fail.
  if (!isDeepStrictEqual(tablesOf(db), expectedTables())) throw damaged('its tables are not those of a ring');
  const owner = db.prepare('select disk_uuid from state').pluck().get();
  if (owner !== diskId) throw damaged(`it belongs to disk ${String(owner)}`);
}

function tablesOf(db: Database.Database): unknown[] {
  return db.prepare('select type, name, tbl_name, sql from sqlite_schema order by type, name').all();
}

function expectedTables(): unknown[] {
  const fresh = new Database(':memory:');
  try {
    fresh.exec(readSchema());
    return tablesOf(fresh);
  } finally {
    fresh.close();
  }
}

function damaged(why: string): BluelightError {
  return new BluelightError('INDEX_CORRUPT', `ring.db cannot be used: ${why}`, { retryable: true });
}

/** Puts a damaged index aside under a name that sorts by number; it is never read again. */
export function quarantine(directory: string, exists: (path: string) => boolean): string {
  const path = join(directory, INDEX_FILE);
  let n = 1;
  while (exists(`${path}.damaged-${n}`)) n++;
  const kept = `${path}.damaged-${n}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (exists(path + suffix)) renameSync(path + suffix, kept + suffix);
  }
  return kept;
}

export interface RingState {
  disk_uuid: string;
  journal_number: number;
  journal_offset_bytes: number;
  next_ordinal: number;
  rebuild_number: number | null;
  rebuild_offset_bytes: number | null;
  rebuild_until_number: number | null;
  trusted_ms: number | null;
  trusted_mono_ms: number | null;
  trusted_boot_id: string | null;
}

export function readState(sql: Sql): RingState {
  const state = sql.one<RingState>('select * from state where id = 1');
  if (state === undefined) throw damaged('its state is missing');
  return state;
}

export function setPosition(sql: Sql, at: JournalPosition): void {
  sql.run('update state set journal_number = :number, journal_offset_bytes = :offset where id = 1', {
    number: at.number,
    offset: at.offset,
  });
}
