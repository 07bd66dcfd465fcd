import { expect, test } from 'vitest';
import { verifyCampaign } from './campaign.js';

/** The short form of `scripts/prove verify`. */
test('bytes of a small real clip, structural changes, clean clips', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const result = await verifyCampaign({
    seed,
    values: 1,
    stride: 4,
    structural: 400,
    clean: 400,
    now: () => Date.now(),
  });
  expect(result.problems).toEqual([]);
  expect(result.byteChanges).toBeGreaterThan(result.fileBytes / 5);
}, 60_000);
