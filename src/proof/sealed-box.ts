import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { BluelightError } from '../base/errors.js';

/**
 * A text for one reader, and his answer to it, over a network that anybody may read: ephemeral X25519 (RFC 7748), HKDF
 * with SHA-256 (RFC 5869) over both public keys, AES-256-GCM (NIST SP 800-38D). Says nothing of who wrote it; what
 * carries it is signed.
 */
export interface Sealed {
  /** Raw X25519 key of the writer, base64url. */
  key: string;
  nonce: string;
  body: string;
}
export type SealedReply = Omit<Sealed, 'key'>;

/** @param context what it is for and whose; both sides must name the same */
export function sealTo(
  reader: string,
  context: string,
  text: string,
): { sealed: Sealed; openReply: (reply: SealedReply) => string } {
  const own = generateKeyPairSync('x25519');
  const key = rawText(own.publicKey);
  const secrets = derive(own.privateKey, publicFromText(reader), key + reader, context);
  return {
    sealed: { key, ...encrypt(secrets.request, context, text) },
    openReply: (reply) => decrypt(secrets.reply, context, reply),
  };
}

/** @throws BluelightError SEAL_BAD: for another reader or context, or changed */
export function openSealed(
  privateKey: KeyObject,
  context: string,
  sealed: Sealed,
): { text: string; reply: (text: string) => SealedReply } {
  const own = exchangeKeyText(privateKey);
  const secrets = derive(privateKey, publicFromText(sealed.key), sealed.key + own, context);
  return {
    text: decrypt(secrets.request, context, sealed),
    reply: (text) => encrypt(secrets.reply, context, text),
  };
}

/** RFC 8410 §7: the PKCS #8 prefix of an X25519 private key, followed by its 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

export function exchangeKeyFromSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new BluelightError('BAD_KEY', 'an X25519 key has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

export function exchangeKeyText(key: KeyObject): string {
  return rawText(createPublicKey(key));
}

function rawText(key: KeyObject): string {
  return key.export({ format: 'jwk' }).x!;
}

function publicFromText(x: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
}

function derive(own: KeyObject, other: KeyObject, transcript: string, context: string) {
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey: own, publicKey: other });
  } catch (cause) {
    // A point of small order gives a secret that everybody knows (RFC 7748 §6.1).
    throw broken(cause);
  }
  const key = (what: string): Buffer =>
    Buffer.from(hkdfSync('sha256', shared, Buffer.from(transcript), `${context} ${what}`, 32));
  return { request: key('request'), reply: key('reply') };
}

function encrypt(key: Buffer, context: string, text: string): SealedReply {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { nonce: nonce.toString('base64url'), body: body.toString('base64url') };
}

const TAG_BYTES = 16;

function decrypt(key: Buffer, context: string, sealed: SealedReply): string {
  const bytes = Buffer.from(sealed.body, 'base64url');
  const nonce = Buffer.from(sealed.nonce, 'base64url');
  if (bytes.length < TAG_BYTES || nonce.length !== 12) throw broken();
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return decipher.update(bytes.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch (cause) {
    throw broken(cause);
  }
}

function broken(cause?: unknown): BluelightError {
  return new BluelightError('SEAL_BAD', 'what was sealed is for somebody else, or was changed on the way', { cause });
}
