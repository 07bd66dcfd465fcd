import { expect, test } from 'vitest';
import { systemClock, withDeadline } from '../../src/base/clock.js';
import { BluelightError } from '../../src/base/errors.js';
import { FakeClock } from '../../src/base/fake-clock.js';

test('the fake clock runs timers in the order in which they come due', async () => {
  const clock = new FakeClock(0);
  const seen: string[] = [];
  const stop = clock.every(1_000, () => void seen.push(`tick ${clock.now()}`));
  void clock.sleep(1_500).then(() => seen.push(`slept ${clock.now()}`));
  await clock.advance(2_000);
  stop();
  await clock.advance(5_000);
  expect(seen).toEqual(['tick 1000', 'slept 1500', 'tick 2000']);
});

test('a step of the wall clock leaves monotonic time alone', async () => {
  const clock = new FakeClock(0);
  await clock.advance(10);
  clock.stepWall(-86_400_000);
  expect([clock.now(), clock.monotonic()]).toEqual([-86_399_990, 10]);
});

test('sleep ends at once when aborted', async () => {
  const stop = new AbortController();
  const asleep = systemClock().sleep(60_000, stop.signal);
  stop.abort();
  await expect(asleep).rejects.toMatchObject({ name: 'AbortError' });
});

test('a deadline gives its own error, and lets quick work through', async () => {
  const clock = new FakeClock();
  const late = (): Error => new BluelightError('LATE', 'too late');
  const never = withDeadline(clock, 100, new Promise(() => undefined), late);
  const check = expect(never).rejects.toMatchObject({ code: 'LATE' });
  await clock.advance(100);
  await check;
  await expect(withDeadline(clock, 100, Promise.resolve(7), late)).resolves.toBe(7);
});

test('a periodic function is not run again while it is still running, and its error is told', async () => {
  const errors: unknown[] = [];
  const clock = systemClock((error) => errors.push(error));
  const gate = deferred();
  const told = deferred();
  let runs = 0;
  const stop = clock.every(1, async () => {
    runs++;
    await gate.promise;
    told.resolve();
    throw new BluelightError('TEST', 'told');
  });
  await systemClock().sleep(30);
  expect(runs).toBe(1);
  gate.resolve();
  await told.promise;
  await systemClock().sleep(1);
  stop();
  expect(errors[0]).toMatchObject({ code: 'TEST' });
});

test('what has the same period is done in one go, also when it joined later', async () => {
  const clock = systemClock();
  let seen = '';
  const stopA = clock.every(40, () => {
    seen += 'a';
    setImmediate(() => (seen += '|'));
  });
  await clock.sleep(15);
  const before = seen.length;
  const stopB = clock.every(40, () => void (seen += 'b'));
  while (seen.length < before + 9) await clock.sleep(10);
  stopA();
  expect(seen.slice(before)).toMatch(/^(ab\|){3}/);
  const end = seen.length;
  while (seen.length < end + 2) await clock.sleep(10);
  stopB();
  expect(seen.slice(end)).toMatch(/^b+$/);
});

test('what comes after a while comes once, and not if it was called off', async () => {
  for (const clock of [systemClock(), new FakeClock()]) {
    const seen: string[] = [];
    clock.after(5, () => void seen.push('kept'));
    clock.after(5, () => void seen.push('called off'))();
    if (clock instanceof FakeClock) await clock.advance(50);
    else await clock.sleep(50);
    expect(seen).toEqual(['kept']);
  }
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

test('a sleep of more days than a timer can count does not end at once', async () => {
  const stop = new AbortController();
  const asleep = systemClock().sleep(50 * 365 * 86_400_000, stop.signal);
  const first = await Promise.race([
    asleep.then(() => 'over'),
    systemClock()
      .sleep(50)
      .then(() => 'asleep'),
  ]);
  expect(first).toBe('asleep');
  stop.abort();
  await expect(asleep).rejects.toMatchObject({ name: 'AbortError' });
});
