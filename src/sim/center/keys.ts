import { createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../base/errors.js';
import { writeFileAtomic } from '../../base/files.js';
import { privateKeyFromSeed, signerFromKey, type Signer } from '../../proof/keys.js';
import { exchangeKeyFromSeed } from '../../proof/sealed-box.js';

/** The center's secrets: made at the first start, kept in its directory, readable by its user alone. */
export interface CenterKeys {
  /** Whatever the key is now: it follows a rotation. */
  signer: Signer;
  /** X25519: boxes seal the secrets of their claims to it. */
  exchange: KeyObject;
  /**
   * A new key, which counts after `vouch` has made and kept what the old one says of it.
   * @param vouch gets the old key and the public text of the new one
   */
  rotate(vouch: (old: Signer, next: string) => void): void;
  /** Broker password of a user, derived: nothing to keep per box. */
  passwordOf(username: string): string;
}

export function centerKeys(dir: string): CenterKeys {
  const path = join(dir, 'center.key');
  let current = signerFromKey(privateKeyFromSeed(secret(path)));
  const broker = secret(join(dir, 'broker.key'));
  return {
    signer: {
      get keyId() {
        return current.keyId;
      },
      sign: (bytes) => current.sign(bytes),
    },
    exchange: exchangeKeyFromSeed(secret(join(dir, 'exchange.key'))),
    rotate(vouch) {
      const seed = randomBytes(32);
      const next = signerFromKey(privateKeyFromSeed(seed));
      vouch(current, next.keyId);
      writeFileAtomic(path, `${seed.toString('base64url')}\n`);
      current = next;
    },
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
