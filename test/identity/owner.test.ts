import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { boxKey } from '../../src/identity/box-key.js';
import { Logins } from '../../src/identity/logins.js';
import { Owner } from '../../src/identity/owner.js';
import { ROTATION_TYPE } from '../../src/contract/enrolment.js';
import { rotateBoxKey, rotateCenterKey } from '../../src/identity/rotation.js';
import { openJws, signJws } from '../../src/proof/jws.js';
import { signerFromKey } from '../../src/proof/keys.js';
import { localStore } from '../../src/store/local.js';
import { openState, temporaryDir } from '../store/helpers.js';

function box(dir = temporaryDir()) {
  const clock = new FakeClock(Date.parse('2026-06-03T15:00:00Z'));
  const db = openState({ dir });
  const tables = localStore(db);
  const logins = new Logins(tables, clock);
  return { dir, clock, db, tables, logins, owner: new Owner(tables, logins, clock) };
}
const PASS = 'correct horse battery';

test('the key of the owner opens with the passphrase only, and nowhere lies in clear', async () => {
  const { owner, logins, dir } = box();
  const kid = await owner.setUp('Ms Lee', PASS);
  const signer = await owner.unlock(PASS);
  expect(signer.keyId).toBe(kid);
  await expect(owner.unlock('wrong passphrase')).rejects.toMatchObject({ code: 'PASSPHRASE_WRONG' });
  expect(await logins.verify(PASS)).toMatchObject({ name: 'Ms Lee', role: 'owner' });
  for (const file of readdirSync(dir)) expect(readFileSync(join(dir, file)).includes(PASS)).toBe(false);
  await expect(owner.setUp('Thief', 'another passphrase')).rejects.toMatchObject({ code: 'OWNER_EXISTS' });
});

test('a changed passphrase opens the same key; the old one no longer', async () => {
  const { owner, logins } = box();
  const kid = await owner.setUp('Ms Lee', PASS);
  await expect(owner.changePassphrase('wrong passphrase', 'new passphrase!')).rejects.toMatchObject({
    code: 'PASSPHRASE_WRONG',
  });
  await owner.changePassphrase(PASS, 'new passphrase!');
  expect((await owner.unlock('new passphrase!')).keyId).toBe(kid);
  await expect(owner.unlock(PASS)).rejects.toMatchObject({ code: 'PASSPHRASE_WRONG' });
  expect(await logins.verify(PASS)).toBeNull();
});

test('a wrapped key put under another public key does not open; a forgotten one never comes back', async () => {
  const { owner, db } = box();
  const kid = await owner.setUp('Ms Lee', PASS);
  const { wrapped } = db.tables.keys.current('owner')!;
  expect(await owner.wasLost()).toBe(false);
  expect(await owner.forget()).toBe('Ms Lee');
  expect(await owner.wasLost()).toBe(true);
  expect(await owner.keyId()).toBeNull();
  expect(db.tables.keys.list()).toMatchObject([{ kid, state: 'revoked', wrapped: null }]);
  await expect(owner.unlock(PASS)).rejects.toMatchObject({ code: 'NO_OWNER' });
  db.tables.keys.install({ kid: Buffer.alloc(32, 9).toString('base64url'), role: 'owner', wrapped, atMs: 1 });
  await expect(owner.unlock(PASS)).rejects.toMatchObject({ code: 'PASSPHRASE_WRONG' });
});

test('a new key of the box is vouched for by the old one and survives a power cut at each step', async () => {
  const { dir, tables, clock, db } = box();
  const old = await boxKey(tables, clock);
  const place = { site: 'store-7', box: 'box-1' };
  const { signer, statement } = await rotateBoxKey(tables, clock, old, place);
  expect(openJws(statement, { type: ROTATION_TYPE, trusted: [old.keyId] }).payload).toMatchObject({
    from: old.keyId,
    to: signer.keyId,
    role: 'box',
  });
  const oldText = readFileSync(join(dir, 'box.key'), 'utf8');
  expect((await boxKey(tables, clock)).keyId).toBe(signer.keyId);

  // Cut before the last step: the file is still the one of a former key.
  const third = await rotateBoxKey(tables, clock, signer, place);
  writeFileSync(join(dir, 'box.key'), oldText);
  expect((await boxKey(tables, clock)).keyId).toBe(third.signer.keyId);
  expect(
    db.tables.keys
      .list()
      .filter((k) => k.role === 'box')
      .map((k) => k.state)
      .sort(),
  ).toEqual(['current', 'former', 'former']);

  // A foreign key file is not taken for a rotation.
  const foreign = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  writeFileSync(join(dir, 'box.key'), foreign);
  writeFileSync(join(dir, 'box-next.key'), foreign);
  await expect(boxKey(tables, clock)).rejects.toMatchObject({ code: 'BOX_KEY_BAD' });
});

test('the center changes its key only by its old one, for this box, and never back', async () => {
  const { tables, clock, db } = box();
  const key = () => signerFromKey(generateKeyPairSync('ed25519').privateKey);
  const [center, next, thief] = [key(), key(), key()];
  db.tables.keys.install({ kid: center.keyId, role: 'center', atMs: 1 });
  const place = { site: 'store-7', box: 'box-1' };
  const said = {
    schema: 1,
    role: 'center',
    ...place,
    from: center.keyId,
    to: next.keyId,
    at: '2026-06-03T15:00:00.000Z',
  };
  const rotate = (payload: object, signer = center) =>
    rotateCenterKey(tables, clock, signJws(ROTATION_TYPE, payload, signer), place);
  await expect(rotate({ ...said, from: thief.keyId }, thief)).rejects.toMatchObject({ code: 'UNTRUSTED_KEY' });
  await expect(rotate({ ...said, box: 'box-2' })).rejects.toMatchObject({ code: 'ROTATION_FOREIGN' });
  await expect(rotate({ ...said, role: 'box' })).rejects.toMatchObject({ code: 'ROTATION_FOREIGN' });
  expect(await rotate(said)).toBe(next.keyId);
  await expect(rotate(said)).rejects.toMatchObject({ code: 'UNTRUSTED_KEY' });
  await expect(rotate({ ...said, from: next.keyId, to: center.keyId }, next)).rejects.toMatchObject({
    code: 'KEY_USED',
  });
});
