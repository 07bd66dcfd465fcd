import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { systemClock } from './base/clock.js';
import { BluelightError, errorMessage } from './base/errors.js';
import { ulid } from './base/ids.js';
import { measureLoopDelay } from './base/loop-delay.js';
import { createLog, Redactor } from './base/log.js';
import { systemProcesses } from './base/processes.js';
import { Questions } from './base/questions.js';
import { onNotes, serve } from './base/rpc.js';
import { createIngest } from './ingest/ingest.js';
import type { Admission, IngestCamera } from './ingest/ports.js';
import { LiveFan, type LiveListener, type LiveMessage } from './ingest/live.js';
import { BufferPool } from './media/buffers.js';
import { Feed, type FeedAck } from './media/feed.js';
import type { StreamSink } from './media/stream.js';
import { createMotion } from './motion/motion.js';
import type { MediaApi, MediaData, MediaNotes, WatchNote } from './threads.js';

/**
 * Root of the media thread: cameras in, fragments out to the ring, pictures into motion, live view to who watches.
 * It never touches a disk.
 */
if (parentPort === null) throw new BluelightError('INTERNAL', 'media runs in a thread of its own');
const main: MessagePort = parentPort;
/** Unused memory for fragments, at most: what a few seconds of many cameras need. */
const POOL_BYTES = 32 * 1024 * 1024;
const data = workerData as MediaData;

const redactor = new Redactor();
const log = createLog({ redactor, level: data.logLevel }).child({ thread: 'media' });
const clock = systemClock((error) => log.error({ error: errorMessage(error) }, 'a periodic task failed'));
const processes = systemProcesses(clock);

function tell<K extends keyof MediaNotes>(note: K, value: MediaNotes[K]): void {
  main.postMessage({ note, value });
}

/** Fragments travel to the ring in this memory, and it comes back. */
const pool = new BufferPool(POOL_BYTES);
const feed = new Feed({
  post: (messages, memory) => data.ring.postMessage(messages, memory),
  later: (work) => void setImmediate(work),
  limitBytes: data.queueBytes,
  newRunId: () => ulid(clock.now()),
});
data.ring.on('message', (ack: FeedAck) => {
  feed.ack(ack);
  for (const memory of ack.memory) pool.give(memory);
});

const motion =
  data.cadence === undefined
    ? undefined
    : createMotion({
        ...{ clock, processes, log, cadence: data.cadence, merge: data.merge },
        onEvent: (event) => tell('motion', event),
        onSight: (camera, sight) => tell('sight', { camera, ...sight }),
        onStorm: (camera, sinceMs) => tell('storm', { camera, sinceMs }),
        onBlind: (camera, sinceMs) => tell('blind', { camera, sinceMs }),
        onView: (camera, view) => tell('view', { camera, view }),
      });

const fan = new LiveFan();
const watching = new Map<string, () => void>();

/** Motion looks at the substream, or at the main stream of a camera that has no other; at none if it is off. */
const looksAt = new Set<string>();

const sink: StreamSink = {
  run(start) {
    feed.run(start);
    fan.run(start);
    if (looksAt.has(start.stream)) motion?.runStart(start.camera, start.format);
  },
  accessUnit(stream, unit) {
    if (looksAt.has(stream)) motion?.accessUnit(cameraOf(stream), unit);
  },
  fragment(stream, run, fragment) {
    // First whoever takes a copy: the feed gives the memory away.
    fan.fragment(stream, fragment);
    feed.fragment(stream, run, fragment);
  },
  runEnd(stream, run, reason, detail) {
    feed.end(stream, run, reason, detail);
    fan.take({ stream, kind: 'paused', reason, detail });
    if (looksAt.has(stream)) motion?.runEnd(cameraOf(stream));
  },
};

const admissions = new Questions<Admission>();

const ingest = createIngest({
  clock,
  processes,
  log,
  redactor,
  sink,
  pool,
  basicLogin: data.basicLogin,
  onStatus: (status) => tell('status', status),
  onRefused: (camera, login) => tell('refused', { camera, login }),
  admit: (camera, sinceMono) => admissions.ask((ask) => tell('admit', { ask, camera, sinceMono })),
});

function setCameras(cameras: IngestCamera[]): void {
  const known = new Set(looksAt);
  looksAt.clear();
  for (const camera of motion === undefined ? [] : cameras) {
    const role = camera.streams.some((stream) => stream.role === 'sub') ? 'sub' : 'main';
    looksAt.add(`${camera.id}.${role}`);
  }
  for (const stream of known) if (!looksAt.has(stream)) motion?.remove(cameraOf(stream));
  ingest.setCameras(
    cameras.map((camera) => ({
      ...camera,
      streams: camera.streams.map((stream) => ({ ...stream, engine: stream.engine ?? data.engine })),
    })),
  );
}

serve<MediaApi>(main, {
  setCameras,
  setView: ({ camera, view }) => (view === null ? motion?.acceptView(camera) : motion?.restoreView(camera, view)),
  cameraMotion: ({ camera, active }) => motion?.cameraMotion(camera, active ?? undefined),
  setZones: ({ camera, zones, timeZone }) => motion?.setZones(camera, zones, timeZone),
  loopDelay: (ms) => measureLoopDelay(clock, ms),
  refuse: ({ camera, login }) => ingest.refuse(camera, login),
  admitted: ({ ask, admission }) => admissions.answer(ask, admission),
  async stop() {
    await ingest.stop();
    feed.flush();
    await motion?.stop();
  },
});

onNotes(main, (name, value) => {
  if (name !== 'watch') return;
  const { stream, on } = value as WatchNote;
  watching.get(stream)?.();
  watching.delete(stream);
  if (on) watching.set(stream, fan.subscribe(stream, relay(stream)));
});

function relay(stream: string): LiveListener {
  const send = (message: LiveMessage): void => tell('live', message);
  return {
    run: (run) => send({ stream, kind: 'run', run }),
    fragment: (fragment) => send({ stream, kind: 'fragment', fragment }),
    paused: (reason, detail) => send({ stream, kind: 'paused', reason, detail }),
  };
}

function cameraOf(stream: string): string {
  return stream.slice(0, stream.lastIndexOf('.'));
}
