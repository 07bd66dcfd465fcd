import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { alarm as alarmSchema, type Alarm } from '../../src/contract/alarm.js';
import { AlarmDesk, type Fact } from '../../src/health/alarms.js';
import { cameraFacts } from '../../src/health/camera-faults.js';
import { StreamHabits } from '../../src/health/stream-habit.js';

const lost: Fact = {
  kind: 'camera.signal_lost',
  onvif: null,
  severity: 'critical',
  camera: 'north',
  message: 'm',
  hint: 'h',
  raiseAfterMs: 15_000,
  clearAfterMs: 10_000,
};

function rig(known?: Alarm[]): {
  clock: FakeClock;
  desk: AlarmDesk;
  told: [string, Alarm][];
  pass: (seconds: number, facts: Fact[]) => Promise<void>;
} {
  const clock = new FakeClock(1_800_000_000_000);
  const told: [string, Alarm][] = [];
  const desk = new AlarmDesk({
    clock,
    known,
    onChange: (alarm, state) => told.push([state, alarmSchema.parse(alarm)]),
  });
  return {
    clock,
    desk,
    told,
    async pass(seconds, facts) {
      for (let i = 0; i < seconds; i++) {
        desk.settle(facts);
        await clock.advance(1_000);
      }
      desk.settle(facts);
    },
  };
}

test('an alarm is raised when its fact has held, and clears by itself when it is gone', async () => {
  const { desk, told, pass } = rig();
  await pass(14, [lost]);
  expect(told).toEqual([]);
  await pass(1, [lost]);
  expect(told.map(([state]) => state)).toEqual(['raised']);
  expect(told[0]![1]).toMatchObject({ since: '2027-01-15T08:00:00.000Z', raisedAt: '2027-01-15T08:00:15.000Z' });
  await pass(9, []);
  expect(desk.active).toHaveLength(1);
  await pass(2, []);
  expect(told.map(([state]) => state)).toEqual(['raised', 'cleared']);
  expect(told[1]![1]).toMatchObject({ id: told[0]![1].id });
  expect(told[1]![1].clearedAt).not.toBeNull();
});

test('what comes and goes all the time is one alarm and few messages', async () => {
  const { desk, told, pass } = rig();
  for (let i = 0; i < 60; i++) {
    await pass(20, [lost]);
    await pass(20, []);
  }
  expect(new Set(told.map(([, alarm]) => alarm.id)).size).toBe(1);
  expect(told.length).toBeLessThan(10);
  expect(desk.active).toHaveLength(1);
  expect(desk.active[0]!.count).toBeGreaterThan(1);
});

test('after a restart an alarm that holds goes on under its id, and one that has ended meanwhile clears', async () => {
  const first = rig();
  await first.pass(20, [lost]);
  const again = rig(first.desk.list());
  await again.pass(60, [lost]);
  expect(again.told).toEqual([]);
  expect(again.desk.active[0]!.id).toBe(first.told[0]![1].id);
  const over = rig(first.desk.list());
  await over.pass(200, []);
  expect(over.told.map(([state]) => state)).toEqual(['cleared']);
});

test('an alarm that stands says what holds now, not what held when it was raised, and is not told anew for that', async () => {
  const { desk, pass, told } = rig();
  await pass(16, [lost]);
  await pass(1, [{ ...lost, message: 'another cause', hint: 'another cure' }]);
  expect(desk.active).toMatchObject([{ message: 'another cause', hint: 'another cure', count: 1 }]);
  expect(told.map(([state]) => state)).toEqual(['raised']);
  // As after a start: the alarm of an earlier life.
  const later = rig(desk.list());
  await later.pass(1, [lost]);
  expect(later.desk.active).toMatchObject([{ message: 'm', hint: 'h' }]);
});

test('rate and bits far off the habit of the stream are told, day and night are not', () => {
  const habits = new StreamHabits();
  const stream = { stream: 'north.main', camera: 'north', role: 'main' as const, state: 'recording' as const };
  const run = (from: number, seconds: number, fps: number, bitrate: number): string[] => {
    const kinds = new Set<string>();
    for (let t = from; t < from + seconds; t += 2) {
      const odd = habits.observe([{ ...stream, fps, bitrate }], t * 1000);
      const reading = {
        streams: [{ ...stream, detail: '' }],
        odd,
        clocks: new Map(),
        sights: [],
        storms: new Map(),
        blind: new Map(),
      };
      for (const fact of cameraFacts(reading)) kinds.add(fact.kind);
    }
    return [...kinds];
  };
  expect(run(0, 600, 15, 2e6)).toEqual([]);
  expect(run(600, 3_600, 15, 0.6e6)).toEqual([]);
  expect(run(4_200, 60, 5, 2e6)).toEqual(['camera.frame_rate']);
  expect(run(4_260, 60, 15, 0.05e6)).toEqual(['camera.bit_rate']);
  expect(run(4_320, 60, 15, 1.5e6)).toEqual([]);
});

test('each fault of a camera has words, a hint and its ONVIF name', () => {
  const facts = cameraFacts({
    streams: [
      { stream: 'north.main', camera: 'north', role: 'main', state: 'offline', detail: 'no answer' },
      { stream: 'north.sub', camera: 'north', role: 'sub', state: 'offline', detail: '' },
    ],
    odd: new Map(),
    clocks: new Map([
      ['north', 7_200_000],
      ['south', 300],
    ]),
    sights: [{ camera: 'south', kind: 'blurred', onvif: 'tns1:x', hint: 'bring a cloth', sinceMs: 5 }],
    storms: new Map([['south', 7]]),
    blind: new Map([['south', 8]]),
  });
  expect(facts.map((fact) => [fact.kind, fact.camera])).toEqual([
    ['camera.blurred', 'south'],
    ['camera.storm', 'south'],
    ['camera.unwatched', 'south'],
    ['camera.signal_lost', 'north'],
    ['camera.clock', 'north'],
  ]);
  expect(facts[0]!.message).toBe('south is blurred');
  for (const fact of facts) expect(fact.hint).not.toBe('');
});
