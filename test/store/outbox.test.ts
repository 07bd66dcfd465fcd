import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ulid } from '../../src/base/ids.js';
import type { OutboxClass } from '../../src/store/outbox.js';
import { openState, temporaryDir } from './helpers.js';

const event = (stream: string, kind: OutboxClass = 'normal', data: unknown = { n: 1 }) => ({
  stream,
  id: ulid(Date.now()),
  class: kind,
  type: 'bluelight.test',
  timeMs: 1,
  data,
});

test('sequences run without holes per stream, over acknowledgement and reopening', () => {
  const dir = temporaryDir();
  const first = openState({ dir });
  expect([1, 2, 3].map(() => first.tables.outbox.append(event('motion')))).toEqual([1, 2, 3]);
  expect(first.tables.outbox.append(event('clip'))).toBe(1);
  expect(first.tables.outbox.ack({ motion: 3 })).toBe(3);
  first.close();
  const again = openState({ dir }).tables.outbox;
  expect(again.append(event('motion'))).toBe(4);
  expect(again.acked()).toEqual({ motion: 3, clip: 0 });
});

test('the same event twice has one sequence', () => {
  const { outbox } = openState().tables;
  const one = event('motion');
  expect([outbox.append(one), outbox.append(one), outbox.append(event('motion'))]).toEqual([1, 1, 2]);
});

test('what matters most is sent first, each stream in order; the cursor goes on where it was', () => {
  const { outbox } = openState().tables;
  outbox.append(event('motion', 'low', 'a'));
  outbox.append(event('panic', 'critical', 'b'));
  outbox.append(event('motion', 'normal', 'c'));
  outbox.append(event('clip', 'high', 'd'));
  expect(outbox.next({ after: {}, limit: 10 }).map((e) => e.data)).toEqual(['b', 'd', 'a', 'c']);
  expect(outbox.next({ after: { panic: 1, motion: 1 }, limit: 1 }).map((e) => e.data)).toEqual(['d']);
});

test('an acknowledgement of what was never sent drops nothing', () => {
  const { outbox } = openState().tables;
  outbox.append(event('motion'));
  expect(() => outbox.ack({ motion: 2 })).toThrow(expect.objectContaining({ code: 'ACK_AHEAD' }));
  expect(() => outbox.ack({ other: 1 })).toThrow(expect.objectContaining({ code: 'ACK_AHEAD' }));
  expect(outbox.stats().rows).toBe(1);
});

test('bounded by bytes: the less important are refused first, counted, and leave no hole', () => {
  const { outbox } = openState({ outboxBytes: 20_000 }).tables;
  const fill = (kind: OutboxClass): number => {
    let taken = 0;
    while (outbox.append(event('s', kind, 'x'.repeat(200))) !== null) taken++;
    return taken;
  };
  expect(fill('low')).toBeGreaterThan(10);
  expect(fill('normal')).toBeGreaterThan(0);
  expect(fill('high')).toBeGreaterThan(0);
  expect(fill('critical')).toBeGreaterThan(0);
  const stats = outbox.stats();
  expect(stats.bytes).toBeLessThanOrEqual(20_000);
  expect(stats.refused).toBe(4);
  const sent = outbox.next({ after: {}, limit: 10_000 });
  expect(sent.map((e) => e.sequence)).toEqual(sent.map((_, i) => i + 1));
  outbox.ack({ s: 40 });
  expect(outbox.append(event('s', 'low', 'x'.repeat(200)))).not.toBeNull();
});

test('any order of appends and acknowledgements: contiguous, in order, bytes add up', () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant('append' as const), stream: fc.constantFrom('a', 'b'), size: fc.nat(300) }),
    fc.record({
      op: fc.constant('ack' as const),
      stream: fc.constantFrom('a', 'b'),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { outbox } = openState({ outboxBytes: 6_000 }).tables;
      const last: Record<string, number> = { a: 0, b: 0 };
      const acked: Record<string, number> = { a: 0, b: 0 };
      for (const one of steps) {
        if (one.op === 'append') {
          const sequence = outbox.append(event(one.stream, 'critical', 'y'.repeat(one.size)));
          if (sequence !== null) expect(sequence).toBe(++last[one.stream]!);
        } else if (last[one.stream]! > 0) {
          const to = Math.floor(one.share * last[one.stream]!);
          outbox.ack({ [one.stream]: to });
          acked[one.stream] = Math.max(acked[one.stream]!, to);
        }
        expect(outbox.stats().bytes).toBeLessThanOrEqual(6_000);
      }
      for (const stream of ['a', 'b']) {
        const rows = outbox.next({ after: {}, limit: 1_000 }).filter((e) => e.stream === stream);
        const expected = Array.from({ length: last[stream]! - acked[stream]! }, (_, i) => acked[stream]! + 1 + i);
        expect(rows.map((e) => e.sequence)).toEqual(expected);
      }
      outbox.ack(last);
      expect(outbox.stats()).toMatchObject({ rows: 0, bytes: 0 });
    }),
    { numRuns: 15 },
  );
});
