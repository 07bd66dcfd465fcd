import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createFile, MP4BoxBuffer } from 'mp4box';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessUnitsOf, buildFragment, parseFile } from '../../src/media/mp4.js';
import { H264, nalType } from '../../src/media/nal.js';
import { buildUserDataSei, readUserData } from '../../src/media/sei.js';
import { EvidenceBox } from '../proof/delivered.js';
import { inspect } from '../support/clips.js';
import { rangeText, serveFootage, type FootageServer } from './real-footage.js';

/** A delivered clip is a file that everybody plays, hours into a recording as well. */
const run = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), 'plays-'));
const file = join(dir, 'clip.mp4');
const source = new EvidenceBox({ segmentMs: 2_000 });
let server: FootageServer;
/** Pictures and milliseconds of the clip. */
let frames: number;
let lengthMs: number;
let bytes: Buffer;

beforeAll(async () => {
  source.record(40);
  const clip = await source.deliver(21, 33);
  ({ bytes } = clip);
  writeFileSync(file, bytes);
  lengthMs = Date.parse(clip.manifest.covers.to) - Date.parse(clip.manifest.covers.from);
  frames = lengthMs / 100;
  server = await serveFootage(source.footage);
});

afterAll(async () => {
  await server.stop();
  source.remove();
  rmSync(dir, { recursive: true });
});

test('ffprobe counts every picture, ffmpeg decodes them without a complaint', async () => {
  const { streams, frames: counted, errors } = await inspect(file);
  expect(streams).toMatchObject([{ codec_name: 'h264', width: 128, height: 96 }]);
  expect([counted, errors]).toEqual([frames, '']);
});

test('mp4box reads samples and their times', async () => {
  const mp4 = createFile();
  const samples: { cts: number; dts: number; is_sync: boolean }[] = [];
  mp4.onReady = (info) => {
    expect(info).toMatchObject({ isFragmented: true, tracks: [{ codec: expect.stringMatching(/^avc1\./) }] });
    mp4.setExtractionOptions(info.tracks[0]!.id, undefined, { nbSamples: 1 });
    mp4.start();
  };
  mp4.onSamples = (_id, _user, some) => void samples.push(...some);
  mp4.appendBuffer(MP4BoxBuffer.fromArrayBuffer(new Uint8Array(bytes).buffer, 0));
  mp4.flush();
  expect(samples).toHaveLength(frames);
  expect(samples[0]!.is_sync).toBe(true);
  const steps = new Set(samples.slice(1).map((sample, i) => sample.dts - samples[i]!.dts));
  expect([...steps]).toEqual([9000]);
});

test('GStreamer plays it to the end', async () => {
  const args = ['filesrc', `location=${file}`, '!', 'qtdemux', '!', 'h264parse', '!', 'avdec_h264', '!', 'identity'];
  const sink = ['name=pictures', 'silent=false', '!', 'fakesink', 'sync=false'];
  const { stdout, stderr } = await run('gst-launch-1.0', ['-v', ...args, ...sink], { maxBuffer: 1 << 26 });
  expect(stderr).toBe('');
  expect(stdout.match(/pictures: last-message = chain/g)).toHaveLength(frames);
});

test('Chromium plays it over HTTP and seeks in it', async () => {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage();
    await tab.goto(server.page);
    const query = rangeText(source.startMs, { fromMs: 21_000, toMs: 33_000 });
    const value = <T>(expression: string): Promise<T> => tab.evaluate<T>(expression);
    await value(`void Object.assign(v = document.querySelector('video'), { src: '/api/v1/export.mp4?${query}' })`);
    const becomes = (expression: string): Promise<void> =>
      expect.poll(() => value(expression), { timeout: 15_000, message: expression }).toBe(true);
    await becomes('v.readyState >= 2 || v.error !== null');
    expect(await value('v.error && v.error.message')).toBeNull();
    expect(await value('[v.videoWidth, v.videoHeight]')).toEqual([128, 96]);
    // The clip keeps the time of its recording: a player opens it at its first picture, 20 s into the run.
    const start = await value<number>('v.currentTime');
    const end = await value<number>('v.duration');
    await value('v.play()');
    await becomes(`v.currentTime > ${start} + 0.3`);
    await value('v.pause()');
    for (const share of [0.8, 0.1, 0.5]) {
      const at = start + (end - start) * share;
      await value(`v.currentTime = ${at}`);
      await becomes(`!v.seeking && v.readyState >= 2 && Math.abs(v.currentTime - ${at}) < 0.1`);
    }
    expect(await value('v.error')).toBeNull();
  } finally {
    await browser.close();
  }
}, 60_000);

test('SEI units, as cameras that sign their stream send them, are byte for byte in the clip', async () => {
  // UUID of ONVIF Media Signing; what follows is the camera's own.
  const uuid = Buffer.from('005bc93f2d7147079c9d7d2f2ab4bb75', 'hex');
  const signing = new EvidenceBox({ segmentMs: 2_000 });
  const sent: Buffer[] = [];
  const { rig } = signing;
  const door = rig.sources.get('door.main')!;
  const next = door.next.bind(door);
  door.next = () => {
    const fragment = next();
    const units = accessUnitsOf(fragment.bytes).map((unit, i) => {
      const seal = Buffer.from(buildUserDataSei('h264', { uuid, bytes: Buffer.from(`seal ${sent.length}\0\0\0\x01`) }));
      if (i === 0) sent.push(seal);
      const size = Buffer.alloc(4);
      size.writeUInt32BE(seal.length);
      const dts = fragment.decodeTime + i * 9000;
      const data = i === 0 ? Buffer.concat([size, seal, unit.data]) : unit.data;
      return { ...unit, dts, pts: dts, data };
    });
    return { ...fragment, bytes: buildFragment(fragment.index, units) };
  };
  rig.record(9);
  const clip = await signing.deliver(1, 7);
  signing.remove();
  const found = nalsOf(clip.bytes).filter(
    (nal) => nalType('h264', nal) === H264.sei && readUserData('h264', nal).some((one) => uuid.equals(one.uuid)),
  );
  expect(found.length).toBe(lengthOf(clip.bytes) / 5);
  const first = sent.findIndex((seal) => seal.equals(found[0]!));
  expect(found.map((nal) => Buffer.from(nal).toString('hex'))).toEqual(
    sent.slice(first, first + found.length).map((seal) => seal.toString('hex')),
  );
});

function lengthOf(mp4: Uint8Array): number {
  return parseFile(mp4).fragments.reduce((sum, f) => sum + accessUnitsOf(fragmentOf(mp4, f)).length, 0);
}

function fragmentOf(mp4: Uint8Array, fragment: { offset: number; bytes: number }): Uint8Array {
  return mp4.subarray(fragment.offset, fragment.offset + fragment.bytes);
}

/** Every NAL unit of every picture of a file, in order. */
function nalsOf(mp4: Uint8Array): Uint8Array[] {
  return parseFile(mp4).fragments.flatMap((fragment) =>
    accessUnitsOf(fragmentOf(mp4, fragment)).flatMap(({ data }) => {
      const nals: Uint8Array[] = [];
      for (let at = 0; at + 4 <= data.length;) {
        const size = new DataView(data.buffer, data.byteOffset + at).getUint32(0);
        nals.push(data.subarray(at + 4, at + 4 + size));
        at += 4 + size;
      }
      return nals;
    }),
  );
}

test('the clip as it is taken over HTTP is the file that the manifest proves', async () => {
  const query = rangeText(source.startMs, { fromMs: 21_000, toMs: 33_000 });
  const answer = await fetch(`${server.base}/export.mp4?${query}`);
  expect(Buffer.from(await answer.arrayBuffer()).equals(readFileSync(file))).toBe(true);
});
