import { expect, test } from 'vitest';
import { planForecast, ratesOf, type StreamRate } from '../../src/ring/forecast.js';
import type { RingStatus } from '../../src/ring/types.js';
import { agedStatus } from '../../src/ring/status.js';
import { limits, Rig } from './support/rig.js';

const DAY = 86_400_000;
/** Mbit/s as bytes in a ms. */
const mbit = (rate: number): number => (rate * 1e6) / 8 / 1000;

function cameras(count: number, mainMbit: number, subMbit: number, motionShare: number): StreamRate[] {
  return Array.from({ length: count }, (_, i) => [
    { camera: `cam-${i}`, role: 'main' as const, bytesPerMs: mbit(mainMbit), motionShare },
    ...(subMbit === 0 ? [] : [{ camera: `cam-${i}`, role: 'sub' as const, bytesPerMs: mbit(subMbit), motionShare: 0 }]),
  ]).flat();
}

test('without tiers a disk holds its size divided by what comes in a day', () => {
  const [first] = planForecast(cameras(4, 2, 0, 0), 2e12, limits({}));
  // 4 cameras of 2 Mbit/s are 86.4 GB a day.
  expect(first!.days).toBeCloseTo(2e12 / 86.4e9, 1);
});

test('tiers: seven days of originals, then motion and the substream to thirty, fit on 2 TB', () => {
  const rules = limits({ originalsMs: 7 * DAY, keepMs: 30 * DAY });
  const needed = 7 * 86.4e9 + 23 * 86.4e9 * 0.3 + 30 * 4 * mbit(0.4) * DAY;
  const [fits] = planForecast(cameras(4, 2, 0.4, 0.3), needed + 1e9, rules);
  expect(fits).toMatchObject({ days: 30, originalsDays: 7 });
  const [short] = planForecast(cameras(4, 2, 0.4, 0.3), needed * 0.9, rules);
  expect(short!.days).toBeLessThan(30);
  expect(short!.originalsDays).toBe(7);
  const [tiny] = planForecast(cameras(4, 2, 0.4, 0.3), 3 * (86.4e9 + 4 * mbit(0.4) * DAY), rules);
  expect(tiny).toMatchObject({ days: 3, originalsDays: 3 });
});

test('what the law takes from one camera is room for the others', () => {
  const rules = limits({ maximumMs: { 'cam-0': DAY } });
  const [first, second] = planForecast(cameras(2, 4, 0, 0), 20 * mbit(4) * DAY, rules);
  expect(first).toMatchObject({ days: 1, legalDays: 1 });
  expect(second).toMatchObject({ days: 19, legalDays: null });
});

test('a new camera has a forecast from what it sends; one that has recorded, from what is kept', () => {
  const rig = new Rig({ limits: limits({ quotaBytes: 1e9 }) }).open();
  rig.ring.setProtections([]);
  const sent = new Map([['a.main', 50]]);
  expect(ratesOf(rig.ring.status(), sent)).toEqual([{ camera: 'a', role: 'main', bytesPerMs: 50, motionShare: 0.3 }]);
  rig.begin('a.main');
  rig.record(700);
  const { bytesPerMs } = ratesOf(rig.ring.status(), sent)[0]!;
  const { bytes, durationMs } = rig.ring.status().streams[0]!;
  expect(bytesPerMs).toBeCloseTo(bytes / durationMs, 5);
  expect(rig.ring.status().roomBytes).toBeGreaterThan(0.98e9);
  expect(rig.ring.status().roomBytes).toBeLessThanOrEqual(1e9);
  rig.remove();
});

test('the share of motion is counted from what was recorded', () => {
  const rig = new Rig().open();
  rig.ring.setProtections([]);
  const start = rig.clock.wall;
  rig.begin('a.main');
  rig.record(3_700);
  rig.ring.markMotion('a', start, start + 1_849_000);
  rig.record(120);
  expect(rig.ring.status().streams[0]!.motionShare).toBeCloseTo(0.49, 1);
  rig.remove();
});

test('a ring that says nothing new has a disk that hangs, and its footage grows old', () => {
  const rig = new Rig().open();
  rig.begin('a.main');
  rig.record(5);
  const said: RingStatus = rig.ring.status();
  const { committedAgeMs } = said.streams[0]!;
  expect(agedStatus(said, 1_000)).toMatchObject({ state: 'ok', problem: null });
  const late = agedStatus(said, 20_000);
  expect(late).toMatchObject({ state: 'hung', problem: 'the recording disk has not answered for 20 s' });
  expect(late.streams[0]!.committedAgeMs).toBe(committedAgeMs! + 20_000);
  rig.remove();
});
