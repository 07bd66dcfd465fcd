import { expect, test } from 'vitest';
import { simulateDays } from './support/days/days.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);

/** The short form of `scripts/prove retention`. */
test('40 days, 16 cameras: quota, floors, holds, tiers, legal maximum, bounded rows and files, exact coverage', () => {
  console.log(`seed ${seed}`);
  const result = simulateDays({ seed, days: 40, cameras: 16 });
  expect(result.problems).toEqual([]);
  expect(result.asked).toBeGreaterThan(1_000);
  expect(result.evicted).toBeGreaterThan(500);
}, 120_000);

test('a few days of one camera, of several histories', () => {
  for (let i = 1; i <= 5; i++) {
    const { problems, proved } = simulateDays({ seed: seed + i, days: 8, cameras: 1 });
    expect(problems, `seed ${seed + i}`).toEqual([]);
    expect(proved).toBeGreaterThan(0);
  }
}, 60_000);
