import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { openStore, type OpenStore } from '../../src/store/client.js';
import { localStore } from '../../src/store/local.js';
import { note, openState, someCamera, temporaryDir } from './helpers.js';

// Node 20 does not apply `--import tsx` in workers, so the thread registers the loader itself.
const boot = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(
  new URL('../../src/store/worker.ts', import.meta.url).href,
)}); });`;
const start: NonNullable<OpenStore['start']> = (workerData) => new Worker(boot, { eval: true, workerData });
const clock = systemClock();

test('the store works from its own thread, and what it acknowledged is there after a reopening', async () => {
  const path = join(temporaryDir(), 'state.db');
  const store = await openStore({ path, clock, start, deadlineMs: 15_000 });
  await store.cameras.save(someCamera('gate'));
  await store.credentials.put({ name: 'device:x', username: 'a', password: 'b', at: 1 });
  const row = await store.audit.append(note());
  await expect(store.cameras.remove({ id: 'none', at: 1 })).rejects.toMatchObject({
    code: 'CAMERA_UNKNOWN',
    fix: expect.any(String),
  });
  await store.close();
  const again = await openStore({ path, clock, start, deadlineMs: 15_000 });
  onTestFinished(() => again.close());
  expect(await again.cameras.list()).toEqual([someCamera('gate')]);
  expect(await again.credentials.get('device:x')).toEqual({ username: 'a', password: 'b' });
  expect(await again.audit.head()).toEqual({ seq: 1, link: row.link });
});

test('what goes wrong at the opening reaches the caller with its code', async () => {
  const path = join(temporaryDir(), 'state.db');
  writeFileSync(path, Buffer.alloc(4096, 3));
  await expect(openStore({ path, clock, start, deadlineMs: 15_000 })).rejects.toMatchObject({
    code: 'STATE_DB_CORRUPT',
  });
});

test('a thread that dies fails its callers instead of leaving them waiting', async () => {
  let died: Error | undefined;
  const worker: { it?: Worker } = {};
  const store = await openStore({
    path: join(temporaryDir(), 'state.db'),
    clock,
    deadlineMs: 15_000,
    start: (data) => (worker.it = start(data)),
    onDeath: (error) => (died = error),
  });
  const pending = store.audit.head();
  await worker.it!.terminate();
  await Promise.allSettled([pending]);
  await expect(store.cameras.list()).rejects.toMatchObject({ code: 'STORE_STOPPED' });
  expect(died).toMatchObject({ code: 'STORE_STOPPED' });
});

test('the same API in this thread', async () => {
  const store = localStore(openState());
  await store.kv.put({ key: 'a', value: { b: 1 } });
  expect(await store.kv.get('a')).toEqual({ b: 1 });
});
