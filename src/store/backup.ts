import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { BluelightError } from '../base/errors.js';
import { writeFileAtomic } from '../base/files.js';
import { migrate } from './migrations.js';
import type { Sql } from './sql.js';

/** First bytes of a backup file; the digit is the version of its layout. */
const MAGIC = Buffer.from('bluelight-backup-1\n');
/** 128 MiB per guess (RFC 7914): a backup lies on sticks and in drawers. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SHORTEST_PASSPHRASE = 12;
const KEY_FILES = ['seal.key', 'box.key', 'page.pem'] as const;

const content = z.object({
  madeMs: z.number(),
  files: z.record(z.string(), z.string()),
  /** base64 */
  database: z.string(),
});

/**
 * Everything that makes this box this box, in one file, encrypted with a passphrase: database, sealing key, box key.
 * Layout: magic, salt, nonce, tag, AES-256-GCM ciphertext; the magic is authenticated too.
 */
export function backupTable(sql: Sql, dir: string) {
  return {
    /** @throws BluelightError PASSPHRASE_SHORT */
    make(options: { passphrase: string; atMs: number }): Uint8Array {
      if ([...options.passphrase].length < SHORTEST_PASSPHRASE) {
        throw new BluelightError('PASSPHRASE_SHORT', `the passphrase has at least ${SHORTEST_PASSPHRASE} characters`, {
          fix: 'take four words',
        });
      }
      const present = KEY_FILES.filter((name) => existsSync(join(dir, name)));
      const files = Object.fromEntries(present.map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
      const database = snapshot(sql, dir).toString('base64');
      const text = JSON.stringify({ madeMs: options.atMs, files, database });
      return encrypt(Buffer.from(text), options.passphrase);
    },
  };
}

/** A consistent copy, whatever is written meanwhile. */
function snapshot(sql: Sql, dir: string): Buffer {
  // On the same disk and 0700: the copy holds what the database holds.
  const place = mkdtempSync(join(dir, 'backup-'));
  try {
    const path = join(place, 'state.db');
    sql.run('vacuum into :path', { path });
    return readFileSync(path);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/**
 * Puts a backup in place of an empty state directory; the agent must not run.
 * @param as `same`: the same box after a new disk. `swap`: another box takes its place; it makes its own key, so that
 *   the old one can be revoked.
 * @throws BluelightError BACKUP_BAD: wrong passphrase or damaged file; STATE_DIR_IN_USE
 */
export function restoreBackup(dir: string, file: Uint8Array, passphrase: string, as: 'same' | 'swap'): void {
  const path = join(dir, 'state.db');
  if (existsSync(path)) {
    throw new BluelightError('STATE_DIR_IN_USE', `${dir} already holds the state of a box`, {
      fix: 'move it away first; a backup is never written over it',
    });
  }
  const backup = content.parse(JSON.parse(decrypt(Buffer.from(file), passphrase).toString('utf8')));
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const name of KEY_FILES) {
    const text = backup.files[name];
    if (text !== undefined && (as === 'same' || name === 'seal.key')) writeFileAtomic(join(dir, name), text, 0o600);
  }
  // The database last: a restore that was cut off can simply be repeated.
  const incoming = join(dir, 'restored.db');
  writeFileAtomic(incoming, Buffer.from(backup.database, 'base64'), 0o600);
  const db = new Database(incoming);
  try {
    migrate(db);
    if (as === 'swap') db.exec(`update keys set state = 'former' where role = 'box' and state = 'current'`);
    db.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
  writeFileAtomic(path, readFileSync(incoming), 0o600);
  rmSync(incoming);
}

function encrypt(plain: Buffer, passphrase: string): Buffer {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', scryptSync(passphrase.normalize('NFKC'), salt, 32, COST), nonce);
  cipher.setAAD(MAGIC);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([MAGIC, salt, nonce, cipher.getAuthTag(), body]);
}

function decrypt(file: Buffer, passphrase: string): Buffer {
  const bad = (cause?: unknown): BluelightError =>
    new BluelightError('BACKUP_BAD', 'the passphrase is wrong, or the backup is damaged', {
      fix: 'type the passphrase again; take another backup if it stays so',
      cause,
    });
  const head = MAGIC.length + SALT_BYTES + NONCE_BYTES + TAG_BYTES;
  if (file.length < head || !file.subarray(0, MAGIC.length).equals(MAGIC)) throw bad();
  let at = MAGIC.length;
  const take = (bytes: number): Buffer => file.subarray(at, (at += bytes));
  const [salt, nonce, tag] = [take(SALT_BYTES), take(NONCE_BYTES), take(TAG_BYTES)];
  const key = scryptSync(passphrase.normalize('NFKC'), salt!, 32, COST);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce!);
  decipher.setAAD(MAGIC);
  decipher.setAuthTag(tag!);
  try {
    return Buffer.concat([decipher.update(file.subarray(head)), decipher.final()]);
  } catch (error) {
    throw bad(error);
  }
}
