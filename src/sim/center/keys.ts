import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../base/errors.js';
import { writeFileAtomic } from '../../base/files.js';
import { privateKeyFromSeed, signerFromKey, type Signer } from '../../proof/keys.js';

/** The center's secrets: made at the first start, kept in its directory, readable by its user alone. */
export interface CenterKeys {
  signer: Signer;
  /** Broker password of a user, derived: nothing to keep per box. */
  passwordOf(username: string): string;
}

export function centerKeys(dir: string): CenterKeys {
  const signer = signerFromKey(privateKeyFromSeed(secret(join(dir, 'center.key'))));
  const broker = secret(join(dir, 'broker.key'));
  return {
    signer,
    passwordOf: (username) => createHmac('sha256', broker).update(username).digest('base64url'),
  };
}

function secret(path: string): Buffer {
  try {
    return Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    const made = randomBytes(32);
    writeFileAtomic(path, `${made.toString('base64url')}\n`);
    return made;
  }
}
