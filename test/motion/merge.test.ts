import { expect, test } from 'vitest';
import { Merger, type MergeMode, type Told } from '../../src/motion/merge.js';
import { Throttle } from '../../src/motion/throttle.js';

const note = (phase: Told['phase'], start: number, now: number): Told => ({
  ...{ phase, start: start * 1000, decidedAt: now * 1000, end: now * 1000 },
  ...{ score: 0.9, reason: 'large object' },
});
const brief = (list: Told[]): (string | number)[] =>
  list.map((one) => `${one.phase} ${one.start / 1000}${one.phase === 'end' ? `-${one.end / 1000}` : ''}`);

function merger(mode: MergeMode): {
  m: Merger;
  out: Told[];
  ours: (p: Told['phase'], s: number, n: number) => void;
  camera: (on: boolean, at: number) => void;
  tick: (at: number) => void;
} {
  const m = new Merger();
  m.mode = mode;
  const out: Told[] = [];
  return {
    m,
    out,
    ours: (phase, start, now) => out.push(...m.ours(note(phase, start, now))),
    camera: (on, at) => out.push(...m.camera(on, at * 1000)),
    tick: (at) => out.push(...m.tick(at * 1000)),
  };
}

test('ours alone: the camera is heard and not told', () => {
  const { out, ours, camera, m } = merger('ours');
  camera(true, 5);
  expect(m.cameraSees).toBe(true);
  ours('start', 10, 11);
  ours('end', 10, 20);
  camera(false, 30);
  expect(brief(out)).toEqual(['start 10', 'end 10-20']);
});

test('either: what overlaps is one event, from the first word to the last', () => {
  const { out, ours, camera } = merger('either');
  camera(true, 8);
  ours('start', 9, 11);
  ours('end', 9, 20);
  camera(false, 25);
  camera(true, 60);
  camera(false, 64);
  ours('start', 100, 101);
  ours('end', 100, 105);
  expect(brief(out)).toEqual(['start 8', 'update 8', 'end 8-25', 'start 60', 'end 60-64', 'start 100', 'end 100-105']);
  expect(out[0]!.reason).toBe('the camera tells of motion');
  expect(out[1]!.reason).toBe('large object');
});

test('both: ours is told when the camera tells the same, not without it', () => {
  const { out, ours, camera } = merger('both');
  camera(false, 0);
  ours('start', 10, 11);
  ours('end', 10, 20);
  expect(out).toEqual([]);
  ours('start', 30, 31);
  camera(true, 33);
  camera(false, 34);
  ours('end', 30, 45);
  camera(true, 60);
  camera(false, 62);
  ours('start', 63, 64);
  ours('end', 63, 70);
  expect(brief(out)).toEqual(['start 30', 'end 30-45', 'start 63', 'end 63-70']);
});

test('both, and a camera that tells nothing or nothing any more: ours is told, never silence', () => {
  const { m, out, ours, camera } = merger('both');
  ours('start', 10, 11);
  ours('end', 10, 20);
  camera(true, 100);
  camera(false, 101);
  m.cameraLost(200_000);
  ours('start', 300, 301);
  ours('end', 300, 310);
  expect(brief(out)).toEqual(['start 10', 'end 10-20', 'start 300', 'end 300-310']);
});

test('a camera stuck in its state is let go until it takes it back', () => {
  const { m, out, camera, ours, tick } = merger('either');
  camera(true, 0);
  for (let t = 5; t <= 400; t += 5) tick(t);
  expect(brief(out)).toEqual(['start 0', 'end 0-120']);
  expect(m.cameraSees).toBe(false);
  ours('start', 500, 501);
  ours('end', 500, 510);
  camera(false, 600);
  camera(true, 700);
  expect(brief(out).slice(2)).toEqual(['start 500', 'end 500-510', 'start 700']);
});

test('event after event becomes one long event and a storm, until it is calm', () => {
  const throttle = new Throttle();
  const out: Told[] = [];
  for (let i = 0; i < 200; i++) {
    out.push(...throttle.take(note('start', i * 10, i * 10 + 1), (i * 10 + 1) * 1000));
    out.push(...throttle.take(note('end', i * 10, i * 10 + 5), (i * 10 + 5) * 1000));
    out.push(...throttle.tick((i * 10 + 6) * 1000));
  }
  expect(throttle.stormSince).toBe(1_000);
  // 39 as they are, then one start and an update a minute.
  expect(out.length).toBeLessThan(2 * 39 + 1 + 30);
  const ends = throttle.tick(2_500_000);
  expect(brief(ends)).toEqual(['end 390-1995']);
  expect(throttle.stormSince).toBeUndefined();
  const after = throttle.take(note('start', 3_000, 3_001), 3_001_000);
  expect(brief(after)).toEqual(['start 3000']);
  const balance = [...out, ...ends].reduce(
    (n, one) => n + (one.phase === 'start' ? 1 : one.phase === 'end' ? -1 : 0),
    0,
  );
  expect(balance).toBe(0);
});

test('a busy but ordinary camera is not throttled; one event without end is said', () => {
  const throttle = new Throttle();
  for (let i = 0; i < 100; i++) {
    expect(throttle.take(note('start', i * 20, i * 20), i * 20_000)).toHaveLength(1);
    expect(throttle.take(note('end', i * 20, i * 20 + 15), i * 20_000 + 15_000)).toHaveLength(1);
  }
  throttle.take(note('start', 10_000, 10_000), 10_000_000);
  throttle.tick(10_000_000 + 3_600_000);
  expect(throttle.stormSince).toBeUndefined();
  throttle.tick(10_000_000 + 7_300_000);
  expect(throttle.stormSince).toBe(10_000_000);
  throttle.take(note('end', 10_000, 17_301), 17_301_000);
  throttle.tick(17_400_000);
  expect(throttle.stormSince).toBeUndefined();
});
