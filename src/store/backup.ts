import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BluelightError, errorMessage } from '../base/errors.js';
import { fsyncDir, writeFileAtomic } from '../base/files.js';
import { ulid } from '../base/ids.js';
import { toUtc } from '../contract/primitives.js';
import { auditHeadKey, auditTable } from './audit.js';
import { openBackup, type BackupContent } from './backup-file.js';
import { kvTable } from './kv.js';
import { migrate } from './migrations.js';
import { Sql } from './sql.js';

const DATABASE = 'state.db';
const SEAL_KEY = 'seal.key';
const KEY_FILES = [SEAL_KEY, 'box.key', 'box-next.key', 'page.pem'] as const;
/** Pages that are copied before other calls have their turn. */
const PAGES_AT_ONCE = 2_000;

/** Everything that makes this box this box: database, sealing key, box key. */
export function backupTable(sql: Sql, dir: string) {
  return {
    /** A consistent copy by SQLite's backup API, whatever is written meanwhile; in memory, so that it never lies open. */
    async snapshot(): Promise<Omit<BackupContent, 'madeMs'>> {
      const present = KEY_FILES.filter((name) => existsSync(join(dir, name)));
      const files = Object.fromEntries(present.map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
      // On the same disk and 0700: the copy holds what the database holds.
      const place = mkdtempSync(join(dir, 'backup-'));
      try {
        const path = join(place, DATABASE);
        await sql.db.backup(path, { progress: () => PAGES_AT_ONCE });
        return { files, database: readFileSync(path) };
      } finally {
        rmSync(place, { recursive: true, force: true });
      }
    },
  };
}

export interface RestoreOptions {
  /** The state directory. */
  dir: string;
  file: Uint8Array;
  passphrase: string;
  /**
   * `same`: the same box after a new disk. `swap`: another box takes its place; it makes its own key, so that the old
   * one can be revoked.
   */
  as: 'same' | 'swap';
  /** Keys of the small values that the restored box must not remember. */
  forget?: readonly string[];
  /** What is there is moved aside, not erased; without it a state directory in use is refused. */
  replace?: boolean;
  atMs: number;
}

/**
 * Puts a backup in place; the agent must not run. Nothing is touched before the backup is open, whole and understood.
 * A restore that was cut off is simply repeated. Gives the directory into which the state before was moved.
 * @throws BluelightError as `openBackup`; STATE_DIR_IN_USE; BACKUP_DAMAGED; STATE_DB_NEWER: made by a later agent
 */
export async function restoreBackup(o: RestoreOptions): Promise<{ madeMs: number; movedTo: string | null }> {
  const path = join(o.dir, DATABASE);
  const inUse = existsSync(path);
  if (inUse && o.replace !== true) {
    throw new BluelightError('STATE_DIR_IN_USE', `${o.dir} already holds the state of a box`, {
      fix: 'restore with --replace: what is there is moved aside and kept',
    });
  }
  const backup = await openBackup(o.file, o.passphrase);
  mkdirSync(o.dir, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(o.dir)) {
    if (name.startsWith(WORK)) rmSync(join(o.dir, name), { recursive: true });
  }
  const work = mkdtempSync(join(o.dir, WORK));
  try {
    const incoming = join(work, DATABASE);
    writeFileAtomic(incoming, backup.database, 0o600);
    prepare(incoming, backup, o);
    const movedTo = inUse ? moveAside(o.dir, o.atMs) : null;
    for (const name of KEY_FILES) {
      const text = backup.files[name];
      if (text !== undefined && (o.as === 'same' || name === SEAL_KEY)) {
        writeFileAtomic(join(o.dir, name), text, 0o600);
      }
    }
    // The database last: without it a restore that was cut off is none.
    renameSync(incoming, path);
    fsyncDir(o.dir);
    return { madeMs: backup.madeMs, movedTo };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const WORK = 'restore-';

/** Makes the copy what the box will run on, and writes into its audit log that it was restored. */
function prepare(path: string, backup: BackupContent, options: RestoreOptions): void {
  const sealKey = backup.files[SEAL_KEY];
  if (sealKey === undefined) throw damaged('its sealing key is missing');
  const db = new Database(path);
  try {
    db.pragma('synchronous = FULL');
    migrate(db);
    const check = db.pragma('integrity_check', { simple: true });
    if (check !== 'ok') throw damaged(String(check));
    settle(new Sql(db), Buffer.from(sealKey, 'base64'), backup.madeMs, options);
    db.pragma('wal_checkpoint(TRUNCATE)');
  } catch (error) {
    throw error instanceof BluelightError ? error : damaged(errorMessage(error), error);
  } finally {
    db.close();
  }
}

function settle(sql: Sql, sealKey: Buffer, madeMs: number, { as, forget = [], atMs }: RestoreOptions): void {
  for (const key of forget) kvTable(sql).remove(key);
  if (as === 'swap') sql.run(`update keys set state = 'former' where role = 'box' and state = 'current'`);
  const box = as === 'swap' ? 'on another box, with a key of its own,' : 'on this box';
  auditTable(sql, auditHeadKey(sealKey)).append({
    id: ulid(atMs),
    atMs,
    kind: 'box',
    outcome: 'done',
    party: 'agent',
    door: 'auto',
    action: 'restored',
    reason: `a backup of ${toUtc(madeMs)} was restored ${box}; what happened after that time is not in this list`,
    detail: { madeMs, as },
  });
}

function moveAside(dir: string, atMs: number): string {
  const to = join(dir, `before-restore-${toUtc(atMs).replace(/[:.]/g, '-')}`);
  mkdirSync(to, { mode: 0o700 });
  const files = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`];
  // All of it has its second name before the first one goes: a power cut in between loses nothing.
  for (const name of [...KEY_FILES, ...files]) {
    if (existsSync(join(dir, name))) linkSync(join(dir, name), join(to, name));
  }
  fsyncDir(to);
  fsyncDir(dir);
  for (const name of files) rmSync(join(dir, name), { force: true });
  return to;
}

function damaged(why: string, cause?: unknown): BluelightError {
  return new BluelightError('BACKUP_DAMAGED', `what is in this backup cannot be used: ${why}`, {
    fix: 'take another backup',
    cause,
  });
}
