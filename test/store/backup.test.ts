import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { boxKey } from '../../src/identity/box-key.js';
import { restoreBackup } from '../../src/store/backup.js';
import { localStore } from '../../src/store/local.js';
import { note, openState, someCamera, temporaryDir } from './helpers.js';

const PASS = 'four words in a row';
const clock = new FakeClock();

async function backup() {
  const dir = temporaryDir();
  const db = openState({ dir });
  const { keyId } = await boxKey(localStore(db), clock);
  db.tables.cameras.save(someCamera('gate'));
  db.tables.credentials.put({ name: 'device:x', username: 'admin', password: 'canary passw0rd', at: 1 });
  const { seq, link } = db.tables.audit.append(note());
  const bytes = db.tables.backup.make({ passphrase: PASS, atMs: 5 });
  return { dir, bytes, keyId, head: { seq, link } };
}

test('a backup brings back cameras, passwords, log and key of the same box', async () => {
  const { dir, bytes, keyId, head } = await backup();
  expect(readdirSync(dir).filter((name) => name.startsWith('backup-'))).toEqual([]);
  for (const secret of ['canary', 'BEGIN PRIVATE KEY', 'Camera gate', 'SQLite']) {
    expect(Buffer.from(bytes).includes(secret)).toBe(false);
  }
  const fresh = join(temporaryDir(), 'state');
  restoreBackup(fresh, bytes, PASS, 'same');
  const db = openState({ dir: fresh });
  expect(db.tables.cameras.list()).toEqual([someCamera('gate')]);
  expect(db.tables.credentials.get('device:x')?.password).toBe('canary passw0rd');
  expect(db.tables.audit.verify(head).fault).toBeNull();
  expect((await boxKey(localStore(db), clock)).keyId).toBe(keyId);
});

test('a box that takes the place of another makes its own key and keeps everything else', async () => {
  const { bytes, keyId } = await backup();
  const fresh = temporaryDir();
  restoreBackup(fresh, bytes, PASS, 'swap');
  const db = openState({ dir: fresh });
  expect(db.tables.credentials.get('device:x')?.username).toBe('admin');
  const signer = await boxKey(localStore(db), clock);
  expect(signer.keyId).not.toBe(keyId);
  expect(
    db.tables.keys
      .list()
      .map((key) => [key.kid === keyId, key.state])
      .sort(),
  ).toEqual([
    [false, 'current'],
    [true, 'former'],
  ]);
});

test('a wrong passphrase, a changed byte and a state directory in use are refused', async () => {
  const { dir, bytes } = await backup();
  const fresh = temporaryDir();
  expect(() => restoreBackup(fresh, bytes, 'another passphrase', 'same')).toThrow(
    expect.objectContaining({ code: 'BACKUP_BAD' }),
  );
  for (const at of [0, 20, 40, 60, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = changed[at]! ^ 1;
    expect(() => restoreBackup(fresh, changed, PASS, 'same')).toThrow(expect.objectContaining({ code: 'BACKUP_BAD' }));
  }
  expect(readdirSync(fresh)).toEqual([]);
  expect(() => restoreBackup(dir, bytes, PASS, 'same')).toThrow(expect.objectContaining({ code: 'STATE_DIR_IN_USE' }));
  expect(() => openState().tables.backup.make({ passphrase: 'short', atMs: 1 })).toThrow(
    expect.objectContaining({ code: 'PASSPHRASE_SHORT' }),
  );
});

test('a restore that was cut off is simply repeated', async () => {
  const { bytes } = await backup();
  const fresh = temporaryDir();
  writeFileSync(join(fresh, 'restored.db'), 'half');
  writeFileSync(join(fresh, 'seal.key'), 'old');
  restoreBackup(fresh, bytes, PASS, 'same');
  expect(openState({ dir: fresh }).tables.credentials.get('device:x')?.username).toBe('admin');
});
