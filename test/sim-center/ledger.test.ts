import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventEnvelope } from '../../src/contract/messages.js';
import { CenterDb } from '../../src/sim/center/db.js';
import { tempDir } from '../center/rig.js';

function event(n: number, after?: number, epoch = 0): EventEnvelope {
  return {
    specversion: '1.0',
    id: `01HQ00000000000000${String(epoch).padStart(2, '0')}${String(n).padStart(6, '0')}`,
    source: 'x',
    type: 'bluelight.motion.start',
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    schema: 1,
    stream: 'north',
    sequence: n,
    ...(after === undefined ? {} : { after }),
    data: {},
  };
}

test('whatever order and repetition the broker makes of them, the acknowledged sequence has no hole', () => {
  const arrivals = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 40 });
  fc.assert(
    fc.property(arrivals, (numbers) => {
      const db = new CenterDb(join(tempDir(), 'c.db'));
      const seen = new Set<number>();
      for (const n of numbers) {
        expect(db.addEvent('s', 'b', event(n), 0)).toBe(seen.has(n) ? 'duplicate' : 'new');
        seen.add(n);
        let contiguous = 0;
        while (seen.has(contiguous + 1)) contiguous++;
        expect(db.contiguous('s', 'b', 'north')).toBe(contiguous);
      }
      db.close();
    }),
    { numRuns: 40, seed: 7 },
  );
});

test('a center without memory goes on where the box says that nothing is missing', () => {
  const db = new CenterDb(join(tempDir(), 'c.db'));
  db.addEvent('s', 'b', event(502, 501), 0);
  expect(db.contiguous('s', 'b', 'north')).toBe(0);
  db.addEvent('s', 'b', event(501, 0), 0);
  expect(db.contiguous('s', 'b', 'north')).toBe(502);
  db.close();
});

test('a box that begins its stream anew is not acknowledged for what it has not sent', () => {
  const db = new CenterDb(join(tempDir(), 'c.db'));
  for (let n = 1; n <= 5; n++) db.addEvent('s', 'b', event(n), 0);
  db.addEvent('s', 'b', event(3, 2, 1), 0);
  expect(db.contiguous('s', 'b', 'north')).toBeLessThan(3);
  db.close();
});
