import { expect, test } from 'vitest';
import { corruptCampaign } from './support/corrupt.js';

test('random damage of index and segments: all good segments are served with equal links, no bad one is', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const result = corruptCampaign({ rounds: 24, seed, now: () => Date.now() });
  expect(result.problems).toEqual([]);
  expect(result.rounds).toBe(24);
  expect(result.slowestStartMs).toBeLessThan(5_000);
}, 120_000);
