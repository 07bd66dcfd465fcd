import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseRange } from '../../src/web/byte-range.js';
import { EvidenceBox } from '../proof/delivered.js';
import { decode } from '../ring/support/rig.js';
import { ask, type Answer } from './harness.js';
import { rangeText, serveFootage, type FootageServer } from './real-footage.js';

// Not synchronous: the server lives in this very process.
const run = (program: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(program, args, { timeout: 15_000 });
const dir = mkdtempSync(join(tmpdir(), 'ranges-'));
const source = new EvidenceBox({ segmentMs: 2_000 });
let server: FootageServer;
/** What a clip of the same range is: the very same bytes. */
let whole: Buffer;
let url: string;

beforeAll(async () => {
  source.record(13).gap(30).record(9);
  whole = (await source.deliver(3, 9)).bytes;
  server = await serveFootage(source.footage);
  url = `/api/v1/export.mp4?${rangeText(source.startMs, { fromMs: 3_000, toMs: 9_000 })}`;
});

afterAll(async () => {
  await server.stop();
  source.remove();
  rmSync(dir, { recursive: true });
});

const get = (headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
  ask({ socketPath: server.running.socket }, method, url, { headers });
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('what a Range header means', () => {
  const of = (header: string | undefined): unknown => parseRange(header, 100);
  expect([of(undefined), of('bytes=0-9,20-29'), of('lines=1-2'), of('bytes=-'), of('bytes=9-1')]).toEqual(
    Array(5).fill(null),
  );
  expect(of('bytes=0-')).toEqual({ from: 0, to: 100 });
  expect(of('bytes=10-19')).toEqual({ from: 10, to: 20 });
  expect(of('bytes=90-1000')).toEqual({ from: 90, to: 100 });
  expect(of('bytes=-5')).toEqual({ from: 95, to: 100 });
  expect(of('bytes=-500')).toEqual({ from: 0, to: 100 });
  expect([of('bytes=100-'), of('bytes=-0')]).toEqual(['none', 'none']);
});

test('the whole file, any part of it, only what it is, and what it does not have', async () => {
  const all = await get();
  expect(all.status).toBe(200);
  expect(sha(all.bytes)).toBe(sha(whole));
  expect(all.headers).toMatchObject({ 'accept-ranges': 'bytes', 'content-length': String(whole.length) });
  const head = await get({}, 'HEAD');
  expect(head).toMatchObject({ status: 200, bytes: Buffer.alloc(0) });
  expect(head.headers).toMatchObject({ 'content-length': String(whole.length), etag: all.headers['etag'] });
  for (const [from, to] of [
    [0, 0],
    [0, 999],
    [500, 40_000],
    [whole.length - 1, whole.length - 1],
    [20_000, whole.length - 1],
  ] as const) {
    const part = await get({ range: `bytes=${from}-${to}` });
    expect(part.status).toBe(206);
    expect(part.headers['content-range']).toBe(`bytes ${from}-${to}/${whole.length}`);
    expect(part.bytes.equals(whole.subarray(from, to + 1))).toBe(true);
  }
  const beyond = await get({ range: `bytes=${whole.length}-` });
  expect(beyond).toMatchObject({ status: 416, headers: { 'content-range': `bytes */${whole.length}` } });
  expect(beyond.json()['code']).toBe('RANGE_NOT_SATISFIABLE');
});

test('If-Range gives the rest of the same file, and all of another one', async () => {
  const { etag } = (await get({}, 'HEAD')).headers;
  expect((await get({ range: 'bytes=100-', 'if-range': String(etag) })).status).toBe(206);
  for (const other of ['"another"', new Date().toUTCString()]) {
    const answer = await get({ range: 'bytes=100-', 'if-range': other });
    expect([answer.status, answer.bytes.length]).toEqual([200, whole.length]);
  }
});

test('each part goes through the gate, and the audit is told the bytes of each', async () => {
  const before = server.box.asked.length;
  server.box.ends.length = 0;
  await get({ range: 'bytes=0-99' });
  await get({}, 'HEAD');
  await get({ range: `bytes=${whole.length}-` });
  expect(server.box.asked.slice(before).map((request) => request.kind)).toEqual(['export', 'export', 'export']);
  const told = [0, 0, 100].map((bytes) => ({ grant: 'export', outcome: 'done', bytes }));
  await expect.poll(() => server.box.ends.toSorted((a, b) => a.bytes - b.bytes)).toEqual(told);
  server.box.denied.add('door');
  expect((await get({ range: 'bytes=0-99' })).status).toBe(403);
  server.box.denied.clear();
});

test('curl goes on where a transfer broke off', async () => {
  const file = join(dir, 'clip.mp4');
  writeFileSync(file, whole.subarray(0, 12_345));
  const address = `${server.base}/export.mp4?${url.split('?')[1]}`;
  const said = await run('curl', '-sS', '-C', '-', '-o', file, '-w', '%{http_code} %{size_download}', address);
  expect(said.stdout).toBe(`206 ${whole.length - 12_345}`);
  expect(sha(readFileSync(file))).toBe(sha(whole));
});

test('curl gets what RFC 9110 says of ranges that are several, from the end, beyond it or of another file', async () => {
  const file = join(dir, 'part');
  const curl = async (...args: string[]): Promise<{ status: number; range: string; sha256: string }> => {
    rmSync(file, { force: true });
    const said = ['-w', '%{http_code} %header{content-range}', '--unix-socket', server.running.socket];
    const { stdout } = await run('curl', '-sS', '-o', file, ...said, ...args, `http://box${url}`);
    const [status, ...range] = stdout.split(' ');
    return { status: Number(status), range: range.join(' '), sha256: sha(readFileSync(file)) };
  };
  const size = whole.length;
  const all = { status: 200, range: '', sha256: sha(whole) };
  const part = (from: number, to: number): typeof all => {
    return { status: 206, range: `bytes ${from}-${to - 1}/${size}`, sha256: sha(whole.subarray(from, to)) };
  };
  // A server may answer several ranges with all (§14.2).
  expect(await curl('-r', '0-9,20-29')).toEqual(all);
  expect(await curl('-r', '-500')).toEqual(part(size - 500, size));
  expect(await curl('-r', `-${size + 500}`)).toEqual(part(0, size));
  expect(await curl('-r', `${size - 10}-${size + 1_000}`)).toEqual(part(size - 10, size));
  expect(await curl('-r', `${size - 1}-`)).toEqual(part(size - 1, size));
  for (const beyond of [`${size}-`, `${size + 9}-${size + 99}`, '-0']) {
    expect(await curl('-r', beyond)).toMatchObject({ status: 416, range: `bytes */${size}` });
  }
  for (const senseless of ['bytes=9-1', 'bytes=a-b', 'bytes=--5', 'pictures=0-5', 'bytes=']) {
    expect(await curl('-H', `Range: ${senseless}`), senseless).toEqual(all);
  }
  const etag = String((await get({}, 'HEAD')).headers['etag']);
  expect(await curl('-r', '100-199', '-H', `If-Range: ${etag}`)).toEqual(part(100, 200));
  // A weak validator, another file and a date of ours, which there is none of, do not hold (§13.1.5).
  for (const other of [`W/${etag}`, '"another"', new Date().toUTCString()]) {
    expect(await curl('-r', '100-199', '-H', `If-Range: ${other}`), other).toEqual(all);
  }
  expect(await curl('-r', `${size}-`, '-H', 'If-Range: "another"')).toEqual(all);
});

test('a transfer ends before the first byte of a segment that is damaged, and curl can tell', async () => {
  const box = new EvidenceBox({ segmentMs: 2_000 });
  box.record(21);
  const { bytes, manifest } = await box.deliver(3, 15);
  const other = await serveFootage(box.footage);
  try {
    const third = manifest.segments[2]!;
    const segment = box.rig.files().find((one) => one.endsWith(`${third.seq}.mp4`))!;
    const damaged = readFileSync(segment);
    damaged[damaged.length - 5]! ^= 1;
    writeFileSync(segment, damaged);
    const file = join(dir, 'damaged.mp4');
    const path = `/api/v1/export.mp4?${rangeText(box.startMs, { fromMs: 3_000, toMs: 15_000 })}`;
    const curl = run('curl', '-sS', '-o', file, '--unix-socket', other.running.socket, `http://box${path}`);
    // 18: fewer bytes came than were announced. 56: the connection was reset.
    await expect(curl).rejects.toMatchObject({ code: expect.toSatisfy((code) => code === 18 || code === 56) });
    const came = readFileSync(file);
    const good = manifest.segments.slice(0, 2).reduce((sum, { bytes: size }) => sum + size, manifest.init.bytes);
    expect(came.length).toBeLessThanOrEqual(good);
    expect(came.equals(bytes.subarray(0, came.length))).toBe(true);
    // It is known from now on: the rest is offered without it.
    const again = await ask({ socketPath: other.running.socket }, 'GET', path);
    expect(again.json()['code']).toBe('SEVERAL_FILES');
  } finally {
    await other.stop();
    box.remove();
  }
});

test('a playlist of byte ranges over a gap: its files are the recordings, ffprobe and GStreamer play it', async () => {
  const list = `${server.base}/playback.m3u8?${rangeText(source.startMs, { fromMs: 1_000, toMs: 50_000 })}`;
  const text = await (await fetch(list)).text();
  expect(text).toMatch(/^#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:\d+\n/);
  expect(text).toContain('camera_offline\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:');
  expect(text.endsWith('#EXT-X-ENDLIST\n')).toBe(true);
  const lines = text.split('\n');
  const map = /URI="([^"]+)",BYTERANGE="(\d+)@0"/.exec(text)!;
  const [, size, offset] = /BYTERANGE:(\d+)@(\d+)/.exec(text)!;
  const part = async (uri: string, from: number, bytes: number): Promise<Buffer> => {
    const answer = await fetch(`${server.base}/${uri}`, { headers: { range: `bytes=${from}-${from + bytes - 1}` } });
    expect(answer.status).toBe(206);
    return Buffer.from(await answer.arrayBuffer());
  };
  const init = await part(map[1]!, 0, Number(map[2]));
  const first = await part(
    lines[lines.findIndex((line) => line.includes('BYTERANGE:')) + 1]!,
    Number(offset),
    Number(size),
  );
  expect(decode(Buffer.concat([init, first]))).toBe(20);
  const probe = [
    '-v',
    'error',
    '-count_packets',
    '-show_entries',
    'stream=codec_name,nb_read_packets',
    '-of',
    'csv=p=0',
  ];
  const seconds = [...text.matchAll(/#EXTINF:([\d.]+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
  expect((await run('ffprobe', ...probe, list)).stdout.trim()).toContain(`h264,${Math.round(seconds * 10)}`);
  const sink = ['!', 'avdec_h264', '!', 'fakesink', 'sync=false'];
  const gst = await run(
    'gst-launch-1.0',
    '-q',
    'souphttpsrc',
    `location=${list}`,
    '!',
    'hlsdemux',
    '!',
    'qtdemux',
    ...sink,
  );
  expect(gst.stderr).toBe('');
});
