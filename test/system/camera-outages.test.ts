import { expect, test } from 'vitest';
import { OUTAGES, outageMatrix } from '../../scripts/lib/outages.js';

const SHORT = [
  'off for 10 s',
  'reboot',
  'new address',
  'half-open',
  'frozen',
  'new password',
  'new resolution',
  'garbage',
];

test('whatever befalls a camera, it is recorded again within 30 s of the cure, as itself, and the others lose nothing', async () => {
  const outages = OUTAGES.filter((outage) => SHORT.includes(outage.name));
  expect(outages).toHaveLength(SHORT.length);
  const result = await outageMatrix('61.1', outages);
  console.info(result.outages.map((one) => `${one.name}: ${Math.round(one.backMs ?? -1)} ms`).join(', '));
  expect(result.problems).toEqual([]);
  expect(result.outages.map((one) => one.mixUps)).toEqual(result.outages.map(() => 0));
});
