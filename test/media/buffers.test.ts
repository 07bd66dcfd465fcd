import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BufferPool } from '../../src/media/buffers.js';
import { Fragmenter } from '../../src/media/fragmenter.js';
import { Keep } from '../../src/media/keep.js';
import { buildFragment } from '../../src/media/mp4.js';
import type { AccessUnit, Fragment } from '../../src/media/stream.js';

test('memory that was given back is taken again, up to the limit', () => {
  const pool = new BufferPool(100 * 1024);
  const first = pool.take(40_000);
  expect(first.byteLength).toBeGreaterThanOrEqual(40_000);
  pool.give(first);
  expect(pool.keptBytes).toBe(first.byteLength);
  expect(pool.take(60_000)).toBe(first);
  expect(pool.keptBytes).toBe(0);
  const others = [pool.take(40_000), pool.take(40_000)];
  for (const one of others) pool.give(one);
  expect(pool.keptBytes).toBe(first.byteLength);
});

test('memory of others and memory that was moved away is not taken in', () => {
  const pool = new BufferPool(1e6);
  pool.give(new ArrayBuffer(50_000));
  const moved = pool.take(20_000);
  structuredClone(moved, { transfer: [moved] });
  pool.give(moved);
  expect(pool.keptBytes).toBe(0);
});

test('what is kept is a copy, in order, and its memory is used again', () => {
  const keep = new Keep<number>();
  const source = new Uint8Array(10_000);
  for (let i = 0; i < 5; i++) keep.add(i, source.fill(i));
  source.fill(99);
  expect(keep.items().map(({ what, bytes }) => [what, bytes.length, bytes[0], bytes.at(-1)])).toEqual(
    [0, 1, 2, 3, 4].map((i) => [i, 10_000, i, i]),
  );
  const { buffer } = keep.items()[0]!.bytes;
  keep.clear();
  keep.add(7, source);
  expect(keep.items()[0]!.bytes.buffer).toBe(buffer);
  expect([keep.count, keep.bytes]).toEqual([1, 10_000]);
  keep.release();
  expect(keep.items()).toEqual([]);
});

const pictures = fc.array(
  fc.record({ ms: fc.integer({ min: 1, max: 1200 }), key: fc.boolean(), size: fc.nat(90_000), value: fc.nat(255) }),
  { minLength: 1, maxLength: 30 },
);

test('fragments in memory that goes round are byte for byte what was put in', () => {
  fc.assert(
    fc.property(pictures, (list) => {
      const pool = new BufferPool(1e6);
      const fragmenter = new Fragmenter({ pool });
      // What arrives lies in one reused buffer, as sockets leave it.
      const arrival = new Uint8Array(100_000);
      const kept: AccessUnit[] = [];
      const take = (fragments: readonly Fragment[]): void => {
        for (const { bytes, index, frames } of fragments) {
          expect(Buffer.compare(bytes, buildFragment(index, kept.splice(0, frames)))).toBe(0);
          pool.give(bytes.fill(0xee).buffer as ArrayBuffer);
        }
      };
      const complete = (duration: number): void => {
        const { unit, fragments } = fragmenter.complete(duration);
        if (unit !== undefined) kept.push({ ...unit, data: unit.data.slice() });
        take(fragments);
      };
      let dts = 0;
      let last = 0;
      for (const { ms, key, size, value } of list) {
        complete(last);
        const data = arrival.fill(value).subarray(0, size);
        take(fragmenter.begin({ data, key, dts, pts: dts, wallMs: 0, monoMs: 0 }));
        arrival.fill(0x55);
        last = ms * 90;
        dts += last;
      }
      complete(last);
      take(fragmenter.flush());
      expect(kept).toEqual([]);
    }),
  );
});

test('a fragment never has more pictures than its head has room for', () => {
  const fragmenter = new Fragmenter();
  const units = Array.from({ length: 700 }, (_, i) => ({ dts: i * 90, pts: i * 90, key: i === 0, duration: 90 }));
  const made = units.flatMap((u) => fragmenter.push({ ...u, data: new Uint8Array(9), wallMs: 0, monoMs: 0 }));
  made.push(...fragmenter.flush());
  expect(made.reduce((sum, one) => sum + one.frames, 0)).toBe(700);
  expect(Math.max(...made.map((one) => one.frames))).toBeLessThanOrEqual(250);
});
