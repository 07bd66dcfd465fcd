import { expect, test } from 'vitest';
import { powercutCampaign } from './support/campaign.js';
import { canCutPower } from './support/loop-disk.js';

test.skipIf(!canCutPower())(
  'power cut under load: at most 1 s and one fragment are lost, nothing that was claimed to be safe',
  async () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
    console.log(`seed ${seed}`);
    const result = await powercutCampaign({ rounds: 6, seed, now: () => Date.now() });
    expect(result.problems).toEqual([]);
    expect(result.rounds).toBe(6);
    expect(result.worstLostMs).toBeLessThanOrEqual(1_500);
  },
  120_000,
);
