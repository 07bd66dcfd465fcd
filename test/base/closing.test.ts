import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { Closing } from '../../src/base/closing.js';
import { silentLog } from '../../src/base/log.js';
import { useThread } from '../../src/base/thread.js';

const clock = systemClock();
/** Time passes at once. */
const hurried = { ...clock, sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms / 100, signal) };

test('every step is done in reverse order, whatever fails or hangs', async () => {
  const done: string[] = [];
  const closing = new Closing(hurried, silentLog);
  closing.add('store', () => done.push('store'));
  closing.add('disk', () => new Promise(() => undefined));
  closing.add('ring', () => Promise.reject(new Error('dead')));
  closing.add('cameras', () => {
    throw new Error('dead');
  });
  closing.add('page', async () => {
    await clock.sleep(5);
    done.push('page');
  });
  expect(await closing.run()).toEqual(['disk']);
  expect(done).toEqual(['page', 'store']);
  expect(await closing.run()).toEqual([]);
});

function thread(code: string): { deaths: Error[]; died: Promise<Error>; used: ReturnType<typeof useThread<Api>> } {
  const deaths: Error[] = [];
  let tell: (error: Error) => void = () => undefined;
  const died = new Promise<Error>((resolve) => (tell = resolve));
  const used = useThread<Api>(new Worker(code, { eval: true }), clock, {
    name: 'the thread',
    deadlineMs: 20_000,
    onNote: () => undefined,
    onDeath(error) {
      deaths.push(error);
      tell(error);
    },
  });
  return { deaths, died, used };
}

type Api = { ask(_: undefined): number };

test.each([
  ['throws', `require('worker_threads').parentPort.on('message', () => { throw new Error('broken') })`, 'broken'],
  ['ends by itself', `require('worker_threads').parentPort.once('message', () => process.exit(0))`, 'by itself'],
])('a thread that %s is told once, and to whoever waits for it', async (_, code, says) => {
  const { deaths, died, used } = thread(code);
  await expect(used.api.ask(undefined)).rejects.toThrow(says);
  expect((await died).message).toContain(says);
  await expect(used.api.ask(undefined)).rejects.toThrow();
  await used.end();
  expect(deaths).toHaveLength(1);
});

test('a thread that was ended is not a death', async () => {
  const { deaths, used } = thread(`require('worker_threads').parentPort.on('message', () => undefined)`);
  await used.end();
  expect(deaths).toEqual([]);
});
