import { BluelightError } from '../base/errors.js';
import { publicKeyFromText, verifyEd25519, type Signer } from './keys.js';
import { parseUnique, type Json } from './json.js';

/** Refused before anything is decoded: a command is a few hundred bytes. */
const MAX_CHARACTERS = 256 * 1024;

/**
 * JWS compact serialisation (RFC 7515 §7.1), EdDSA (RFC 8037 §3.1). `type` goes into `typ`, so that a document
 * signed for one purpose is not taken for another.
 */
export function signJws(type: string, payload: unknown, signer: Signer): string {
  const header = encode(JSON.stringify({ alg: 'EdDSA', typ: type, kid: signer.keyId }));
  const input = `${header}.${encode(JSON.stringify(payload))}`;
  return `${input}.${Buffer.from(signer.sign(Buffer.from(input, 'ascii'))).toString('base64url')}`;
}

/**
 * The payload, if one of the trusted keys signed it for this purpose. The algorithm is fixed: what the header says
 * is compared, never obeyed (RFC 8725 §3.1).
 * @param trusted raw public keys, base64url
 * @throws BluelightError BAD_JWS | WRONG_TYPE | UNTRUSTED_KEY | BAD_SIGNATURE
 */
export function openJws(
  text: string,
  expect: { type: string; trusted: readonly string[] },
): { payload: Json; keyId: string } {
  if (text.length > MAX_CHARACTERS) bad(`longer than ${MAX_CHARACTERS} characters`);
  const [header, payload, signature, ...rest] = text.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) {
    bad('not three parts');
  }
  const head = readHeader(header);
  if (head.typ !== expect.type) {
    throw new BluelightError('WRONG_TYPE', `signed as ${JSON.stringify(head.typ)}, not as "${expect.type}"`);
  }
  const keys = expect.trusted.filter((key) => head.kid === undefined || head.kid === key);
  if (keys.length === 0) {
    throw new BluelightError('UNTRUSTED_KEY', `signed with a key that is not trusted: ${JSON.stringify(head.kid)}`);
  }
  const input = Buffer.from(`${header}.${payload}`, 'ascii');
  const mark = decode(signature);
  const keyId = keys.find((key) => verifyEd25519(publicKeyFromText(key), input, mark));
  if (keyId === undefined) throw new BluelightError('BAD_SIGNATURE', 'the signature does not fit the document');
  return { payload: readJson(decode(payload)), keyId };
}

function readHeader(part: string): { typ: Json | undefined; kid: Json | undefined } {
  const head = readJson(decode(part));
  if (typeof head !== 'object' || head === null || Array.isArray(head)) bad('its header is not an object');
  if (head['alg'] !== 'EdDSA') bad(`its algorithm is ${JSON.stringify(head['alg'])}, only EdDSA is taken`);
  // RFC 7515 §4.1.11: extensions that are not understood make it invalid; we understand none.
  if ('crit' in head || 'b64' in head) bad('it asks for extensions');
  return { typ: head['typ'], kid: head['kid'] };
}

function readJson(bytes: Uint8Array): Json {
  try {
    return parseUnique(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new BluelightError('BAD_JWS', 'the signed text does not hold a JSON document', { cause: error });
  }
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) bad('a part is not base64url');
  return bytes;
}

function bad(why: string): never {
  throw new BluelightError('BAD_JWS', `the signed text is refused: ${why}`);
}
