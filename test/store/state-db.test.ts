import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { freshSchema, migrate, MIGRATIONS, SCHEMA_VERSION } from '../../src/store/migrations.js';
import { StateDb } from '../../src/store/state-db.js';
import { openState, someCamera, temporaryDir } from './helpers.js';

const shape = (db: Database.Database): unknown =>
  db.prepare(`select type, name, sql from sqlite_schema where name not like 'sqlite_%' order by type, name`).all();

test('an upgraded database is the same as a fresh one', () => {
  const fresh = new Database(':memory:');
  migrate(fresh);
  for (let from = 1; from <= SCHEMA_VERSION; from++) {
    const old = new Database(':memory:');
    const frozen = from === SCHEMA_VERSION ? freshSchema() : readFrozen(from);
    migrate(old, { schema: frozen, target: from, steps: [] });
    migrate(old);
    expect(old.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION);
    expect(shape(old)).toEqual(shape(fresh));
  }
  expect(MIGRATIONS.map((m) => m.version)).toEqual(Array.from({ length: SCHEMA_VERSION - 1 }, (_, i) => i + 2));
});

function readFrozen(version: number): string {
  return readFileSync(new URL(`./schema-v${version}.sql`, import.meta.url), 'utf8');
}

test('steps run in order, each once, and a failing one leaves the database as it was', () => {
  const db = new Database(':memory:');
  const steps = [
    { version: 2, sql: 'alter table a add column b integer;' },
    { version: 3, sql: 'alter table a add column c integer; insert into nowhere values (1);' },
  ];
  migrate(db, { schema: 'create table a (x integer);', target: 1, steps: [] });
  expect(() => migrate(db, { schema: '', target: 3, steps })).toThrow(/nowhere/);
  expect(db.pragma('user_version', { simple: true })).toBe(2);
  expect(db.prepare('select name from pragma_table_info(?)').pluck().all('a')).toEqual(['x', 'b']);
});

test('refuses a database of a later version, of another program, and a damaged one, with a fix', () => {
  const dir = temporaryDir();
  const path = join(dir, 'state.db');
  new StateDb({ path }).close();
  const raw = new Database(path);
  raw.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  raw.close();
  expect(() => new StateDb({ path })).toThrow(expect.objectContaining({ code: 'STATE_DB_NEWER' }));

  const foreign = join(dir, 'foreign.db');
  const other = new Database(foreign);
  other.exec('create table x (y)');
  other.close();
  expect(() => new StateDb({ path: foreign })).toThrow(expect.objectContaining({ code: 'STATE_DB_FOREIGN' }));

  const broken = join(dir, 'broken.db');
  writeFileSync(broken, Buffer.alloc(8192, 7));
  expect(() => new StateDb({ path: broken })).toThrow(
    expect.objectContaining({ code: 'STATE_DB_CORRUPT', fix: expect.stringContaining('backup') }),
  );
});

test('commits are synchronous: WAL with FULL, set by us', () => {
  const trace = join(temporaryDir(), 'pragmas');
  const script = `
    import { StateDb } from './src/store/state-db.ts';
    import { writeFileSync } from 'node:fs';
    import Database from 'better-sqlite3';
    const seen = [];
    const original = Database.prototype.pragma;
    Database.prototype.pragma = function (text, options) { seen.push(text); return original.call(this, text, options); };
    new StateDb({ path: ${JSON.stringify(join(temporaryDir(), 'state.db'))} }).close();
    writeFileSync(${JSON.stringify(trace)}, seen.join('\\n'));`;
  execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
  const seen = readFileSync(trace, 'utf8').split('\n');
  expect(seen.indexOf('synchronous = FULL')).toBeGreaterThan(seen.indexOf('journal_mode = WAL'));
});

test('credentials cannot be read without the key file, nor moved to another row', () => {
  const dir = temporaryDir();
  const db = openState({ dir });
  const secret = 'S3cret canary passw0rd';
  db.tables.credentials.put({ name: 'device:a', username: 'admin', password: secret, at: 1 });
  expect(db.tables.credentials.get('device:a')).toEqual({ username: 'admin', password: secret });
  expect(db.tables.credentials.get('device:b')).toBeNull();
  expect(statSync(join(dir, 'seal.key')).mode & 0o777).toBe(0o600);
  for (const file of readdirSync(dir)) expect(readFileSync(join(dir, file)).includes(secret)).toBe(false);

  const raw = new Database(join(dir, 'state.db'));
  raw.exec(`insert into credentials select 'device:moved', sealed, set_ms from credentials`);
  raw.close();
  expect(() => db.tables.credentials.get('device:moved')).toThrow(expect.objectContaining({ code: 'SEAL_BROKEN' }));

  writeFileSync(join(dir, 'seal.key'), Buffer.alloc(32, 9).toString('base64'));
  const stolen = openState({ dir });
  expect(() => stolen.tables.credentials.get('device:a')).toThrow(expect.objectContaining({ code: 'SEAL_BROKEN' }));
});

test('a removed password does not stay behind in the file', () => {
  const dir = temporaryDir();
  const db = openState({ dir });
  db.tables.credentials.put({ name: 'device:a', username: 'u', password: 'p', at: 1 });
  const raw = new Database(join(dir, 'state.db'), { readonly: true });
  const sealed = raw.prepare('select sealed from credentials').pluck().get() as Buffer;
  raw.close();
  db.tables.credentials.remove('device:a');
  db.close();
  expect(readFileSync(join(dir, 'state.db')).includes(sealed)).toBe(false);
});

test('cameras keep their order; a removed one comes back with its id, and its name stays known', () => {
  const { cameras } = openState().tables;
  cameras.save(someCamera('a'));
  cameras.save({ ...someCamera('b'), addedAt: 2_000 });
  cameras.save({ ...someCamera('a'), name: 'Front door' });
  expect(cameras.list().map((c) => c.name)).toEqual(['Front door', 'Camera b']);
  cameras.remove({ id: 'a', at: 5 });
  expect(cameras.get('a')).toBeNull();
  expect(cameras.names()).toEqual({ a: 'Front door', b: 'Camera b' });
  expect(() => cameras.remove({ id: 'a', at: 5 })).toThrow(expect.objectContaining({ code: 'CAMERA_UNKNOWN' }));
  cameras.save(someCamera('a'));
  expect(cameras.list()).toHaveLength(2);
});

test('key files are private, written whole and never replaced by accident; names cannot leave the directory', () => {
  const dir = temporaryDir();
  const { files } = openState({ dir }).tables;
  expect(files.get('box.key')).toBeNull();
  expect(files.putIfAbsent({ name: 'box.key', text: 'one' })).toBe('one');
  expect(files.putIfAbsent({ name: 'box.key', text: 'two' })).toBe('one');
  expect(statSync(join(dir, 'box.key')).mode & 0o777).toBe(0o600);
  for (const name of ['../x.key', '/etc/x.key', 'a/b.key', '.key', 'x', 'state.db']) {
    expect(() => files.get(name)).toThrow(expect.objectContaining({ code: 'BAD_NAME' }));
  }
});

test('counters never give a value twice, over a reopening', () => {
  const dir = temporaryDir();
  const first = openState({ dir });
  expect([first.tables.kv.next('n'), first.tables.kv.next('n')]).toEqual([1, 2]);
  first.close();
  expect(openState({ dir }).tables.kv.next('n')).toBe(3);
});
