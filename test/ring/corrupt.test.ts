import { expect, test } from 'vitest';
import { corruptCampaign } from './support/corrupt.js';

test.each([
  // Damage that no row shows: a page of gaps, an entry of the index by time that leads nowhere.
  { name: 'known', seed: 11, rounds: 120 },
  { name: 'random', seed: Number(process.env['SEED'] ?? Date.now() % 1e9), rounds: 24 },
])(
  '$name damage of index and segments: all good segments are served with equal links, no bad one is',
  async ({ seed, rounds }) => {
    console.log(`seed ${seed}`);
    const result = await corruptCampaign({ rounds, seed, now: () => Date.now() });
    expect(result.problems).toEqual([]);
    expect(result.rounds).toBe(rounds);
    expect(result.slowestStartMs).toBeLessThan(5_000);
  },
  120_000,
);
