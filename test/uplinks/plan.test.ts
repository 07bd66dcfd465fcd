import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planUpload, type QueuedUpload } from '../../src/uplinks/index.js';

const ALL = ['stills', 'proxy', 'original'] as const;
const fiber = { id: 'fiber', cost: 'flat', usable: true, open: true, auto: ALL, originals: true } as const;
const cell = { id: 'cell', cost: 'metered', usable: true, open: true, auto: ['stills'], originals: false } as const;

function item(id: string, more: Partial<QueuedUpload> = {}): QueuedUpload {
  return { id, priority: 'routine', rendition: 'proxy', createdMs: 0, notBeforeMs: 0, restBytes: 100, ...more };
}

test.each([
  ['nothing waits', [], [fiber], {}, { do: 'wait', untilMs: null }],
  ['no uplink is up', [item('a')], [{ ...fiber, usable: false }], {}, { do: 'wait', untilMs: 1_050 }],
  [
    'the first usable link',
    [item('a')],
    [{ ...fiber, usable: false }, cell],
    {},
    { do: 'upload', id: 'a', link: 'cell' },
  ],
  [
    'priority before age',
    [item('a', { createdMs: 9 }), item('b', { priority: 'urgent' })],
    [fiber],
    {},
    { do: 'upload', id: 'b' },
  ],
  ['of equals the newest', [item('a', { createdMs: 1 }), item('b', { createdMs: 2 })], [fiber], {}, { id: 'b' }],
  ['waiting before the next attempt', [item('a', { notBeforeMs: 70 })], [fiber], {}, { do: 'wait', untilMs: 70 }],
  ['the budget is spent', [item('a')], [cell], { cell: 50 }, { do: 'wait', why: 'the budget of cell is spent' }],
  ['flat before metered, however they are configured', [item('a')], [cell, fiber], {}, { link: 'fiber' }],
  [
    'stills before films, oldest or not',
    [item('a', { createdMs: 9 }), item('b', { rendition: 'stills' })],
    [cell],
    {},
    { id: 'b' },
  ],
  ['no film of motion by itself over a metered link', [item('a', { priority: 'auto' })], [cell], {}, { do: 'wait' }],
  ['but its stills', [item('a', { priority: 'auto', rendition: 'stills' })], [cell], {}, { do: 'upload' }],
  ['a routine original waits for a flat link', [item('a', { rendition: 'original' })], [cell], {}, { do: 'wait' }],
  ['an urgent one does not', [item('a', { rendition: 'original', priority: 'urgent' })], [cell], {}, { do: 'upload' }],
  ['outside of the hours', [item('a')], [{ ...fiber, open: false }], {}, { do: 'wait', untilMs: 60_050 }],
  ['outside of the hours, another link', [item('a')], [{ ...fiber, open: false }, cell], {}, { link: 'cell' }],
  ['a link for emergencies', [item('a')], [{ ...cell, cost: 'emergency' }], {}, { do: 'wait' }],
  ['and an emergency', [item('a', { priority: 'emergency' })], [{ ...cell, cost: 'emergency' }], {}, { do: 'upload' }],
  [
    'a poisoned clip that waits its turn out blocks nothing',
    [item('a', { createdMs: 9, notBeforeMs: 99 }), item('b')],
    [fiber],
    {},
    { id: 'b' },
  ],
  ['emergencies have the reserve', [item('a', { priority: 'emergency' })], [cell], { cell: 0 }, { do: 'upload' }],
  [
    'a small one fits where a big one does not',
    [item('a', { createdMs: 1 }), item('b', { restBytes: 9 })],
    [cell],
    { cell: 50 },
    { id: 'b' },
  ],
] as const)('%s', (_name, queue, links, budget, expected) => {
  expect(planUpload(queue, links, budget, 50)).toMatchObject(expected);
});

test('whatever waits, what is sent is due, and nothing that is due and more important is passed over', () => {
  const rank = { emergency: 0, urgent: 1, routine: 2, auto: 3 };
  const clip = fc.record({
    id: fc.string({ minLength: 1, maxLength: 3 }),
    priority: fc.constantFrom('emergency', 'urgent', 'routine', 'auto'),
    rendition: fc.constantFrom('stills', 'proxy', 'original'),
    createdMs: fc.nat(100),
    notBeforeMs: fc.nat(100),
    restBytes: fc.nat(100),
  });
  fc.assert(
    fc.property(fc.array(clip), fc.nat(100), (queue, now) => {
      const plan = planUpload(queue as QueuedUpload[], [fiber], {}, now);
      const due = queue.filter((one) => one.notBeforeMs <= now);
      if (plan.do === 'wait') return due.length === 0;
      const chosen = due.find((one) => one.id === plan.id)!;
      return due.every(
        (one) => rank[one.priority] >= rank[due.find((c) => c.id === plan.id)!.priority] || one.id === chosen.id,
      );
    }),
    { seed: 11 },
  );
});
