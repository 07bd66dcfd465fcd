import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { generalNames, integer, oid, pem, sequence, time } from '../../src/identity/der.js';

/** What openssl reads in it. */
function parsed(der: Uint8Array): string {
  return execFileSync('openssl', ['asn1parse', '-inform', 'DER'], { input: der }).toString();
}

test('addresses of both kinds are written whole', () => {
  const bytes = (name: string): string => generalNames([name]).subarray(4).toString('hex');
  expect(bytes('10.0.0.255')).toBe('0a0000ff');
  expect(bytes('::1')).toBe(`${'00'.repeat(15)}01`);
  expect(bytes('fd00:1::2')).toBe('fd000001000000000000000000000002');
  expect(bytes('2001:db8:1:2:3:4:5:6')).toBe('20010db8000100020003000400050006');
  expect(bytes('2001:db8::')).toBe('20010db8000000000000000000000000');
  expect(bytes('::ffff:1.2.3.4')).toBe('00000000000000000000ffff01020304');
  expect(bytes('box.local')).toBe(Buffer.from('box.local').toString('hex'));
});

test('openssl reads identifiers, integers and times as they were meant', () => {
  expect(parsed(oid('1.2.840.113549.1.1.11'))).toMatch(/sha256WithRSAEncryption/);
  expect(parsed(time(Date.UTC(2049, 11, 31, 23, 59, 59)))).toMatch(/UTCTIME\s+:491231235959Z/);
  expect(parsed(time(Date.UTC(2050, 0, 1)))).toMatch(/GENERALIZEDTIME\s+:20500101000000Z/);
  expect(pem('X', Buffer.alloc(50))).toMatch(/^-----BEGIN X-----\n.{64}\n.{4}\n-----END X-----\n$/);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (value) => {
      const hex = /INTEGER\s+:([0-9A-F]+)/.exec(parsed(sequence(integer(value))))![1]!;
      return BigInt(`0x${hex}`) === BigInt(`0x${Buffer.from(value).toString('hex')}`);
    }),
    { numRuns: 20 },
  );
});
