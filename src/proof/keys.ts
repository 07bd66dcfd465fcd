import {
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
} from 'node:crypto';
import { BluelightError } from '../base/errors.js';

/** Who can sign. The private key stays behind it (a file, a TPM). */
export interface Signer {
  /** Raw Ed25519 public key, base64url: contract `publicKeyText`. */
  readonly keyId: string;
  /** 64 bytes, Ed25519 (RFC 8032) over exactly these bytes. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** The 32 raw bytes of an Ed25519 public key as base64url without padding, 43 characters. */
export function publicKeyText(key: KeyObject): string {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519' || jwk.x === undefined) {
    throw new BluelightError('BAD_KEY', 'the key is not an Ed25519 key', { fix: 'give an Ed25519 key' });
  }
  return jwk.x;
}

/** @throws BluelightError BAD_KEY when the text is not exactly one public key. */
export function publicKeyFromText(text: string): KeyObject {
  const raw = Buffer.from(text, 'base64url');
  // The last character carries two unused bits: several texts would name one key.
  if (raw.length !== 32 || raw.toString('base64url') !== text) {
    throw new BluelightError('BAD_KEY', 'the public key is not 32 bytes of base64url', {
      fix: 'copy the whole key: 43 letters, digits, "-" and "_"',
    });
  }
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' });
}

/** RFC 8410 §7: the fixed PKCS #8 prefix of an Ed25519 private key, followed by its 32-byte seed. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new BluelightError('BAD_KEY', 'an Ed25519 seed has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

export function signerFromKey(key: KeyObject): Signer {
  return { keyId: publicKeyText(key), sign: (bytes) => cryptoSign(null, bytes, key) };
}

export function verifyEd25519(key: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === 64 && cryptoVerify(null, bytes, key, signature);
}
