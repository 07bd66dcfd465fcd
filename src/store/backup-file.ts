import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto';
import { z } from 'zod';
import { BluelightError } from '../base/errors.js';

/** First line of a backup file; the number is the version of what follows. */
const NAME = 'bluelight-backup-';
const VERSION = 1;
const MAGIC = Buffer.from(`${NAME}${VERSION}\n`);
/** What OWASP's Password Storage Cheat Sheet gives for scrypt (RFC 7914): 128 MiB per guess. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
const LENGTH_BYTES = 8;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SUM_BYTES = 32;
const HEAD_BYTES = MAGIC.length + LENGTH_BYTES + SALT_BYTES + NONCE_BYTES + TAG_BYTES;
const SHORTEST_PASSPHRASE = 12;

const about = z.object({ madeMs: z.number(), files: z.record(z.string(), z.string()) });

export interface BackupContent extends z.infer<typeof about> {
  /** A whole SQLite file. */
  database: Uint8Array;
}

/** @throws BluelightError PASSPHRASE_SHORT */
export function checkPassphrase(passphrase: string): void {
  if ([...passphrase].length >= SHORTEST_PASSPHRASE) return;
  throw new BluelightError('PASSPHRASE_SHORT', `the passphrase has at least ${SHORTEST_PASSPHRASE} characters`, {
    fix: 'take four words',
  });
}

/**
 * Layout: name and version, length of what is sealed (8 bytes, big-endian), salt, nonce, tag, AES-256-GCM (NIST SP
 * 800-38D) over content with all before the nonce as its associated data; then SHA-256 of the whole file, which tells a
 * damaged file from a wrong passphrase.
 * @throws BluelightError PASSPHRASE_SHORT
 */
export async function sealBackup(content: BackupContent, passphrase: string): Promise<Uint8Array> {
  checkPassphrase(passphrase);
  const { database, ...rest } = content;
  const text = Buffer.from(JSON.stringify(rest));
  const textBytes = Buffer.alloc(4);
  textBytes.writeUInt32BE(text.length);
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64BE(BigInt(4 + text.length + database.length));
  const said = Buffer.concat([MAGIC, length, salt]);
  const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, salt), nonce);
  cipher.setAAD(said);
  const parts = [textBytes, text, database].map((part) => cipher.update(part));
  const body = Buffer.concat([...parts, cipher.final()]);
  const file = Buffer.concat([said, nonce, cipher.getAuthTag(), body]);
  return Buffer.concat([file, createHash('sha256').update(file).digest()]);
}

/**
 * @throws BluelightError BACKUP_FOREIGN: no backup of ours; BACKUP_VERSION: of another version; BACKUP_TRUNCATED;
 *   BACKUP_DAMAGED; PASSPHRASE_WRONG
 */
export async function openBackup(file: Uint8Array, passphrase: string): Promise<BackupContent> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  checkFrame(bytes);
  let at = MAGIC.length + LENGTH_BYTES;
  const take = (count: number): Buffer => bytes.subarray(at, (at += count));
  const [salt, nonce, tag] = [take(SALT_BYTES), take(NONCE_BYTES), take(TAG_BYTES)];
  const decipher = createDecipheriv('aes-256-gcm', await keyOf(passphrase, salt!), nonce!);
  decipher.setAAD(bytes.subarray(0, MAGIC.length + LENGTH_BYTES + SALT_BYTES));
  decipher.setAuthTag(tag!);
  const plain = decipher.update(bytes.subarray(HEAD_BYTES, -SUM_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    throw new BluelightError('PASSPHRASE_WRONG', 'the passphrase does not open this backup', {
      fix: 'type it again; nothing was changed',
      cause,
    });
  }
  const textEnd = 4 + plain.readUInt32BE(0);
  const said = about.parse(JSON.parse(plain.subarray(4, textEnd).toString('utf8')));
  return { ...said, database: plain.subarray(textEnd) };
}

function checkFrame(bytes: Buffer): void {
  const first = bytes.subarray(0, 40).toString('latin1').split('\n')[0]!;
  if (!first.startsWith(NAME) && !NAME.startsWith(first)) {
    throw new BluelightError('BACKUP_FOREIGN', 'this file is no backup of a box', {
      fix: 'name a file that `bluelight backup` wrote',
    });
  }
  const version = /^bluelight-backup-(\d+)$/.exec(first)?.[1];
  if (version !== undefined && Number(version) !== VERSION) {
    throw new BluelightError('BACKUP_VERSION', `this backup has version ${version}, this agent reads ${VERSION}`, {
      fix: 'restore it with the version of the agent that made it, then update',
    });
  }
  const whole =
    bytes.length < HEAD_BYTES ? Infinity : Number(bytes.readBigUInt64BE(MAGIC.length)) + HEAD_BYTES + SUM_BYTES;
  if (bytes.length < whole) {
    throw new BluelightError('BACKUP_TRUNCATED', 'the end of this backup is missing', {
      fix: 'copy it again, or take another backup',
    });
  }
  const sum = createHash('sha256').update(bytes.subarray(0, -SUM_BYTES)).digest();
  if (bytes.length !== whole || !sum.equals(bytes.subarray(-SUM_BYTES))) {
    throw new BluelightError('BACKUP_DAMAGED', 'this backup is damaged', {
      fix: 'copy it again, or take another backup',
    });
  }
}

function keyOf(passphrase: string, salt: Buffer): Promise<Buffer> {
  // NFKC, so that the same words typed on another keyboard are the same.
  return new Promise((resolve, reject) =>
    scrypt(passphrase.normalize('NFKC'), salt, 32, COST, (error, key) =>
      error === null ? resolve(key) : reject(error),
    ),
  );
}
