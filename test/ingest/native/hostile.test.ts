import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect } from 'vitest';
import { pictures, test } from './rig.js';

test('cameras that send anything: every session ends with a reason that has a name', async ({ rig }) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`native.test seed ${seed}`);
  const units = await pictures();
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const causes = new Map<string, number>();
  const one = async (number: number): Promise<void> => {
    const random = randomOf(seed + number);
    const camera = await rig.camera({
      units,
      fps: 60,
      mtu: 500,
      aggregate: true,
      wire: (bytes) => mutate(bytes, random),
    });
    const session = rig.session(camera.uri, {}, { responseMs: 150, maxAccessUnitBytes: 50_000 });
    const patience = setTimeout(() => session.stop(), 600);
    const { cause } = await session.ended;
    clearTimeout(patience);
    causes.set(cause, (causes.get(cause) ?? 0) + 1);
    await camera.close();
  };
  for (let i = 0; i < 300; i += 20) await Promise.all(Array.from({ length: 20 }, (_, k) => one(i + k)));
  delay.disable();
  console.log(`ends: ${JSON.stringify([...causes])}, event loop p99 ${delay.percentile(99) / 1e6} ms`);
  expect(causes.get('broken')).toBeUndefined();
  expect(causes.size).toBeGreaterThan(2);
});

/** mulberry32: 0 <= x < 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Now and then flips, cuts out, doubles or inserts bytes. */
function mutate(bytes: Buffer, random: () => number): Buffer {
  if (random() < 0.8) return bytes;
  const copy = Buffer.from(bytes);
  const at = Math.floor(random() * copy.length);
  const length = Math.floor(random() * 40);
  const kind = Math.floor(random() * 4);
  if (kind === 0) for (let i = 0; i < 4; i++) copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256);
  if (kind === 1) return Buffer.concat([copy.subarray(0, at), copy.subarray(at + length)]);
  if (kind === 2) return Buffer.concat([copy.subarray(0, at + length), copy.subarray(at)]);
  if (kind === 3)
    return Buffer.concat([copy.subarray(0, at), Buffer.from('$\r\n: RTSP/1.0 401 \r\nm=v'), copy.subarray(at)]);
  return copy;
}
