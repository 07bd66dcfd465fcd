import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import type { AccessUnit } from '../../src/media/stream.js';
import { Decoder } from '../../src/motion/decoder.js';
import { FfmpegDecoders } from '../../src/motion/decoders.js';
import { FRAME_BYTES } from '../../src/motion/grid.js';
import { clock, encode, processes, unitsOf } from './video.js';

/** Frame `i` is all of one level that says `i`. */
const level = (i: number): number => 20 + 4 * i;
const flat = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => new Uint8Array(FRAME_BYTES).fill(level(i)));

/** The mean of a frame as the index that `level` gave it (video range is stretched on the way). */
const indexOf = (gray: Uint8Array): number => (gray.reduce((sum, one) => sum + one, 0) / gray.length - 20) / 4;

test.each(['libx264', 'libx265'] as const)(
  '%s: one picture in is one picture out at once, with its own tag',
  async (codec) => {
    const { format, units } = unitsOf(await encode(flat(40), { codec }));
    expect(units).toHaveLength(40);
    const seen: { pts: number; index: number }[] = [];
    let arrived = (): void => undefined;
    const decoder = new Decoder({ processes, log: silentLog, format, onFailed: () => undefined });
    const take = (unit: AccessUnit) => (gray: Uint8Array | undefined) => {
      seen.push({ pts: unit.pts, index: indexOf(gray!) });
      arrived();
    };
    for (const unit of units) {
      // The next picture is fed only when this one is out: a decoder that keeps one back never gets here.
      const out = new Promise<void>((resolve) => (arrived = resolve));
      expect(decoder.feed(format, unit, take(unit))).toBe(true);
      await out;
    }
    decoder.close();
    expect(seen.map((one) => one.pts)).toEqual(units.map((unit) => unit.pts));
    const steps = seen.slice(1).map((one, i) => one.index - seen[i]!.index);
    expect(Math.min(...steps)).toBeGreaterThan(0.4);
  },
);

test('pictures that are put in order by the decoder come out with their own times', async () => {
  const { format, units } = unitsOf(await encode(flat(40), { extra: ['-bf', '2'] }));
  expect(units.some((unit) => unit.pts !== unit.dts)).toBe(true);
  const times: number[] = [];
  let index = Number.NEGATIVE_INFINITY;
  let rising = true;
  const enough = new Promise<void>((resolve) => {
    const decoder = new Decoder({ processes, log: silentLog, format, onFailed: () => undefined });
    for (const unit of units) {
      decoder.feed(format, unit, (gray) => {
        if (gray === undefined) return;
        times.push(unit.pts);
        rising &&= indexOf(gray) > index;
        index = indexOf(gray);
        if (times.length < 35) return;
        decoder.close();
        resolve();
      });
    }
  });
  await enough;
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(rising).toBe(true);
});

test('key frames of several cameras share one child per picture size, and each gets its own picture', async () => {
  const cameras = await Promise.all(
    [3, 17, 29].map(async (i) => unitsOf(await encode([new Uint8Array(FRAME_BYTES).fill(level(i))]))),
  );
  const other = unitsOf(await encode([new Uint8Array(FRAME_BYTES).fill(level(40))], { size: '352x288' }));
  let started = 0;
  const decoders = new FfmpegDecoders({
    clock,
    log: silentLog,
    processes: {
      start(spec) {
        started++;
        return processes.start(spec);
      },
    },
  });
  const results: (number | undefined)[] = [];
  for (let round = 0; round < 3; round++) {
    for (const { format, units } of [...cameras, other]) {
      const at = results.length;
      results.push(undefined);
      decoders.key(format, units[0]!, (gray) => (results[at] = gray && indexOf(gray)));
    }
  }
  await decoders.idle();
  decoders.stop();
  expect(started).toBe(2);
  for (let round = 0; round < 3; round++) {
    const [a, b, c, d] = results.slice(round * 4, round * 4 + 4) as number[];
    expect(a).toBeLessThan(b! - 5);
    expect(b).toBeLessThan(c! - 5);
    expect(c).toBeLessThan(d! - 5);
    expect(a).toBeCloseTo(results[0]!, 5);
  }
});

/** Decoders that note which children they start. */
function counted(): { decoders: FfmpegDecoders; pids: number[] } {
  const pids: number[] = [];
  const decoders = new FfmpegDecoders({
    clock,
    log: silentLog,
    processes: {
      start(spec) {
        const child = processes.start(spec);
        pids.push(child.pid);
        return child;
      },
    },
  });
  return { decoders, pids };
}

test('cameras of one picture size whose parameter sets differ share a child, though their pictures do not carry them', async () => {
  const cameras = await Promise.all(
    ['cabac=1:8x8dct=1', 'cabac=0:8x8dct=0'].map(async (how, i) => {
      const frames = [new Uint8Array(FRAME_BYTES).fill(level(5 + 20 * i))];
      return unitsOf(await encode(frames, { extra: ['-x264-params', how] }));
    }),
  );
  const [a, b] = cameras.map((one) => Buffer.concat(one.format.parameterSets).toString('hex'));
  expect(a).not.toBe(b);
  const { decoders, pids } = counted();
  const seen: (number | undefined)[] = [];
  for (let round = 0; round < 3; round++) {
    for (const { format, units } of cameras)
      decoders.key(format, units[0]!, (gray) => seen.push(gray && indexOf(gray)));
  }
  await decoders.idle();
  decoders.stop();
  expect(pids).toHaveLength(1);
  expect(seen).toHaveLength(6);
  for (const [i, index] of seen.entries()) expect(Math.abs(index! - (5 + 20 * (i % 2)))).toBeLessThan(4);
});

test.each(['libx264', 'libx265'] as const)(
  '%s: a full-rate decoder that is given back serves the next camera, and only pictures that are wanted come out',
  async (codec) => {
    const cameras = await Promise.all(
      [0, 12].map(async (from) => unitsOf(await encode(flat(32).slice(from), { codec }))),
    );
    const { decoders, pids } = counted();
    for (const [k, { format, units }] of [...cameras, cameras[0]!].entries()) {
      const seen: { pts: number; index: number }[] = [];
      const full = decoders.open(
        format,
        (unit, gray) => seen.push({ pts: unit.pts, index: indexOf(gray) }),
        () => undefined,
      );
      for (const [i, unit] of units.entries()) expect(full?.feed(unit, i % 3 === 0)).toBe(true);
      await decoders.idle();
      full?.close();
      expect(seen.map((one) => one.pts)).toEqual(units.filter((_, i) => i % 3 === 0).map((unit) => unit.pts));
      const first = k === 1 ? 12 : 0;
      for (const [i, { index }] of seen.entries()) expect(Math.abs(index - (first + 3 * i))).toBeLessThan(4);
      // Nothing of it is told any more.
      expect(full?.feed(units[0]!, true)).toBe(false);
    }
    decoders.stop();
    expect(pids).toHaveLength(1);
  },
);

test('a decoder that has put pictures in order is not given to the next camera', async () => {
  const { format, units } = unitsOf(await encode(flat(12), { extra: ['-bf', '2'] }));
  const { decoders, pids } = counted();
  for (let i = 0; i < 2; i++) {
    const full = decoders.open(
      format,
      () => undefined,
      () => undefined,
    );
    for (const [at, unit] of units.entries()) full?.feed(unit, at === 0);
    await decoders.idle();
    full?.close();
  }
  decoders.stop();
  expect(pids).toHaveLength(2);
});

test('a decoder that is killed gives back what waited, and a new one is started after a pause', async () => {
  const { format, units } = unitsOf(await encode(flat(1)));
  const pids: number[] = [];
  const decoders = new FfmpegDecoders({
    clock,
    log: silentLog,
    random: () => 0,
    processes: {
      start(spec) {
        const child = processes.start(spec);
        pids.push(child.pid);
        return child;
      },
    },
  });
  const ask = (): Promise<Uint8Array | undefined> =>
    new Promise((resolve) => decoders.key(format, units[0]!, (gray) => resolve(gray)));
  expect(await ask()).toBeDefined();
  const lost = ask();
  process.kill(pids[0]!, 'SIGKILL');
  // It may have been through before the kill; what counts is that nobody waits for ever.
  await lost;
  await expect.poll(async () => (await ask()) !== undefined, { timeout: 10_000, interval: 50 }).toBe(true);
  expect(pids.length).toBe(2);
  decoders.stop();
});

test('a full-rate decoder that hangs is given up, so that the camera is looked at again', async () => {
  const { format, units } = unitsOf(await encode(flat(1)));
  const fake = new FakeClock(0);
  let pid = 0;
  const decoders = new FfmpegDecoders({
    clock: fake,
    log: silentLog,
    processes: {
      start(spec) {
        const child = processes.start(spec);
        pid = child.pid;
        return child;
      },
    },
  });
  let failed = 0;
  const full = decoders.open(
    format,
    () => undefined,
    () => failed++,
  );
  process.kill(pid, 'SIGSTOP');
  expect(full?.feed(units[0]!, true)).toBe(true);
  decoders.sweep();
  await fake.advance(9_000);
  decoders.sweep();
  expect(failed).toBe(0);
  await fake.advance(2_000);
  decoders.sweep();
  expect(failed).toBe(1);
  expect(decoders.waiting).toBe(0);
});
