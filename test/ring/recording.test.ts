import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { parseFile } from '../../src/media/mp4.js';
import { footage } from './support/media.js';
import { checkClosed, codeOf, decode, Rig } from './support/rig.js';

let rig: Rig;
afterEach(() => rig.remove());

test('segments are about 10 s, start at a key frame, play by themselves and are hashed and chained', () => {
  rig = new Rig().open();
  rig.begin('door.main');
  rig.record(35);
  rig.end('door.main');
  expect(rig.files().map((path) => path.slice(rig.directory.length))).toEqual([
    '/media/door.main/000000/1.mp4',
    '/media/door.main/000000/2.mp4',
    '/media/door.main/000000/3.mp4',
    '/media/door.main/000000/4.mp4',
  ]);
  for (const [i, path] of rig.files().entries()) {
    const data = readFileSync(path);
    const file = parseFile(data);
    expect(file.fragments[0]!.key).toBe(true);
    expect(file.fragments.every((f) => f.duration <= 90_000)).toBe(true);
    expect(file.fragments[0]!.decodeTime).toBe(i * 10 * 90_000);
    expect(decode(data)).toBe(i < 3 ? 100 : 50);
    const probe = JSON.parse(
      execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', path], { encoding: 'utf8' }),
    ) as { streams: { codec_name: string; width: number }[] };
    expect(probe.streams).toMatchObject([{ codec_name: 'h264', width: 128 }]);
  }
  expect(checkClosed(rig, ['door.main'])).toBe(4);
});

test('a segment waits for a key frame, however long ago it should have ended', () => {
  rig = new Rig({ segmentMs: 10_500 }).open();
  rig.begin('door.main');
  rig.record(35);
  rig.end('door.main');
  const keys = rig.files().map((path) => parseFile(readFileSync(path)).fragments[0]!.key);
  expect(keys).toEqual([true, true, true, true]);
});

test('the index is written with synchronous FULL', () => {
  // What `pragma synchronous` answers is no witness: better-sqlite3 changes what its default means.
  const pragmas = vi.spyOn(Database.prototype, 'pragma');
  rig = new Rig().open();
  const said = pragmas.mock.calls.map(([text]) => text);
  pragmas.mockRestore();
  expect(said.filter((text) => text.startsWith('synchronous'))).toEqual(['synchronous = FULL']);
  expect(said.indexOf('synchronous = FULL')).toBeGreaterThan(said.indexOf('journal_mode = WAL'));
  rig.begin('door.main');
  rig.record(1);
  rig.ring.close();
  const db = new Database(join(rig.directory, 'ring.db'));
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  db.close();
});

test('originals are byte-exact: every NAL unit of a clip is the one that came in', async () => {
  rig = new Rig().open();
  rig.begin('door.main');
  const start = rig.clock.wall;
  rig.record(21);
  const plan = rig.ring.plan('door.main', start + 4_000, start + 12_000);
  expect(plan).toMatchObject({ fromMs: start, toMs: start + 20_000, open: false, gaps: [] });
  expect(plan.files).toHaveLength(1);
  const [file] = plan.files;
  const clip = Buffer.concat([
    rig.ring.readInit(file!.initHash),
    ...(await Promise.all(
      file!.segments.map((s) => rig.ring.read({ stream: 'door.main', seq: s.seq, offset: 0, length: s.bytes })),
    )),
  ]);
  expect(clip.length).toBe(file!.bytes);
  expect(decode(clip)).toBe(200);
  const info = parseFile(clip);
  const pictures = info.fragments.flatMap((f) => {
    let at = f.offset + f.dataOffset;
    return f.samples.map((s) => clip.subarray(at, (at += s.size)));
  });
  const sent = footage().units;
  expect(pictures).toHaveLength(200);
  pictures.forEach((picture, i) => expect(picture.equals(sent[i % sent.length]!.data), `picture ${i}`).toBe(true));
});

test('recording is claimed only from bytes that are safe on the disk, at most 1 s after they came', () => {
  rig = new Rig().open();
  rig.begin('door.main');
  const start = rig.clock.wall;
  const source = rig.sources.get('door.main')!;
  rig.clock.pass(500);
  rig.ring.appendFragment('door.main', source.run.run, source.next());
  expect(rig.ring.status().streams[0]).toMatchObject({ recording: true, committedAgeMs: null, newestMs: null });
  expect(rig.ring.coverage('door.main', start, start + 10_000).spans).toEqual([]);
  rig.clock.pass(750);
  rig.ring.tick();
  expect(rig.ring.status().streams[0]).toMatchObject({ committedAgeMs: 750, newestMs: start + 500 });
  expect(rig.ring.coverage('door.main', start, start + 10_000).spans).toMatchObject([
    { fromMs: start, toMs: start + 500, open: true },
  ]);
});

test('a gap is data: it begins where the footage ends and ends where it goes on, with the reason', () => {
  rig = new Rig().open();
  rig.begin('door.main');
  const start = rig.clock.wall;
  rig.record(15);
  rig.end('door.main', 'camera_offline');
  rig.clock.pass(7_000);
  expect(rig.ring.coverage('door.main', start, start + 60_000).gaps).toEqual([
    { fromMs: start + 15_000, toMs: start + 22_000, reason: 'camera_offline' },
  ]);
  expect(rig.ring.status().streams[0]).toMatchObject({ openGap: 'camera_offline', gapSeconds24h: 7 });
  rig.ring.endRun('door.main', undefined, 'camera_refused');
  rig.clock.pass(3_000);
  rig.begin('door.main');
  rig.record(10);
  const answer = rig.ring.coverage('door.main', start, start + 60_000);
  expect(answer.gaps).toEqual([
    { fromMs: start + 15_000, toMs: start + 22_000, reason: 'camera_offline' },
    { fromMs: start + 22_000, toMs: start + 25_000, reason: 'camera_refused' },
  ]);
  // The last second is written, but not synced yet: neither there nor missing.
  expect(answer.spans.map(({ fromMs, toMs }) => [fromMs - start, toMs - start])).toEqual([
    [0, 15_000],
    [25_000, 34_000],
  ]);
});

test('a restart goes on in the chain and the gap says that the agent was stopped', () => {
  rig = new Rig().open();
  rig.begin('door.main');
  const start = rig.clock.wall;
  rig.record(12);
  rig.restart();
  rig.clock.pass(4_000);
  rig.begin('door.main');
  rig.record(12);
  rig.end('door.main');
  expect(checkClosed(rig, ['door.main'])).toBe(4);
  expect(rig.ring.coverage('door.main', start, rig.clock.wall).gaps).toEqual([
    { fromMs: start + 12_000, toMs: start + 16_000, reason: 'agent_stopped' },
  ]);
  // Decode times begin anew with a run: the clip is one file per run.
  expect(rig.ring.plan('door.main', start, rig.clock.wall).files).toHaveLength(2);
});

test('fragments that the queue dropped become a gap, and recording goes on at the next key frame', () => {
  rig = new Rig().open();
  const source = rig.begin('door.main');
  const start = rig.clock.wall;
  rig.record(5);
  for (let i = 0; i < 5; i++) source.next();
  rig.clock.pass(2_500);
  rig.record(5);
  rig.end('door.main');
  expect(rig.ring.coverage('door.main', start, start + 12_000).gaps[0]).toEqual({
    fromMs: start + 5_000,
    toMs: start + 8_000,
    reason: 'disk_slow',
  });
  const files = rig.ring.plan('door.main', start, start + 12_000).files;
  expect(files).toHaveLength(2);
  expect(checkClosed(rig, ['door.main'])).toBe(2);
});

test('stream names are no way out of the directory', () => {
  rig = new Rig().open();
  for (const name of ['../x.main', 'a/b.main', '.main', 'a.thumb', 'A.main', '']) {
    expect(codeOf(() => rig.ring.coverage(name, 0, 1))).toBe('BAD_STREAM');
  }
});

test('main and substream of several cameras are recorded side by side, each with its own chain', () => {
  rig = new Rig().open();
  const streams = ['a.main', 'a.sub', 'b.main', 'b.sub'];
  for (const stream of streams) rig.begin(stream);
  rig.record(21);
  for (const stream of streams) rig.end(stream);
  expect(checkClosed(rig, streams)).toBe(12);
  const heads = rig.ring.heads();
  expect(Object.values(heads).map((head) => head.seq)).toEqual([3, 3, 3, 3]);
  expect(new Set(Object.values(heads).map((head) => head.link)).size).toBe(4);
});
