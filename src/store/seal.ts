import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { BluelightError } from '../base/errors.js';

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const SEAL_KEY_BYTES = 32;

/** Secrets at rest. `name` is bound to what is sealed, so that a blob moved to another row does not open. */
export interface Seal {
  close(name: string, secret: string): Uint8Array;
  /** @throws BluelightError SEAL_BROKEN: other key, other name, or changed bytes */
  open(name: string, sealed: Uint8Array): string;
}

/** AES-256-GCM (NIST SP 800-38D), random 96-bit nonce; layout: format byte, nonce, tag, ciphertext. */
export function sealWith(key: Uint8Array): Seal {
  if (key.length !== SEAL_KEY_BYTES) {
    throw new BluelightError('SEAL_KEY_BAD', `the sealing key has ${key.length} bytes instead of ${SEAL_KEY_BYTES}`, {
      fix: 'restore seal.key from the backup of this box, or remove it and enter the camera passwords again',
    });
  }
  return {
    close(name, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(Buffer.from(name, 'utf8'));
      const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), body]);
    },
    open(name, sealed) {
      const blob = Buffer.from(sealed);
      const head = 1 + NONCE_BYTES + TAG_BYTES;
      if (blob.length < head || blob[0] !== FORMAT) throw broken(name);
      const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(1, 1 + NONCE_BYTES));
      decipher.setAAD(Buffer.from(name, 'utf8'));
      decipher.setAuthTag(blob.subarray(1 + NONCE_BYTES, head));
      try {
        return decipher.update(blob.subarray(head), undefined, 'utf8') + decipher.final('utf8');
      } catch (error) {
        throw broken(name, error);
      }
    },
  };
}

function broken(name: string, cause?: unknown): BluelightError {
  return new BluelightError('SEAL_BROKEN', `the stored secret "${name}" cannot be opened with this box's key`, {
    fix: 'enter it again',
    cause,
  });
}
