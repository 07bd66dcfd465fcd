import { MessageChannel } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { BluelightError } from '../../src/base/errors.js';
import { connect, onNotes, serve } from '../../src/base/rpc.js';

const channels: MessageChannel[] = [];
afterEach(() => channels.splice(0).forEach((c) => c.port1.close()));

const api = {
  add: ({ a, b }: { a: number; b: number }) => a + b,
  bytes: (n: number) => new Uint8Array(n).fill(7),
  fill: ({ into }: { into: ArrayBuffer }) => new Uint8Array(into, 10, 20).fill(7),
  refuse: (_: undefined): never => {
    throw new BluelightError('DISK_FULL', 'the disk is full', { fix: 'make room' });
  },
  hang: (_: undefined) => new Promise<void>(() => undefined),
};

function pair(deadlineMs = 1_000) {
  const channel = new MessageChannel();
  channels.push(channel);
  serve(channel.port2, api);
  return {
    client: connect<typeof api>(channel.port1, systemClock(), { name: 'ring', deadlineMs }),
    far: channel.port2,
  };
}

test('calls cross with their results and buffers', async () => {
  const { client } = pair();
  expect(await client.api.add({ a: 2, b: 3 })).toBe(5);
  expect((await client.api.bytes(100_000))[99_999]).toBe(7);
});

test('memory that is handed over for an answer goes there and comes back with it', async () => {
  const into = new ArrayBuffer(100);
  const filled = await pair().client.api.fill({ into });
  expect(into.byteLength).toBe(0);
  expect([filled.length, filled.buffer.byteLength]).toEqual([20, 100]);
  expect(new Uint8Array(filled.buffer).filter((byte) => byte === 7).length).toBe(20);
});

test('errors keep their code and fix', async () => {
  await expect(pair().client.api.refuse(undefined)).rejects.toMatchObject({ code: 'DISK_FULL', fix: 'make room' });
});

test('a thread that hangs does not hang its caller', async () => {
  await expect(pair(20).client.api.hang(undefined)).rejects.toMatchObject({ code: 'THREAD_SLOW', retryable: true });
});

test('a thread that died answers every caller with why', async () => {
  const { client } = pair();
  const waiting = client.api.hang(undefined);
  client.fail(new BluelightError('THREAD_DIED', 'gone'));
  await expect(waiting).rejects.toMatchObject({ code: 'THREAD_DIED' });
  await expect(client.api.add({ a: 1, b: 1 })).rejects.toMatchObject({ code: 'THREAD_DIED' });
});

test('notes go one way', async () => {
  const { client, far } = pair();
  const noted = new Promise((resolve) => onNotes(far, (name, value) => resolve([name, value])));
  client.note('cameras', ['door']);
  expect(await noted).toEqual(['cameras', ['door']]);
});
