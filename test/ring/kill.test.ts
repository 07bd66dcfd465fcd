import { expect, test } from 'vitest';
import { killCampaign } from './support/campaign.js';

test('kill -9 under load: nothing written is lost, every closed segment is whole, every file is accounted for', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const result = await killCampaign({ rounds: 8, seed, now: () => Date.now() });
  expect(result.problems).toEqual([]);
  expect(result.rounds).toBe(8);
}, 120_000);
