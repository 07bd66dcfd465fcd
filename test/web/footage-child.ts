import { generateKeyPairSync } from 'node:crypto';
import { MessageChannel, Worker } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.js';
import { useThread } from '../../src/base/thread.js';
import { Footage } from '../../src/ring/footage.js';
import type { RingApi, RingData } from '../../src/threads.js';
import { limits } from '../ring/support/rig.js';
import { serveFootage } from './real-footage.js';

/** Serves a ring as the agent does, the ring in its own built thread; prints its socket, and its memory on each line read. */
const clock = systemClock();
const channel = new MessageChannel();
const data: RingData = {
  media: channel.port2,
  key: generateKeyPairSync('ed25519').privateKey,
  logLevel: 'silent',
  directory: process.argv[2]!,
  create: false,
  expectDisk: undefined,
  segmentMs: 10_000,
  bootId: 'boot-2',
  limits: limits({}),
};
const worker = new Worker(new URL('../../dist/ring-thread.js', import.meta.url), {
  workerData: data,
  transferList: [channel.port2],
});
const ring = useThread<RingApi>(worker, clock, {
  name: 'the ring',
  deadlineMs: 10_000,
  onNote: () => undefined,
  onDeath: (error) => {
    throw error;
  },
});
const server = await serveFootage(new Footage(ring.api, clock));
process.stdout.write(`${server.running.socket}\n`);
let highest = 0;
setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 20);
process.stdin.on('data', () => {
  process.stdout.write(`${highest}\n`);
  highest = 0;
});
process.stdin.on('end', () => void server.stop().then(() => process.exit(0)));
