import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planUpload, type QueuedUpload } from '../../src/uplinks/index.js';

const fiber = { id: 'fiber', kind: 'fiber', usable: true } as const;
const cell = { id: 'cell', kind: 'cellular', usable: true } as const;

function item(id: string, more: Partial<QueuedUpload> = {}): QueuedUpload {
  return { id, priority: 'routine', createdMs: 0, notBeforeMs: 0, restBytes: 100, ...more };
}

test.each([
  ['nothing waits', [], [fiber], {}, { do: 'wait', untilMs: null }],
  ['no uplink is up', [item('a')], [{ ...fiber, usable: false }], {}, { do: 'wait', untilMs: null }],
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
  ['the budget is spent', [item('a')], [cell], { cell: 50 }, { do: 'wait', why: 'the budget is spent' }],
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
