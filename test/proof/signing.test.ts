import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical, parseCanonical } from '../../src/proof/canonical.js';
import { openEnvelope, preAuthEncoding, signEnvelope } from '../../src/proof/dsse.js';
import { openJws, signJws } from '../../src/proof/jws.js';
import { privateKeyFromSeed, publicKeyFromText, publicKeyText, signerFromKey } from '../../src/proof/keys.js';
import { parseUnique } from '../../src/proof/json.js';

const key = privateKeyFromSeed(createHash('sha256').update('test key').digest());
const signer = signerFromKey(key);
const other = signerFromKey(generateKeyPairSync('ed25519').privateKey);
const code = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
};

const integer = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
const json = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'grapheme' }),
    integer,
    fc.boolean(),
    fc.constant(null),
    tie('list'),
    tie('object'),
  ),
  list: fc.array(tie('any'), { maxLength: 4 }),
  object: fc.dictionary(fc.string(), tie('any'), { maxKeys: 4 }),
})).any;

test('canonical form: order of keys, escapes and numbers as in RFC 8785', () => {
  expect(canonical({ peach: 1, é: 2, '\u20ac': 3, '1': 4, '\r': 5, '😂': 6 })).toBe(
    '{"\\r":5,"1":4,"peach":1,"é":2,"€":3,"😂":6}',
  );
  expect(canonical({ a: [true, null, -0, 9007199254740991], b: undefined, c: '\u0007"\\/\n' })).toBe(
    '{"a":[true,null,0,9007199254740991],"c":"\\u0007\\"\\\\/\\n"}',
  );
  expect(canonical('e\u0301')).toBe('"é"');
});

test('canonical form and value are one to one', () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonical(value);
      expect(canonical(parseCanonical(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(parseUnique(text));
    }),
    { numRuns: 300 },
  );
});

test('what has no single meaning is refused', () => {
  for (const value of [0.5, NaN, 2 ** 53, '\ud800', { a: () => 1 }, new Date(0), 1n]) {
    expect(
      code(() => canonical(value)),
      String(value),
    ).toBe('NOT_CANONICAL');
  }
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[1,]',
    '01',
    '"\\ud800"',
    '[1] 2',
    '9007199254740993',
    '\ufeff1',
    '{"a":1,}',
    '',
  ]) {
    expect(
      code(() => parseUnique(text)),
      text,
    ).toBe('BAD_JSON');
  }
  expect(code(() => parseUnique('['.repeat(200_000)))).toBe('BAD_JSON');
  for (const text of ['{"b":1,"a":2}', '{ "a":1}', '1.0', '"\\u0061"', '"e\u0301"']) {
    expect(
      code(() => parseCanonical(text)),
      text,
    ).toBe('NOT_CANONICAL');
  }
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(Object.keys(parseUnique('{"__proto__":{"polluted":1}}') as object)).toEqual(['__proto__']);
});

test('raw keys and key objects are one to one, and ambiguous texts are refused', () => {
  expect(publicKeyText(publicKeyFromText(signer.keyId))).toBe(signer.keyId);
  const last = signer.keyId.at(-1)!;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const twin = signer.keyId.slice(0, -1) + alphabet[alphabet.indexOf(last) + 1];
  for (const text of [twin, '', 'A', signer.keyId + 'A', `${signer.keyId}=`]) {
    expect(code(() => publicKeyFromText(text))).toBe('BAD_KEY');
  }
});

test('an envelope is verified by openssl from the bytes alone', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dsse-'));
  const payload = Buffer.from(canonical({ camera: 'front-door', n: 7 }));
  const envelope = signEnvelope('application/test', payload, signer);
  writeFileSync(join(dir, 'pae'), preAuthEncoding('application/test', payload));
  writeFileSync(join(dir, 'sig'), Buffer.from(envelope.signatures[0]!.sig, 'base64'));
  writeFileSync(join(dir, 'pub.pem'), publicKeyFromText(signer.keyId).export({ type: 'spki', format: 'pem' }));
  const out = execFileSync(
    'openssl',
    ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', 'pub.pem', '-in', 'pae', '-sigfile', 'sig'],
    { cwd: dir, encoding: 'utf8' },
  );
  expect(out).toContain('Signature Verified Successfully');
  expect(preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString()).toBe(
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
});

test('an envelope says which key and which purpose, and notices every change', () => {
  const payload = Buffer.from('{"a":1}');
  const envelope = signEnvelope('t', payload, signer);
  const open = (e = envelope, trusted = [signer.keyId], payloadType = 't') => openEnvelope(e, { payloadType, trusted });
  expect(Buffer.from(open().payload)).toEqual(payload);
  expect(open(envelope, [other.keyId, signer.keyId]).keyId).toBe(signer.keyId);
  expect(code(() => open(envelope, [other.keyId]))).toBe('UNTRUSTED_KEY');
  expect(code(() => open(envelope, []))).toBe('UNTRUSTED_KEY');
  expect(code(() => open(envelope, [signer.keyId], 'u'))).toBe('WRONG_TYPE');
  const forged = {
    ...envelope,
    signatures: [{ keyid: signer.keyId, sig: signEnvelope('t', payload, other).signatures[0]!.sig }],
  };
  expect(code(() => open(forged))).toBe('BAD_SIGNATURE');
  for (let bit = 0; bit < payload.length * 8; bit++) {
    const changed = Buffer.from(payload);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(code(() => open({ ...envelope, payload: changed.toString('base64') }))).toBe('BAD_SIGNATURE');
  }
  expect(code(() => open({ ...envelope, payload: envelope.payload.replace(/=*$/, '') }))).toBe('BAD_BASE64');
});

test('a JWS is taken only with EdDSA, for its purpose, from a trusted key', () => {
  const token = signJws('command', { job: 'x', n: 1 }, signer);
  const open = (text: string, trusted = [signer.keyId], type = 'command') => openJws(text, { type, trusted });
  expect(open(token)).toEqual({ payload: { job: 'x', n: 1 }, keyId: signer.keyId });
  expect(code(() => open(token, [other.keyId]))).toBe('UNTRUSTED_KEY');
  expect(code(() => open(token, [signer.keyId], 'ack'))).toBe('WRONG_TYPE');
  const [, body, sig] = token.split('.');
  const head = (h: unknown): string => Buffer.from(JSON.stringify(h)).toString('base64url');
  expect(code(() => open(`${head({ alg: 'none', typ: 'command' })}.${body}.`))).toBe('BAD_JWS');
  expect(code(() => open(`${head({ alg: 'HS256', typ: 'command' })}.${body}.${sig}`))).toBe('BAD_JWS');
  expect(code(() => open(`${head({ alg: 'EdDSA', typ: 'command', crit: ['x'], x: 1 })}.${body}.${sig}`))).toBe(
    'BAD_JWS',
  );
  expect(code(() => open(`${head({ alg: 'EdDSA', typ: 'command' })}.${body}.${sig}`))).toBe('BAD_SIGNATURE');
  expect(code(() => open('a.b'))).toBe('BAD_JWS');
  expect(code(() => open('x'.repeat(300_000)))).toBe('BAD_JWS');
});

test('every single-character change of a JWS is refused', () => {
  const token = signJws('command', { job: 'x' }, signer);
  for (let i = 0; i < token.length; i++) {
    const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1);
    expect(
      code(() => openJws(changed, { type: 'command', trusted: [signer.keyId] })),
      `character ${i}`,
    ).not.toBe('none');
  }
});
