import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { measureLoopDelay } from '../../src/base/loop-delay.js';

test('a thread that is held up is found out, by how much', async () => {
  const clock = systemClock();
  const measured = measureLoopDelay(clock, 600);
  await clock.sleep(200);
  const end = process.hrtime.bigint() + 150_000_000n;
  while (process.hrtime.bigint() < end);
  const { p50Ms, maxMs } = await measured;
  expect(maxMs).toBeGreaterThan(120);
  expect(p50Ms).toBeLessThan(100);
});
