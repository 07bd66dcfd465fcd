import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createFile, MP4BoxBuffer } from 'mp4box';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fragmenter } from '../../src/media/fragmenter.js';
import {
  accessUnitsOf,
  BoxReader,
  buildInit,
  listFragments,
  parseFile,
  parseInit,
  parseMoof,
  walkBoxes,
} from '../../src/media/mp4.js';
import { concatBytes, isKeyAccessUnit, joinNals, parameterSetsOf, sameBytes } from '../../src/media/nal.js';
import { parseSps, videoFormat } from '../../src/media/sps.js';
import type { AccessUnit, Codec, Fragment, VideoFormat } from '../../src/media/stream.js';
import { accessUnitsInFile, elementaryStream, inspect, type ClipSpec } from '../support/clips.js';

const run = promisify(execFile);

interface Recording {
  format: VideoFormat;
  init: Uint8Array;
  units: AccessUnit[];
  fragments: Fragment[];
  file: Uint8Array;
}

async function record(spec: ClipSpec & { codec: Codec }, startTicks = 0): Promise<Recording> {
  const nals = accessUnitsInFile(await elementaryStream(spec), spec.codec);
  const format = videoFormat(spec.codec, parameterSetsOf(spec.codec, nals[0] ?? []));
  if (format === undefined) throw new Error('no format');
  const step = 90_000 / (spec.fps ?? 15);
  const units = nals.map((unit, index): AccessUnit => ({
    data: joinNals(unit),
    key: isKeyAccessUnit(spec.codec, unit),
    dts: startTicks + index * step,
    pts: startTicks + index * step,
    duration: step,
    wallMs: 1_000_000 + (index * step) / 90,
    monoMs: 500 + (index * step) / 90,
  }));
  const fragmenter = new Fragmenter();
  const fragments = [...units.flatMap((unit) => fragmenter.push(unit)), ...fragmenter.flush()];
  const init = buildInit(format);
  return { format, init, units, fragments, file: concatBytes([init, ...fragments.map((one) => one.bytes)]) };
}

function save(file: Uint8Array): string {
  const path = join(mkdtempSync(join(tmpdir(), 'bl-mp4-')), 'out.mp4');
  writeFileSync(path, file);
  return path;
}

test.each([
  { codec: 'h264', width: 320, height: 180, tag: 'avc1', string: /^avc1\.[0-9a-f]{6}$/ },
  { codec: 'h265', width: 320, height: 180, tag: 'hvc1', string: /^hvc1\.1\.6\.L\d+\.[0-9A-F.]+$/ },
  { codec: 'h264', width: 642, height: 362, tag: 'avc1', string: /^avc1\./ },
] as const)(
  'what is written plays everywhere: $codec $width x $height',
  async ({ codec, width, height, tag, string }) => {
    const made = await record({ codec, width, height });
    expect(made.format).toMatchObject({ codec, width, height });
    expect(made.format.codecString).toMatch(string);
    const path = save(made.file);
    const seen = await inspect(path);
    expect(seen.errors).toBe('');
    expect(seen.streams).toMatchObject([{ codec_tag_string: tag, width, height, time_base: '1/90000' }]);
    expect(seen.frames).toBe(made.units.length);

    const packets = await run('ffprobe', [
      '-v',
      'error',
      '-show_entries',
      'packet=dts,duration',
      '-of',
      'csv=p=0',
      path,
    ]);
    const times = packets.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(',').map(Number));
    expect(times).toEqual(made.units.map((unit) => [unit.dts, unit.duration]));
  },
);

test('mp4box reads codec, times and samples', async () => {
  const made = await record({ codec: 'h264' });
  const reader = createFile();
  let track: { codec: string; timescale: number } | undefined;
  reader.onReady = (info) => {
    track = info.tracks[0];
    reader.setExtractionOptions(1);
    reader.start();
  };
  let samples = 0;
  reader.onSamples = (_id, _user, list) => void (samples += list.length);
  const bytes = MP4BoxBuffer.fromArrayBuffer(made.file.slice().buffer, 0);
  reader.appendBuffer(bytes);
  reader.flush();
  expect(track).toMatchObject({ codec: made.format.codecString, timescale: 90_000 });
  expect(samples).toBe(made.units.length);
});

test('what is written is read back: format, times, sizes, key flags and every byte', async () => {
  // Beyond 2^32 ticks (13 hours), where a 32-bit tfdt would wrap.
  const made = await record({ codec: 'h264', seconds: 4, gop: 15 }, 5_000_000_000);
  expect(parseInit(made.init)).toEqual({ format: made.format, timescale: 90_000, trackId: 1 });
  const file = parseFile(made.file);
  expect(file).toMatchObject({ initBytes: made.init.length, wholeBytes: made.file.length });
  expect(file.fragments.length).toBe(made.fragments.length);
  let at = made.init.length;
  for (const [index, fragment] of made.fragments.entries()) {
    expect(file.fragments[index]).toMatchObject({
      sequence: index + 1,
      offset: at,
      bytes: fragment.bytes.length,
      decodeTime: fragment.decodeTime,
      duration: fragment.duration,
      key: fragment.key,
    });
    at += fragment.bytes.length;
  }
  const back = made.fragments.flatMap((one) => accessUnitsOf(one.bytes, one));
  expect(back.length).toBe(made.units.length);
  for (const [index, unit] of made.units.entries()) {
    const { data, wallMs, monoMs, ...rest } = back[index] as AccessUnit;
    expect(sameBytes(data, unit.data)).toBe(true);
    expect(rest).toEqual({ key: unit.key, dts: unit.dts, pts: unit.pts, duration: unit.duration });
    expect(wallMs).toBeCloseTo(unit.wallMs, 3);
    expect(monoMs).toBeCloseTo(unit.monoMs, 3);
  }
});

test('fragments are cut at key frames and near half a second, never longer than a second', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ ms: fc.integer({ min: 1, max: 1500 }), key: fc.boolean(), size: fc.nat(2000) }), {
        minLength: 1,
      }),
      fc.integer({ min: 100, max: 3000 }),
      (pictures, targetMs) => {
        const fragmenter = new Fragmenter({ targetMs });
        let dts = 0;
        const out: Fragment[] = [];
        for (const { ms, key, size } of pictures) {
          const unit = { data: new Uint8Array(size), key, dts, pts: dts, duration: ms * 90, wallMs: 0, monoMs: 0 };
          out.push(...fragmenter.push(unit));
          dts += ms * 90;
        }
        out.push(...fragmenter.flush());
        expect(out.map((one) => one.index)).toEqual(out.map((_, index) => index));
        expect(out.reduce((sum, one) => sum + one.frames, 0)).toBe(pictures.length);
        expect(out.reduce((sum, one) => sum + one.duration, 0)).toBe(dts);
        let next = 0;
        for (const one of out) {
          expect(one.decodeTime).toBe(next);
          next += one.duration;
          expect(one.frames === 1 || one.duration <= 90_000).toBe(true);
          const keys = accessUnitsOf(one.bytes).map((unit) => unit.key);
          expect(keys.slice(1)).not.toContain(true);
          expect(keys[0]).toBe(one.key);
        }
      },
    ),
  );
});

test('of a file cut anywhere exactly the whole fragments are found', async () => {
  const made = await record({ codec: 'h264', seconds: 2 });
  const ends = [made.init.length];
  for (const one of made.fragments) ends.push((ends[ends.length - 1] ?? 0) + one.bytes.length);
  for (let cut = 0; cut <= made.file.length; cut += 97) {
    const info = parseFile(made.file.subarray(0, cut));
    const whole = cut < made.init.length ? 0 : Math.max(...ends.filter((end) => end <= cut));
    expect(info.wholeBytes).toBe(whole);
    if (cut < made.init.length) continue;
    // A file system that loses its tail may leave zeros instead.
    const zeroed = parseFile(concatBytes([made.file.subarray(0, cut), new Uint8Array(5000)]));
    expect(zeroed.wholeBytes).toBe(whole);
  }
});

test('garbage instead of boxes is refused without an error', async () => {
  const made = await record({ codec: 'h264', seconds: 2 });
  fc.assert(
    fc.property(fc.nat(made.file.length - 1), fc.nat(255), (at, value) => {
      const broken = made.file.slice();
      broken[at] = value;
      parseFile(broken);
      for (const one of listFragments(broken, made.init.length))
        accessUnitsOf(broken.subarray(one.offset, one.offset + one.bytes));
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      walkBoxes(bytes);
      parseMoof(bytes);
      expect(parseInit(bytes)).toBeUndefined();
      parseSps('h264', bytes);
      parseSps('h265', bytes);
    }),
  );
});

test('boxes that arrive in pieces come out whole', async () => {
  const made = await record({ codec: 'h264', seconds: 2 });
  for (const step of [1, 7, 1000, 65_536, made.file.length]) {
    const reader = new BoxReader();
    const boxes: Uint8Array[] = [];
    for (let at = 0; at < made.file.length; at += step) {
      for (const one of reader.push(made.file.subarray(at, at + step)) ?? []) boxes.push(one.bytes);
    }
    expect(sameBytes(concatBytes(boxes), made.file)).toBe(true);
    expect(boxes.length).toBe(2 + 2 * made.fragments.length);
  }
  expect(new BoxReader(1000).push(made.file)).toBeUndefined();
  expect(new BoxReader().push(new Uint8Array(64))).toBeUndefined();
});

test('the size of a picture is read from parameter sets of ffmpeg, cropped or not', async () => {
  for (const codec of ['h264', 'h265'] as const) {
    for (const [width, height] of [
      [320, 180],
      [642, 362],
    ] as const) {
      const nals = accessUnitsInFile(await elementaryStream({ codec, width, height }), codec)[0] ?? [];
      const sps = parameterSetsOf(codec, nals)[codec === 'h264' ? 0 : 1] ?? new Uint8Array(0);
      expect(parseSps(codec, sps)).toMatchObject({ width, height, reorderFrames: 0, bitDepthLuma: 8 });
    }
  }
  const bframes = accessUnitsInFile(await elementaryStream({ bframes: 2, gop: 30 }), 'h264')[0] ?? [];
  expect(parseSps('h264', parameterSetsOf('h264', bframes)[0] ?? new Uint8Array(0))?.reorderFrames).toBeGreaterThan(0);
});
