import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { FakeClock } from '../../src/base/fake-clock.js';
import { boxKey } from '../../src/identity/box-key.js';
import { restoreBackup, type RestoreOptions } from '../../src/store/backup.js';
import { sealBackup } from '../../src/store/backup-file.js';
import { localStore } from '../../src/store/local.js';
import { StateDb } from '../../src/store/state-db.js';
import { note, openState, someCamera, temporaryDir } from './helpers.js';

const PASS = 'four words in a row';
const clock = new FakeClock();
let made: { dir: string; bytes: Uint8Array; keyId: string; head: { seq: number; link: string } };

// Once: the passphrase is slow on purpose.
beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-backup-'));
  const db = new StateDb({ path: join(dir, 'state.db') });
  const { keyId } = await boxKey(localStore(db), clock);
  db.tables.cameras.save(someCamera('gate'));
  db.tables.credentials.put({ name: 'device:x', username: 'admin', password: 'canary passw0rd', at: 1 });
  const { seq, link } = db.tables.audit.append(note());
  // While the box goes on writing.
  const copy = db.tables.backup.snapshot();
  db.tables.audit.append(note());
  const bytes = await sealBackup({ madeMs: 5, ...(await copy) }, PASS);
  db.close();
  made = { dir, bytes, keyId, head: { seq, link } };
});
afterAll(() => rmSync(made.dir, { recursive: true, force: true }));

const restore = (dir: string, more: Partial<RestoreOptions> = {}): ReturnType<typeof restoreBackup> =>
  restoreBackup({ dir, file: made.bytes, passphrase: PASS, as: 'same', atMs: 9_000, ...more });

/** Everything in a directory, to be compared. */
function contents(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(dir.length), readFileSync(path).toString('base64')];
    }),
  );
}

test('a backup brings back cameras, passwords, log and key of the same box, and the log says so', async () => {
  expect(readdirSync(made.dir).filter((name) => name.startsWith('backup-'))).toEqual([]);
  for (const secret of ['canary', 'BEGIN PRIVATE KEY', 'Camera gate', 'SQLite', made.keyId]) {
    expect(Buffer.from(made.bytes).includes(secret)).toBe(false);
  }
  const fresh = join(temporaryDir(), 'state');
  expect(await restore(fresh)).toEqual({ madeMs: 5, movedTo: null });
  const db = openState({ dir: fresh });
  expect(db.tables.cameras.list()).toEqual([someCamera('gate')]);
  expect(db.tables.credentials.get('device:x')?.password).toBe('canary passw0rd');
  db.tables.audit.append(note());
  expect(db.tables.audit.verify(made.head).fault).toBeNull();
  const rows = db.tables.audit.list({ limit: 2 });
  expect(rows[1]).toMatchObject({ kind: 'box', action: 'restored', atMs: 9_000 });
  expect(rows[1]!.reason).toContain('a backup of 1970-01-01T00:00:00.005Z was restored');
  expect((await boxKey(localStore(db), clock)).keyId).toBe(made.keyId);
  expect(readdirSync(fresh).filter((name) => name.startsWith('restore-'))).toEqual([]);
});

test('a box that takes the place of another makes its own key and keeps everything else', async () => {
  const fresh = temporaryDir();
  await restore(fresh, { as: 'swap' });
  const db = openState({ dir: fresh });
  expect(db.tables.credentials.get('device:x')?.username).toBe('admin');
  const signer = await boxKey(localStore(db), clock);
  expect(signer.keyId).not.toBe(made.keyId);
  const states = db.tables.keys.list().map((key) => [key.kid === made.keyId, key.state]);
  expect(states.sort()).toEqual([
    [false, 'current'],
    [true, 'former'],
  ]);
});

test('whatever is wrong with the file is told apart, and nothing of what was there is touched', async () => {
  const dir = temporaryDir();
  cpSync(made.dir, dir, { recursive: true });
  const before = contents(dir);
  const changed = (at: number): Uint8Array => {
    const copy = Buffer.from(made.bytes);
    copy[at] = copy[at]! ^ 1;
    return copy;
  };
  const size = made.bytes.length;
  const version = Buffer.concat([Buffer.from('bluelight-backup-7\n'), made.bytes.subarray(19)]);
  const cases: [string, Partial<RestoreOptions>][] = [
    ['PASSPHRASE_WRONG', { passphrase: 'another passphrase' }],
    ['BACKUP_FOREIGN', { file: Buffer.from('SQLite format 3\0 and so on') }],
    ['BACKUP_FOREIGN', { file: changed(3) }],
    ['BACKUP_VERSION', { file: version }],
    ['BACKUP_TRUNCATED', { file: new Uint8Array() }],
    ...[1, 17, 40, 70, 200, size - 1].map((length) => ['BACKUP_TRUNCATED', { file: made.bytes.subarray(0, length) }]),
    ...[30, 50, 66, 90, 1_000, size - 33, size - 1].map((at) => ['BACKUP_DAMAGED', { file: changed(at) }]),
    ['BACKUP_DAMAGED', { file: Buffer.concat([made.bytes, Buffer.from('x')]) }],
  ] as [string, Partial<RestoreOptions>][];
  for (const [code, more] of cases) {
    await expect(restore(dir, { replace: true, ...more }), code).rejects.toMatchObject({ code });
  }
  await expect(restore(dir)).rejects.toMatchObject({ code: 'STATE_DIR_IN_USE' });
  expect(contents(dir)).toEqual(before);
  await expect(sealBackup({ madeMs: 1, files: {}, database: new Uint8Array() }, 'short')).rejects.toMatchObject({
    code: 'PASSPHRASE_SHORT',
  });
});

test('what is in a backup is looked at before anything is moved', async () => {
  const dir = temporaryDir();
  cpSync(made.dir, dir, { recursive: true });
  const before = contents(dir);
  const files = { 'seal.key': readFileSync(join(dir, 'seal.key'), 'utf8') };
  const garbage = await sealBackup({ madeMs: 1, files, database: Buffer.from('x'.repeat(8_192)) }, PASS);
  await expect(restore(dir, { replace: true, file: garbage })).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
  expect(contents(dir)).toEqual(before);
});

test('what a state directory held is moved aside as a whole, and opens there', async () => {
  const dir = temporaryDir();
  cpSync(made.dir, dir, { recursive: true });
  const before = openState({ dir });
  before.tables.cameras.save(someCamera('later', 'S2'));
  before.close();
  const { movedTo } = await restore(dir, { replace: true });
  expect(movedTo).toContain('before-restore-1970');
  expect(openState({ dir }).tables.cameras.list().map(({ id }) => id)).toEqual(['gate']); // prettier-ignore
  const old = openState({ dir: movedTo! });
  expect(old.tables.cameras.list().map(({ id }) => id)).toEqual(['gate', 'later']);
  expect(old.tables.credentials.get('device:x')?.password).toBe('canary passw0rd');
});

test('a restore that was cut off is simply repeated; what the box must forget is gone', async () => {
  const fresh = temporaryDir();
  cpSync(made.dir, join(fresh, 'restore-abc'), { recursive: true });
  writeFileSync(join(fresh, 'seal.key'), 'old');
  await restore(fresh, { forget: ['audit.none'] });
  expect(existsSync(join(fresh, 'restore-abc'))).toBe(false);
  expect(openState({ dir: fresh }).tables.credentials.get('device:x')?.username).toBe('admin');
});
