import { describe, expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { BluelightError } from '../../src/base/errors.js';
import { AlarmDesk } from '../../src/health/alarms.js';
import { diskFacts, type DiskReading, type DisksReading } from '../../src/health/disk-faults.js';
import { StateWatch } from '../../src/health/state-watch.js';

const disk: DiskReading = {
  state: 'ok',
  problem: null,
  usedBytes: 25,
  quotaBytes: 100,
  freeBytes: 1,
  floorShare: 1,
  evicting: 'possible',
  damagedSegments: 0,
  forecast: [{ camera: 'north', days: 9, originalsDays: 7, legalDays: null }],
  streams: [],
};
const fine: DisksReading = { disk, state: { silentMs: 0, problem: null }, uptimeS: 100, promiseDays: 7 };
const kinds = (some: Partial<DiskReading>, more: Partial<DisksReading> = {}): string[] =>
  diskFacts({ ...fine, disk: { ...disk, ...some }, ...more }).map((fact) => fact.kind);

test('a disk that is well raises nothing, nor does one that is being indexed', () => {
  expect(kinds({})).toEqual([]);
  expect(kinds({ state: 'rebuilding' })).toEqual([]);
});

test.each([
  ['full', { state: 'full' }, ['disk.full']],
  ['giving errors', { state: 'failed' }, ['disk.failed']],
  ['not there', { state: 'missing' }, ['disk.missing']],
  ['that of another box', { state: 'wrong' }, ['disk.wrong']],
  ['frozen', { state: 'hung' }, ['disk.hung']],
  ['full of holds', { evicting: 'nothing_left' }, ['disk.held']],
  ['too small for the floors', { floorShare: 0.5 }, ['disk.floor']],
  ['forgetful', { damagedSegments: 3 }, ['disk.damaged']],
])('a disk that is %s has its own kind of alarm', (_, some, expected) => {
  expect(kinds(some)).toEqual(expected);
});

test('a disk that takes less than comes is slow', () => {
  const stream = { stream: 'a.main', committedAgeMs: 1, oldestMs: 1, gapSeconds24h: 1 };
  expect(kinds({ streams: [{ ...stream, openGap: 'disk_slow' }] })).toEqual(['disk.slow']);
  expect(kinds({ streams: [{ ...stream, openGap: 'camera_offline' }] })).toEqual([]);
});

test('the promise is held against each camera, and against the law where that allows less', () => {
  const of = (days: number, legalDays: number | null) => ({ camera: 'a', days, originalsDays: 1, legalDays });
  expect(kinds({ forecast: [of(6.9, null)] })).toEqual(['retention.below_promise']);
  expect(kinds({ forecast: [of(3, 3)] })).toEqual([]);
  expect(kinds({ forecast: [of(2, 3)] })).toEqual(['retention.below_promise']);
});

test('a ring that never said a word hangs, after a while', () => {
  expect(diskFacts({ ...fine, disk: null, uptimeS: 3 })).toEqual([]);
  expect(diskFacts({ ...fine, disk: null, uptimeS: 9 }).map((fact) => fact.kind)).toEqual(['disk.hung']);
});

test('one fault is one alarm however often it is told, and it clears by itself', async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const desk = new AlarmDesk({ clock, onChange: (alarm, state) => said.push(`${alarm.kind} ${state}`) });
  for (let i = 0; i < 20; i++) {
    desk.settle(diskFacts({ ...fine, disk: { ...disk, state: 'failed' } }));
    await clock.advance(2_000);
  }
  for (let i = 0; i < 4; i++) {
    desk.settle(diskFacts(fine));
    await clock.advance(2_000);
  }
  expect(said).toEqual(['disk.failed raised', 'disk.failed cleared']);
});

describe('the watch over state.db', () => {
  test('silence is counted from the question on, over deadlines; an answer ends it', async () => {
    const clock = new FakeClock();
    let answer: (value?: unknown) => void = () => undefined;
    let slow: (error: Error) => void = () => undefined;
    const watch = new StateWatch(
      clock,
      () =>
        new Promise((resolve, reject) => {
          answer = resolve;
          slow = reject;
        }),
    );
    watch.start();
    await clock.advance(3_000);
    expect(watch.reading).toEqual({ silentMs: 0, problem: null });
    await clock.advance(3_000);
    expect(watch.reading.silentMs).toBe(3_000);
    slow(new BluelightError('THREAD_SLOW', 'no answer'));
    await new Promise(setImmediate);
    await clock.advance(4_000);
    expect(watch.reading.silentMs).toBe(7_000);
    answer();
    await new Promise(setImmediate);
    expect(watch.reading).toEqual({ silentMs: 0, problem: null });
    watch.stop();
  });

  test('an error is told until the next write succeeds', async () => {
    const clock = new FakeClock();
    const results = [Promise.reject(new Error('disk I/O error')), Promise.resolve()];
    results[0]!.catch(() => undefined);
    const watch = new StateWatch(clock, () => results.shift() ?? Promise.resolve());
    watch.start();
    await clock.advance(4_000);
    const facts = diskFacts({ ...fine, state: watch.reading });
    expect(facts.map((fact) => [fact.kind, fact.message])).toEqual([
      ['system_disk.failed', 'the box cannot keep its state: disk I/O error'],
    ]);
    await clock.advance(4_000);
    expect(watch.reading.problem).toBeNull();
    watch.stop();
  });
});
