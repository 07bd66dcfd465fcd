import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import type { ClaimFile } from '../../src/contract/messages.js';
import { boxKey } from '../../src/identity/box-key.js';
import { keyFingerprint } from '../../src/contract/enrolment.js';
import { Claims } from '../../src/identity/claims.js';
import { Logins } from '../../src/identity/logins.js';
import { hashPassword, newCode, passwordFits, readCode } from '../../src/identity/passwords.js';
import { publicKeyFromText, publicKeyText, verifyEd25519 } from '../../src/proof/keys.js';
import { localStore } from '../../src/store/local.js';
import { openState, temporaryDir } from '../store/helpers.js';

const NOW = Date.parse('2026-06-03T15:00:00Z');
function box(dir = temporaryDir()) {
  const clock = new FakeClock(NOW);
  const db = openState({ dir });
  return { dir, clock, db, tables: localStore(db) };
}

const claim = (more: Partial<ClaimFile> = {}, center: Partial<ClaimFile['center']> = {}): ClaimFile => ({
  schema: 1,
  site: 'store-7',
  box: 'box-1',
  ...more,
  center: {
    id: 'rtcc',
    broker: 'mqtts://center.example:8883',
    upload: 'https://center.example/upload',
    key: Buffer.alloc(32, 5).toString('base64url'),
    username: 'box-1',
    password: 'broker canary passw0rd',
    ...center,
  },
});

test('the key is made on the box, private to it, kept over restarts, and openssl verifies what it signs', async () => {
  const { dir, tables, clock, db } = box();
  const signer = await boxKey(tables, clock);
  expect(statSync(join(dir, 'box.key')).mode & 0o777).toBe(0o600);
  const text = Buffer.from('a receipt');
  const signature = signer.sign(text);
  expect(verifyEd25519(publicKeyFromText(signer.keyId), text, signature)).toBe(true);
  writeFileSync(join(dir, 'm'), text);
  writeFileSync(join(dir, 's'), signature);
  execFileSync('openssl', ['pkey', '-in', join(dir, 'box.key'), '-pubout', '-out', join(dir, 'p')]);
  const args = ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', 'p', '-in', 'm', '-sigfile', 's'];
  expect(execFileSync('openssl', args, { cwd: dir }).toString()).toMatch(/Success/);
  db.close();
  const again = box(dir);
  expect((await boxKey(again.tables, again.clock)).keyId).toBe(signer.keyId);
  expect(again.db.tables.keys.current('box')?.kid).toBe(signer.keyId);
});

test('every box has its own key; a damaged one is refused, not replaced', async () => {
  const one = box();
  const other = box();
  expect((await boxKey(one.tables, one.clock)).keyId).not.toBe((await boxKey(other.tables, other.clock)).keyId);
  writeFileSync(join(one.dir, 'box.key'), 'nonsense');
  await expect(boxKey(one.tables, one.clock)).rejects.toMatchObject({ code: 'BOX_KEY_BAD' });
  execFileSync('openssl', ['genpkey', '-algorithm', 'RSA', '-out', join(one.dir, 'box.key')], { stdio: 'ignore' });
  await expect(boxKey(one.tables, one.clock)).rejects.toMatchObject({ code: 'BOX_KEY_BAD' });
});

test('a claim binds the box, waits for the center, and survives a restart; its password lies sealed', async () => {
  const { dir, tables, clock, db } = box();
  const claims = new Claims(tables, clock);
  expect(await claims.membership()).toBeNull();
  const bound = await claims.bind(claim());
  expect(bound).toMatchObject({ claim: { state: 'pending', site: 'store-7' }, password: 'broker canary passw0rd' });
  expect(bound.claim.center).not.toHaveProperty('password');
  await claims.confirm(bound.claim.id);
  for (const file of readdirSync(dir)) expect(readFileSync(join(dir, file)).includes('canary')).toBe(false);
  db.close();
  const again = new Claims(box(dir).tables, clock);
  expect(await again.membership()).toMatchObject({
    claim: { state: 'active', box: 'box-1' },
    centerKeys: [claim().center.key],
  });
});

test('the same file twice is one claim; another center is refused; a used one stays used', async () => {
  const { tables, clock } = box();
  const claims = new Claims(tables, clock);
  const first = await claims.bind(claim());
  expect((await claims.bind(claim())).claim.id).toBe(first.claim.id);
  await expect(claims.bind(claim({ box: 'box-2' }))).rejects.toMatchObject({ code: 'CLAIMED' });
  await claims.end('opt-out');
  expect(await claims.membership()).toBeNull();
  await expect(claims.bind(claim())).rejects.toMatchObject({ code: 'CLAIM_USED' });
});

test('claim and keys come together or not at all', async () => {
  const { tables, clock, db } = box();
  const key = claim().center.key;
  db.tables.keys.install({ kid: key, role: 'center', atMs: 1 });
  // It gave way to another: from then on it is nobody's word, whatever file brings it.
  db.tables.keys.install({ kid: Buffer.alloc(32, 8).toString('base64url'), role: 'center', atMs: 2 });
  const claims = new Claims(tables, clock);
  await expect(claims.bind(claim())).rejects.toMatchObject({ code: 'KEY_USED' });
  expect(await claims.membership()).toBeNull();
});

test('at a site of the city its key signs the terms; it goes with the claim', async () => {
  const { tables, clock, db } = box();
  const claims = new Claims(tables, clock);
  const city = Buffer.alloc(32, 6).toString('base64url');
  await claims.bind(claim({ authority: { kind: 'city', key: city } }));
  expect(db.tables.keys.current('city')?.kid).toBe(city);
  await claims.end('opt-out');
  expect(db.tables.keys.list().map((k) => k.state)).toEqual(['revoked', 'revoked']);
});

test('a claim that cannot be used says which key is wrong; an expired one says so', async () => {
  const { tables, clock } = box();
  const claims = new Claims(tables, clock);
  const wrong: [unknown, RegExp][] = [
    [{}, /schema/],
    [claim({}, { key: 'short' }), /center\.key/],
    [claim({}, { broker: 'https://x' }), /center\.broker/],
    [claim({}, { upload: 'ftp://x' }), /center\.upload/],
    [claim({ site: '../x' }), /site/],
  ];
  for (const [data, message] of wrong) {
    await expect(claims.bind(data)).rejects.toMatchObject({
      code: 'CLAIM_INVALID',
      message: expect.stringMatching(message),
    });
  }
  await expect(claims.bind(claim({ expiresAt: '2026-06-03T14:59:59.000Z' }))).rejects.toMatchObject({
    code: 'CLAIM_EXPIRED',
  });
  expect(keyFingerprint(claim().center.key)).toMatch(/^([0-9A-F]{4} ){4}[0-9A-F]{4}$/);
});

test('the first start gives one code, once; it opens in any spelling; a new one closes it', async () => {
  const { dir, tables, clock } = box();
  const logins = new Logins(tables, clock);
  const code = (await logins.firstCode())!;
  expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
  expect(await logins.firstCode()).toBeNull();
  for (const typed of [
    code,
    code.toLowerCase(),
    code.replace('-', ' '),
    ` ${code.replaceAll('0', 'o').replaceAll('1', 'l')}`,
  ]) {
    expect(await logins.verify(typed)).toMatchObject({ name: 'technician', role: 'technician', expiresMs: null });
  }
  expect(await logins.verify('0000-0000')).toBeNull();
  expect(await logins.verify('')).toBeNull();
  for (const file of readdirSync(dir)) expect(readFileSync(join(dir, file)).includes(code)).toBe(false);
  const next = await logins.newTechnicianCode(NOW + 1_000);
  expect(await logins.verify(code)).toBeNull();
  expect((await logins.verify(next))?.role).toBe('technician');
  await clock.advance(1_000);
  expect(await logins.verify(next)).toBeNull();
});

test('owner and viewer log in with passwords of their own; short ones and taken names are refused', async () => {
  const { tables, clock } = box();
  const logins = new Logins(tables, clock);
  await logins.setPassword('Ms Lee', 'owner', 'four words are good');
  await logins.setPassword('Clerk', 'viewer', 'another long password');
  expect(await logins.verify('four words are good')).toMatchObject({ name: 'Ms Lee', role: 'owner' });
  await expect(logins.setPassword('x', 'viewer', 'short')).rejects.toMatchObject({ code: 'PASSWORD_SHORT' });
  await expect(logins.setPassword('Ms Lee', 'viewer', 'another long password')).rejects.toMatchObject({
    code: 'LOGIN_TAKEN',
  });
  await expect(logins.setPassword('<b>', 'viewer', 'another long password')).rejects.toMatchObject({
    code: 'LOGIN_NAME_BAD',
  });
  expect(JSON.stringify(await logins.list())).not.toContain('scrypt');
});

test('password hashes are salted, and nonsense fits nothing', async () => {
  const hash = await hashPassword('pass');
  expect(hash).not.toBe(await hashPassword('pass'));
  expect(await passwordFits('pass', hash)).toBe(true);
  expect(await passwordFits('Pass', hash)).toBe(false);
  for (const text of ['', 'pass', 'scrypt$1', 'scrypt$2$1$1$AAAA$AAAA'])
    expect(await passwordFits('pass', text)).toBe(false);
  expect(readCode('abc')).toBeNull();
  expect(new Set(Array.from({ length: 50 }, newCode)).size).toBe(50);
});

test('a foreign private key signs nothing in the name of the box', async () => {
  const { tables, clock } = box();
  const mine = await boxKey(tables, clock);
  const other = box();
  await boxKey(other.tables, other.clock);
  const key = createPrivateKey(readFileSync(join(other.dir, 'box.key')));
  expect(publicKeyText(key)).not.toBe(mine.keyId);
  expect(verifyEd25519(publicKeyFromText(mine.keyId), Buffer.from('x'), sign(null, Buffer.from('x'), key))).toBe(false);
});
