import { afterEach, beforeAll, expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog, type Log } from '../../src/base/log.js';
import type { Processes } from '../../src/base/processes.js';
import type { MotionEvent } from '../../src/contract/motion.js';
import type { AccessUnit, VideoFormat } from '../../src/media/stream.js';
import { createMotion, type Motion } from '../../src/motion/motion.js';
import { Scene } from './scene.js';
import { encode, processes, unitsOf } from './video.js';

const FPS = 10;
/** Somebody walks through from 6 s to 11.7 s, and again from 24 s. */
const WALKS = [6, 24];
let video: { format: VideoFormat; units: AccessUnit[] };

beforeAll(async () => {
  const scene = new Scene({ noise: 3 });
  const frames = Array.from({ length: 32 * FPS }, (_, i) => {
    const s = i / FPS;
    return scene.frame(WALKS.map((from) => ({ x: (s - from) * 60 - 20, y: 80, w: 20, h: 50, level: 50 })));
  });
  video = unitsOf(await encode(frames, { gop: FPS }));
});

interface Rig {
  clock: FakeClock;
  motion: Motion;
  events: MotionEvent[];
  warnings: string[];
  /** Since when nothing of it is seen, and null when it is again. */
  blind: (number | null)[];
  pids: number[];
  /** Every decoder that starts from now on stands still at once. */
  halt: { on: boolean };
  /** Feeds the stream from one second to another, with time passing as it does for a camera. */
  feed(from: number, to: number, options?: { wait?: boolean }): Promise<void>;
}

let open: Motion | undefined;

afterEach(async () => {
  await open?.stop();
});

function rig(random?: () => number): Rig {
  const clock = new FakeClock(Date.UTC(2026, 5, 1, 12));
  const [events, warnings, pids, blind] = [
    [] as MotionEvent[],
    [] as string[],
    [] as number[],
    [] as (number | null)[],
  ];
  const halt = { on: false };
  const log: Log = { ...silentLog, warn: (_data, text) => void warnings.push(text) };
  const started: Processes = {
    start(spec) {
      const child = processes.start(spec);
      pids.push(child.pid);
      if (halt.on) process.kill(child.pid, 'SIGSTOP');
      return child;
    },
  };
  const motion = (open = createMotion({
    ...{ clock, processes: started, log, cadence: 'adaptive', random },
    onEvent: (event) => events.push(event),
    onBlind: (_camera, sinceMs) => blind.push(sinceMs),
  }));
  motion.runStart('gate', video.format);
  return {
    ...{ clock, motion, events, warnings, blind, pids, halt },
    async feed(from, to, { wait = true } = {}) {
      for (const unit of video.units.slice(from * FPS, to * FPS)) {
        motion.accessUnit('gate', { ...unit, wallMs: clock.now(), monoMs: clock.monotonic() });
        if (wait) await motion.idle();
        await clock.advance(1000 / FPS);
      }
    },
  };
}

function stopIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGSTOP');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Which child looks at every frame: a camera begins with it, and it is used again when something stirs. */
const EVERY_FRAME = 0;
const phases = (events: MotionEvent[]): string[] =>
  events.map((event) => event.phase).filter((one) => one !== 'update');
/** Of the first walk: where the stream stood when it was last seen. */
const LAST = Date.UTC(2026, 5, 1, 12) + 9_000;

test('a decoder that stands still is replaced, with a word, and the event that it held ends', async () => {
  const { events, warnings, feed, pids } = rig();
  await feed(0, 9);
  expect(phases(events)).toEqual(['start']);
  const before = pids.length;
  process.kill(pids[EVERY_FRAME]!, 'SIGSTOP');
  await feed(9, 20, { wait: false });
  await feed(20, 32);
  expect(warnings.join()).toMatch(/does not answer/);
  expect(pids.length).toBeGreaterThan(before);
  // The second walk is seen by the decoder that came in its place.
  expect(phases(events)).toEqual(['start', 'end', 'start', 'end']);
});

test('a machine that is too slow for a while tells late, and the event ends where it ended', async () => {
  const { events, feed, pids } = rig();
  await feed(0, 8);
  expect(phases(events)).toEqual(['start']);
  process.kill(pids.at(-1)!, 'SIGSTOP');
  await feed(8, 16, { wait: false });
  expect(phases(events)).toEqual(['start']);
  process.kill(pids.at(-1)!, 'SIGCONT');
  await feed(16, 18);
  expect(phases(events)).toEqual(['start', 'end']);
  expect(Math.abs(Date.parse(events.at(-1)!.end!) - Date.UTC(2026, 5, 1, 12) - 11_700)).toBeLessThan(500);
});

test('a decoder that dies while none may be started leaves the camera watched, and its event ends', async () => {
  const { clock, motion, events, warnings, pids } = rig(() => 1);
  const give = async (from: number, to: number): Promise<void> => {
    for (const unit of video.units.slice(from * FPS, to * FPS)) {
      motion.accessUnit('gate', { ...unit, wallMs: clock.now() + unit.pts / 90, monoMs: 0 });
      await motion.idle();
    }
  };
  await give(0, 8);
  expect(phases(events)).toEqual(['start']);
  process.kill(pids[EVERY_FRAME]!, 'SIGKILL');
  await expect.poll(() => warnings.join(), { timeout: 10_000 }).toMatch(/ended by itself/);
  // No time passes: the pause before another one is started is not over.
  await give(8, 16);
  expect(phases(events)).toEqual(['start', 'end']);
});

test('an event ends where it was last seen when no decoder works any more; that is told, and so is the end of it', async () => {
  const { clock, motion, events, blind, feed, pids, halt } = rig();
  await feed(0, 9);
  expect(phases(events)).toEqual(['start']);
  halt.on = true;
  for (const pid of pids) stopIfThere(pid);
  await feed(9, 30, { wait: false });
  await clock.advance(15_000);
  expect(phases(events)).toEqual(['start', 'end']);
  expect(Math.abs(Date.parse(events.at(-1)!.end!) - LAST)).toBeLessThan(1_000);
  expect(blind).toHaveLength(1);
  // It is looked after every five seconds.
  expect(blind[0]! - LAST).toBeGreaterThanOrEqual(0);
  expect(blind[0]! - LAST).toBeLessThanOrEqual(5_000);
  halt.on = false;
  motion.runStart('gate', video.format);
  await feed(0, 4, { wait: false });
  for (let i = 0; i < 4 && blind.length < 2; i++) {
    await open!.idle();
    await feed(4 + i, 5 + i, { wait: false });
  }
  expect(blind.at(-1)).toBeNull();
});

test('a machine that starts no process any more does not hurt who hands over pictures', async () => {
  const clock = new FakeClock(0);
  const refusing: Processes = {
    start: () => {
      throw new BluelightError('PROCESS_START', 'no memory');
    },
  };
  const blind: (number | null)[] = [];
  const motion = (open = createMotion({
    ...{ clock, processes: refusing, log: silentLog, cadence: 'adaptive' },
    onEvent: () => undefined,
    onBlind: (_camera, sinceMs) => blind.push(sinceMs),
  }));
  motion.runStart('gate', video.format);
  for (const unit of video.units) {
    motion.accessUnit('gate', unit);
    await clock.advance(1000 / FPS);
  }
  expect(blind).toHaveLength(1);
});

test('a camera from which nothing comes any more, without a word, has no event that goes on', async () => {
  const { clock, events, feed } = rig();
  await feed(0, 9);
  expect(phases(events)).toEqual(['start']);
  await clock.advance(30_000);
  expect(phases(events)).toEqual(['start', 'end']);
  expect(Math.abs(Date.parse(events.at(-1)!.end!) - LAST)).toBeLessThan(1_000);
});
