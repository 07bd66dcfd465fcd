import { mkdirSync } from 'node:fs';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemClock } from './base/clock.js';
import { BluelightError, errorMessage, toErrorData } from './base/errors.js';
import { createLog, Redactor } from './base/log.js';
import { serve } from './base/rpc.js';
import { memoryOf, type FeedAck, type FeedMessage } from './media/feed.js';
import { signerFromKey } from './proof/keys.js';
import { CheckDesk } from './ring/check-desk.js';
import { Ring } from './ring/ring.js';
import type { ClockTrust } from './ring/types.js';
import type { RingApi, RingData, RingNotes } from './threads.js';

/** Root of the ring thread: the only one that touches the recording disk, so that only it hangs with the disk. */
if (parentPort === null) throw new BluelightError('INTERNAL', 'the ring runs in a thread of its own');
const main: MessagePort = parentPort;
const data = workerData as RingData;
/** A thread without state of its own beside the ring: what is told to it is kept here. */
const told: { trust: ClockTrust; disk: string | undefined } = { trust: 'none', disk: undefined };

const TICK_MS = 250;
const STATUS_MS = 1_000;
/** Bytes, days and gaps of the index are counted so often: they change slowly and cost a query each. */
const COUNT_MS = 5_000;
/** Of each tick, while somebody wants the ring checked: recording comes first. */
const CHECK_MS = 60;
/** So much at most is acknowledged with the next tick only. */
const ACK_BYTES = 8 * 1024 * 1024;

const log = createLog({ redactor: new Redactor(), level: data.logLevel }).child({ thread: 'ring' });
const clock = systemClock((error) => log.error({ error: errorMessage(error) }, 'a periodic task failed'));
/** Changes when the box gets a new key. */
const held = { signer: signerFromKey(data.key) };
const ring = new Ring({
  directory: data.directory,
  create: data.create,
  expectDisk: data.expectDisk,
  clock,
  clockTrust: () => told.trust,
  bootId: data.bootId,
  limits: data.limits,
  segmentMs: data.segmentMs,
  signer: {
    get keyId() {
      return held.signer.keyId;
    },
    sign: (bytes) => held.signer.sign(bytes),
  },
  log,
});

const desk = new CheckDesk(ring, clock);

function tell<K extends keyof RingNotes>(note: K, value: RingNotes[K]): void {
  main.postMessage({ note, value });
}

function tellStatus(): void {
  if (ring.diskId !== undefined && ring.diskId !== told.disk) {
    told.disk = ring.diskId;
    tell('disk', ring.diskId);
  }
  tell('status', ring.status(COUNT_MS));
}

function take(message: FeedMessage): void {
  if (message.kind === 'run') ring.beginRun(message.start);
  else if (message.kind === 'end') ring.endRun(message.stream, message.run, message.reason);
  else ring.appendFragment(message.stream, message.run, message.fragment);
}

// The agent starts even without its disk: cameras, page and alarms work, and the ring goes on trying.
try {
  // A box that never recorded may make the directory; one that did must get its disk back.
  if (data.create && data.expectDisk === undefined) mkdirSync(data.directory, { recursive: true, mode: 0o700 });
  ring.open();
} catch (error) {
  const { code, message, fix } = toErrorData(error);
  log.error({ code, fix }, message);
}

/** What was taken off the queue and is not acknowledged yet. Not each by itself: waking the other thread costs more. */
const taken: FeedAck = { taken: 0, memory: [] };

function acknowledge(): void {
  if (taken.taken === 0) return;
  data.media.postMessage(taken, taken.memory);
  taken.taken = 0;
  taken.memory = [];
}

data.media.on('message', (messages: FeedMessage[]) => {
  for (const message of messages) {
    take(message);
    if (message.kind !== 'fragment') continue;
    taken.taken += message.fragment.bytes.length;
    taken.memory.push(...memoryOf(message.fragment));
  }
  if (taken.taken > ACK_BYTES) acknowledge();
});
clock.every(TICK_MS, () => {
  acknowledge();
  ring.tick();
  desk.step(CHECK_MS);
});
clock.every(STATUS_MS, tellStatus);

serve<RingApi>(main, {
  status: () => ring.status(),
  coverage: ({ stream, fromMs, toMs }) => ring.coverage(stream, fromMs, toMs),
  plan: ({ stream, fromMs, toMs }) => ring.plan(stream, fromMs, toMs),
  outline: ({ stream, fromMs, toMs }) => ring.outline(stream, fromMs, toMs),
  timeline: ({ stream, fromMs, toMs }) => ring.timeline(stream, fromMs, toMs),
  readInit: (hash) => ring.readInit(hash),
  read: (ask) => ring.read(ask),
  checkpoint: (about) => ring.checkpoint(about),
  checkpointsAfter: (ask) => ring.checkpointsAfter(ask),
  newestCheckpoint: () => ring.newestCheckpoint(),
  anchor: ({ stream, seq }) => ring.anchor(stream, seq),
  protect: (protections) => ring.setProtections(protections),
  markMotion: ({ camera, fromMs, toMs }) => ring.markMotion(camera, fromMs, toMs),
  erase() {
    ring.erase();
    // Whoever asked must not be told a second longer of what is gone.
    tellStatus();
  },
  eraseStep: () => ring.eraseStep(),
  setMaximum: (maximumMs) => ring.setLimits({ ...data.limits, maximumMs }),
  useKey: (key) => void (held.signer = signerFromKey(key)),
  startCheck: (ask) => desk.start(ask),
  checkReport: () => desk.report,
  clockTrust: (trust) => void (told.trust = trust),
  stop: () => ring.close(),
});
tellStatus();
