import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/files.js';
import { BluelightError, errorCode } from '../base/errors.js';
import { SEAL_KEY_BYTES } from './seal.js';

const NAME = /^[a-z0-9][a-z0-9-]{0,38}\.(key|pem|crt|json)$/;

const MOST_BYTES = 1024 * 1024;

/**
 * Keys and certificates that live as files (0600) beside the database, so that a copy of the database alone opens
 * nothing. Written atomically: after a power cut there is the old file or the new one.
 */
export function secretFiles(dir: string) {
  const pathOf = (name: string): string => {
    if (!NAME.test(name)) throw new BluelightError('BAD_NAME', `"${name}" cannot be the name of a key file`);
    return join(dir, name);
  };
  const get = (name: string): string | null => {
    try {
      const path = pathOf(name);
      // A key that others could read is closed, whoever opened it.
      if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
      return readFileSync(path, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    }
  };
  const put = (file: { name: string; text: string }): void => writeFileAtomic(pathOf(file.name), file.text, 0o600);
  return {
    /**
     * Text of a file that a person or the installer keeps elsewhere (policy, certificate), at most 1 MiB; null: there
     * is none. Read here, so that the main thread never waits for a disk.
     */
    read(path: string): string | null {
      try {
        if (statSync(path).size > MOST_BYTES) {
          throw new BluelightError('FILE_TOO_BIG', `${path} is larger than 1 MiB`, { fix: 'check the path' });
        }
        return readFileSync(path, 'utf8');
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return null;
        throw error;
      }
    },
    /** Null: there is none. */
    get,
    put,
    /** Writes it only if there is none; gives what counts from now on. */
    putIfAbsent(file: { name: string; text: string }): string {
      const present = get(file.name);
      if (present !== null) return present;
      put(file);
      return file.text;
    },
  };
}
export type SecretFiles = ReturnType<typeof secretFiles>;

/** The key that seals credentials, made on first use. */
export function sealKey(dir: string): Uint8Array {
  const fresh = randomBytes(SEAL_KEY_BYTES).toString('base64');
  return Buffer.from(secretFiles(dir).putIfAbsent({ name: 'seal.key', text: fresh }), 'base64');
}
