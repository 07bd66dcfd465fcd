import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { Processes } from '../../src/base/processes.js';
import { motionEvent, type MotionEvent } from '../../src/contract/motion.js';
import { listFragments } from '../../src/media/mp4.js';
import type { AccessUnit } from '../../src/media/stream.js';
import { analyzeFile } from '../../src/motion/analyze.js';
import { createMotion } from '../../src/motion/motion.js';
import { Scene, type Box } from './scene.js';
import { clock, encode, inTemp, processes, unitsOf } from './video.js';

const FPS = 10;

const walker = (s: number, from: number): Box => ({ x: (s - from) * 60 - 20, y: 80, w: 20, h: 50, level: 50 });

/** 40 s of an empty place; a walker crosses at 15 s for 5.7 s, quickly again at 27 s. */
function walks(scene = new Scene({ noise: 3 })): Uint8Array[] {
  return Array.from({ length: 40 * FPS }, (_, i) => {
    const s = i / FPS;
    const boxes = s >= 15 && s < 22 ? [walker(s, 15)] : s >= 27.3 ? [walker(27.3 + (s - 27.3) * 2, 27.3)] : [];
    return scene.frame(boxes);
  });
}

test('adaptive cadence finds what full rate finds, and decodes a fraction of it', async () => {
  await inTemp(async (directory) => {
    const path = join(directory, 'walks.mp4');
    writeFileSync(path, await encode(walks(), { gop: 20 }));
    const adaptive = await analyzeFile({ processes, path });
    const full = await analyzeFile({ processes, path, cadence: 'full' });
    expect(full.events).toHaveLength(2);
    expect(adaptive.events).toHaveLength(2);
    expect(adaptive.duration).toBeCloseTo(40, 0);
    for (const [i, event] of full.events.entries()) {
      expect(Math.abs(adaptive.events[i]!.start - event.start)).toBeLessThanOrEqual(0.4);
      // Told no later than the next key frame and the proof it takes.
      expect(adaptive.events[i]!.decidedAt - event.start).toBeLessThanOrEqual(2.4);
    }
    expect(adaptive.stats.keyFrames).toBeGreaterThan(5);
    expect(adaptive.stats.fullMs).toBeLessThan(0.6 * full.stats.fullMs);
  });
});

/** Both walks, soon after each other. */
const both = (): Uint8Array[] => {
  const all = walks();
  return [...all.slice(110, 230), ...all.slice(260, 340)];
};

/** Its decoders stand still for a good second after their first pictures. */
const halting: Processes = {
  start(spec) {
    const child = processes.start(spec);
    if (!spec.args.includes('pipe:0')) return child;
    let seen = 0;
    child.stdout.on('data', () => {
      if (++seen !== 20) return;
      process.kill(child.pid, 'SIGSTOP');
      setTimeout(() => process.kill(child.pid, 'SIGCONT'), 1_400);
    });
    return child;
  },
};

test.each([
  ['pictures in order', []],
  ['pictures put in order by the decoder', ['-bf', '2']],
])('%s: what is found in a file does not depend on how fast its decoder is', async (_name, extra) => {
  await inTemp(async (directory) => {
    const path = join(directory, 'walks.mp4');
    writeFileSync(path, await encode(both(), { gop: 20, extra }));
    const analysis = await analyzeFile({ processes, path });
    expect(analysis.events).toHaveLength(2);
    expect(await analyzeFile({ processes: halting, path })).toEqual(analysis);
  });
});

test('pictures that cannot be decoded do not shift the times of those that follow', async () => {
  await inTemp(async (directory) => {
    const path = join(directory, 'walks.mp4');
    const video = await encode(both(), { gop: 20 });
    writeFileSync(path, video);
    const { events } = await analyzeFile({ processes, path });
    // The third group of pictures is no H.264 any more, only their sizes are left.
    for (const { offset, bytes } of listFragments(video, video.indexOf('moof', 0, 'latin1') - 4).slice(2, 3)) {
      const mdat = video.indexOf('mdat', offset, 'latin1') + 4;
      for (let at = mdat; at + 5 < offset + bytes;) {
        const length = video.readUInt32BE(at);
        video.fill(0xff, at + 5, at + 4 + length);
        at += 4 + length;
      }
    }
    writeFileSync(path, video);
    const damaged = await analyzeFile({ processes, path });
    expect(damaged.events.at(-1)!.start).toBeCloseTo(events.at(-1)!.start, 1);
    expect(damaged.duration).toBe(20);
  });
});

test('a file without video says so', async () => {
  await inTemp(async (directory) => {
    const path = join(directory, 'no.mp4');
    writeFileSync(path, 'this is not a video');
    await expect(analyzeFile({ processes, path })).rejects.toMatchObject({ code: 'VIDEO_UNREADABLE' });
  });
});

/** Feeds units as fast as the decoders take them, at wall times from `wallMs` on. */
async function feed(
  motion: ReturnType<typeof createMotion>,
  camera: string,
  units: AccessUnit[],
  wallMs: number,
): Promise<void> {
  for (const unit of units) {
    motion.accessUnit(camera, { ...unit, wallMs: wallMs + unit.pts / 90 });
    await motion.idle();
  }
}

test('a camera tells start, updates and end of an event with one id, in wall time', async () => {
  const { format, units } = unitsOf(await encode(walks().slice(0, 26 * FPS), { gop: 20 }));
  const events: MotionEvent[] = [];
  const motion = createMotion({
    clock,
    processes,
    log: silentLog,
    cadence: 'adaptive',
    onEvent: (e) => events.push(e),
  });
  const wall = Date.UTC(2026, 5, 1, 12);
  motion.runStart('gate', format);
  await feed(motion, 'gate', units, wall);
  await motion.stop();
  expect(events.map((e) => motionEvent.parse(e))).toEqual(events);
  expect(events[0]!.phase).toBe('start');
  expect(events.at(-1)!.phase).toBe('end');
  expect(events.filter((e) => e.phase === 'start')).toHaveLength(1);
  expect(new Set(events.map((e) => e.id)).size).toBe(1);
  const start = (Date.parse(events[0]!.start) - wall) / 1000;
  expect(start).toBeGreaterThan(14.5);
  expect(start).toBeLessThan(16);
  const end = (Date.parse(events.at(-1)!.end!) - wall) / 1000;
  expect(end).toBeGreaterThan(19);
  expect(end).toBeLessThan(22);
});

test('a reconnect ends what went on, tells nothing of what changed, and the next walker is found', async () => {
  const before = unitsOf(await encode(walks(new Scene({ seed: 1 })).slice(0, 18 * FPS)));
  const after = unitsOf(await encode(walks(new Scene({ seed: 9, level: 60 })).slice(0, 24 * FPS)));
  const events: MotionEvent[] = [];
  const motion = createMotion({
    clock,
    processes,
    log: silentLog,
    cadence: 'adaptive',
    onEvent: (e) => events.push(e),
  });
  motion.runStart('gate', before.format);
  await feed(motion, 'gate', before.units, 1_000_000);
  expect(events.map((e) => e.phase)).toContain('start');
  motion.runEnd('gate');
  expect(events.at(-1)!.phase).toBe('end');
  const told = events.length;
  motion.runStart('gate', after.format);
  await feed(motion, 'gate', after.units, 2_000_000);
  await motion.stop();
  const later = events.slice(told);
  expect(later.filter((e) => e.phase === 'start')).toHaveLength(1);
  expect(Date.parse(later[0]!.start)).toBeGreaterThan(2_000_000 + 14_500);
});

test('two cameras are told apart, and a removed one is silent', async () => {
  const walking = unitsOf(await encode(walks().slice(0, 24 * FPS)));
  const still = new Scene({ seed: 5 });
  const empty = unitsOf(await encode(Array.from({ length: 24 * FPS }, () => still.frame())));
  const events: MotionEvent[] = [];
  const motion = createMotion({
    clock,
    processes,
    log: silentLog,
    cadence: 'adaptive',
    onEvent: (e) => events.push(e),
  });
  for (const camera of ['gate', 'gone']) motion.runStart(camera, walking.format);
  motion.runStart('yard', empty.format);
  motion.remove('gone');
  for (let i = 0; i < walking.units.length; i++) {
    motion.accessUnit('gate', walking.units[i]!);
    motion.accessUnit('gone', walking.units[i]!);
    motion.accessUnit('yard', empty.units[i]!);
    await motion.idle();
  }
  expect(Object.keys(motion.stats()).sort()).toEqual(['gate', 'yard']);
  expect(motion.stats()['yard']!.keyFrames).toBeGreaterThan(5);
  await motion.stop();
  expect(new Set(events.map((e) => e.camera))).toEqual(new Set(['gate']));
});

test('the word of a camera makes the box look at its pictures, at once and a group back, and at no others', async () => {
  const still = new Scene({ seed: 5 });
  const { format, units } = unitsOf(await encode(Array.from({ length: 12 * FPS }, () => still.frame())));
  const events: MotionEvent[] = [];
  const motion = createMotion({
    ...{ clock, processes, log: silentLog, cadence: 'adaptive', merge: 'either' },
    onEvent: (e) => events.push(e),
  });
  for (const camera of ['gate', 'yard']) motion.runStart(camera, format);
  const [early, late] = [units.slice(0, 95), units.slice(95)];
  for (const camera of ['gate', 'yard']) await feed(motion, camera, early, 0);
  expect(motion.stats()['gate']!.mode).toBe('key');
  motion.cameraMotion('gate', true);
  await motion.idle();
  const { gate, yard } = motion.stats();
  expect(gate!.mode).toBe('full');
  // The group that goes on, from 8 s, and the one before it, from 6 s: 5 pictures a second that nobody had looked at.
  expect(gate!.fullFrames.camera).toBeGreaterThanOrEqual(5);
  expect(yard!.fullFrames.camera).toBe(0);
  await feed(motion, 'gate', late, 0);
  motion.cameraMotion('gate', false);
  await motion.stop();
  expect(events.map((e) => [e.camera, e.phase])).toEqual([
    ['gate', 'start'],
    ['gate', 'end'],
  ]);
});
