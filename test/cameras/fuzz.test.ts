import { expect, test } from 'vitest';
import { fuzz, MAX_LAG_MS } from '../../scripts/lib/fuzz.js';

test('damaged messages of every protocol end in a plain error or in usable data: no crash, no standstill, no connection elsewhere', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.info(`seed ${String(seed)}`);
  const { sent, lagMs, problems } = await fuzz(1_500, seed);
  expect(problems).toEqual([]);
  expect(lagMs).toBeLessThan(MAX_LAG_MS);
  for (const count of Object.values(sent)) expect(count).toBeGreaterThanOrEqual(500);
});
