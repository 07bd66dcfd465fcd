import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseFile } from '../../src/media/mp4.js';
import { realDiskIo, type DiskIo } from '../../src/ring/disk-io.js';
import { checkClosed, codeOf, decode, Rig, tempDir } from './support/rig.js';

let rig: Rig;
const others: Rig[] = [];
afterEach(() => {
  for (const one of [rig, ...others.splice(0)]) one.remove();
});

test('an open segment cut at any of 50 places is taken up to its last whole fragment', () => {
  rig = new Rig().open();
  rig.begin('door.main');
  const start = rig.clock.wall;
  rig.record(19);
  rig.crash();
  rig.ring.dropHandles();
  // The recovered file tells where fragments end; the crash is played again with the file cut at each place.
  const whole = readFileSync(rig.files()[1]!);
  const pristine = rig.directory;
  const ends = parseFile(whole).fragments.map((f) => f.offset + f.bytes);
  expect(ends).toHaveLength(18);
  const source = new Rig().open();
  others.push(source);
  source.clock.wall = start;
  source.begin('door.main');
  source.record(19);
  source.ring.dropHandles();
  const last = source.files()[1]!.slice(source.directory.length);
  const size = readFileSync(source.directory + last).length;
  for (let i = 0; i < 50; i++) {
    const cut = Math.floor((size * i) / 49);
    const copy = tempDir();
    cpSync(source.directory, copy, { recursive: true });
    truncateSync(copy + last, cut);
    const one = new Rig({}, copy);
    one.clock.wall = start + 60_000;
    one.open();
    const fragments = parseFile(readFileSync(source.directory + last).subarray(0, cut)).fragments;
    const plan = one.ring.plan('door.main', start, start + 60_000);
    const segments = plan.files.flatMap((f) => f.segments);
    if (fragments.length === 0) {
      expect(
        segments.map((s) => s.seq),
        `cut at ${cut}`,
      ).toEqual([1]);
      expect(existsSync(copy + last)).toBe(false);
    } else {
      expect(segments[1], `cut at ${cut}`).toMatchObject({ seq: 2, recovered: true });
      const kept = readFileSync(copy + last);
      expect(kept.length).toBe(fragments.at(-1)!.offset + fragments.at(-1)!.bytes);
      if (i % 10 === 7) expect(decode(kept)).toBe(fragments.length * 5);
    }
    const end = start + 10_000 + fragments.length * 500;
    expect(one.ring.coverage('door.main', start, start + 60_000).gaps).toEqual([
      { fromMs: end, toMs: start + 60_000, reason: 'agent_crashed' },
    ]);
    expect(checkClosed(one, ['door.main'])).toBe(fragments.length === 0 ? 1 : 2);
    one.remove();
  }
  expect(pristine).not.toBe(source.directory);
});

test('zeros in place of the last blocks, as a power cut leaves them, are not taken for pictures', () => {
  rig = new Rig().open();
  rig.begin('door.main');
  rig.record(5);
  rig.ring.dropHandles();
  const path = rig.files()[0]!;
  const data = readFileSync(path);
  const fragment = parseFile(data).fragments[7]!;
  data.fill(0, fragment.offset + fragment.dataOffset);
  writeFileSync(path, data);
  rig.crash();
  const [file] = rig.ring.plan('door.main', 0, 4e12).files;
  expect(file!.segments).toHaveLength(1);
  expect(parseFile(readFileSync(path)).fragments).toHaveLength(7);
  expect(decode(readFileSync(path))).toBe(35);
});

test('after a crash the chain goes on from what was recovered', () => {
  rig = new Rig().open();
  for (let i = 0; i < 4; i++) {
    rig.begin('door.main');
    rig.begin('door.sub');
    rig.record(13);
    rig.crash();
    rig.clock.pass(3_000);
  }
  expect(checkClosed(rig, ['door.main', 'door.sub'])).toBe(16);
  const seqs = rig.ring.plan('door.main', 0, 4e12).files.flatMap((f) => f.segments.map((s) => s.seq));
  expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

/** Copies a ring as it lies on the disk at this moment: what a power cut would leave if nothing were lost. */
function snapshot(from: Rig): Rig {
  const copy = tempDir();
  cpSync(from.directory, copy, { recursive: true });
  const one = new Rig({}, copy);
  one.clock.wall = from.clock.wall;
  one.clock.mono = from.clock.mono;
  others.push(one);
  return one;
}

test('a deleted ring.db is rebuilt with equal chain heads, spans, gaps and marks, while recording goes on', () => {
  rig = new Rig({ journalFileBytes: 4_000 }).open();
  const streams = ['a.main', 'a.sub'];
  for (let i = 0; i < 3; i++) {
    for (const stream of streams) rig.begin(stream);
    rig.record(45);
    rig.ring.markMotion('a', rig.clock.wall - 30_000, rig.clock.wall - 20_000);
    for (const stream of streams) rig.end(stream);
    rig.clock.pass(20_000);
  }
  const heads = rig.ring.heads();
  const before = streams.map((s) => [
    rig.ring.coverage(s, 0, rig.clock.wall - 20_000),
    rig.ring.timeline(s, 0, 4e12),
    rig.ring.plan(s, 0, 4e12).files,
  ]);
  rig.ring.close();
  const copy = snapshot(rig);
  rmSync(join(copy.directory, 'ring.db'));
  copy.open();
  expect(copy.ring.heads()).toEqual(heads);
  expect(copy.ring.status().state).toBe('rebuilding');
  expect(copy.ring.status().rebuildShare).toBeLessThan(1);
  copy.begin('a.main');
  copy.record(3);
  while (copy.ring.rebuildStep()) expect(copy.ring.status().state).toBe('rebuilding');
  expect(copy.ring.status().state).toBe('ok');
  const after = streams.map((s) => [
    copy.ring.coverage(s, 0, rig.clock.wall - 20_000),
    copy.ring.timeline(s, 0, 4e12),
    copy.ring.plan(s, 0, 4e12).files,
  ]);
  expect(after).toEqual(before);
  copy.end('a.main');
  expect(checkClosed(copy, streams)).toBe(3 * 2 * 5 + 1);
  const totals = copy.ring.status().streams.map((s) => [s.stream, s.segments]);
  expect(totals).toEqual([
    ['a.main', 16],
    ['a.sub', 15],
  ]);
  others.push(new Rig({}, rig.directory));
});

for (const [name, damage] of [
  ['truncated', (path: string) => truncateSync(path, 5000)],
  ['without header', (path: string) => writeFileSync(path, Buffer.alloc(4096), { flag: 'r+' })],
  ['text', (path: string) => writeFileSync(path, 'this is no database')],
  ['empty', (path: string) => writeFileSync(path, '')],
  ['of another disk', (path: string, other: string) => copyFileSync(join(other, 'ring.db'), path)],
] as const) {
  test(`a ring.db that is ${name} is put aside and rebuilt with equal heads`, () => {
    const foreign = new Rig().open();
    others.push(foreign);
    foreign.ring.close();
    rig = new Rig().open();
    rig.begin('a.main');
    rig.record(32);
    rig.end('a.main');
    const heads = rig.ring.heads();
    rig.ring.close();
    damage(join(rig.directory, 'ring.db'), foreign.directory);
    rig.crash();
    while (rig.ring.rebuildStep());
    expect(rig.ring.heads()).toEqual(heads);
    expect(checkClosed(rig, ['a.main'])).toBe(4);
  });
}

test('an index that is found damaged while recording is rebuilt without stopping', () => {
  rig = new Rig().open();
  rig.begin('a.main');
  rig.record(32);
  rig.ring.dropHandles();
  const path = join(rig.directory, 'ring.db');
  rig.crash();
  rig.ring.close();
  const data = readFileSync(path);
  // Every page but the first two: header and schema stay readable.
  data.fill(0xa5, 8192);
  writeFileSync(path, data);
  rig.crash();
  rig.begin('a.main');
  rig.record(25);
  rig.end('a.main');
  while (rig.ring.rebuildStep());
  expect(rig.ring.status().state).toBe('ok');
  expect(checkClosed(rig, ['a.main'])).toBeGreaterThanOrEqual(7);
});

test('a crash between journal and index is repaired from the tail of the journal', () => {
  rig = new Rig().open();
  rig.begin('a.main');
  rig.record(5);
  const early = snapshot(rig);
  rig.record(20);
  rig.ring.dropHandles();
  // The index of an earlier moment with the journal and media of a later one.
  cpSync(join(rig.directory, 'journal'), join(early.directory, 'journal'), { recursive: true });
  cpSync(join(rig.directory, 'media'), join(early.directory, 'media'), { recursive: true });
  early.open();
  expect(checkClosed(early, ['a.main'])).toBe(3);
});

test('a torn last line of the journal is cut off, and what follows is read', () => {
  rig = new Rig().open();
  rig.begin('a.main');
  rig.record(12);
  rig.ring.dropHandles();
  const path = join(rig.directory, 'journal', '00000001.log');
  writeFileSync(path, '{"k":"closed","ordin', { flag: 'a' });
  rig.crash();
  rig.begin('a.main');
  rig.record(12);
  rig.end('a.main');
  const heads = rig.ring.heads();
  rig.ring.close();
  rmSync(join(rig.directory, 'ring.db'));
  rig.crash();
  while (rig.ring.rebuildStep());
  expect(rig.ring.heads()).toEqual(heads);
  expect(checkClosed(rig, ['a.main'])).toBe(4);
});

test('a file in the way of the next segment is cleared if empty of pictures and kept aside otherwise', () => {
  rig = new Rig().open();
  rig.begin('a.main');
  rig.record(12);
  rig.end('a.main');
  const next = join(rig.directory, 'media/a.main/000000/3.mp4');
  copyFileSync(rig.files()[0]!, next);
  rig.begin('a.main');
  rig.record(3);
  rig.end('a.main');
  expect(checkClosed(rig, ['a.main'])).toBe(3);
  expect(existsSync(join(rig.directory, 'orphans'))).toBe(true);
});

test('a wrong, missing or foreign disk is refused and never written', () => {
  rig = new Rig().open();
  const id = rig.ring.diskId;
  const elsewhere = tempDir();
  const stranger = new Rig({ create: false }, elsewhere);
  others.push(stranger);
  expect(codeOf(() => stranger.ring.open())).toBe('DISK_MISSING');
  expect(stranger.ring.status()).toMatchObject({ state: 'missing', streams: [] });
  expect(codeOf(() => new Rig({ expectDisk: id }, elsewhere).ring.open())).toBe('DISK_MISSING');
  expect(existsSync(join(elsewhere, 'disk.json'))).toBe(false);
  writeFileSync(join(elsewhere, 'photo.jpg'), 'x');
  expect(codeOf(() => new Rig({}, elsewhere).ring.open())).toBe('DISK_FOREIGN');
  rig.ring.close();
  expect(codeOf(() => new Rig({ expectDisk: 'another' }, rig.directory).ring.open())).toBe('DISK_WRONG');
  expect(codeOf(() => new Rig({ expectDisk: id }, rig.directory).ring.open())).toBe('none');
});

/** Fails the Nth operation and every one after it, like a disk that goes away. */
function failing(after: number, code: string): { io: DiskIo; heal: () => void; ops: () => number } {
  let count = 0;
  let broken = true;
  const changes = new Set([
    'create',
    'write',
    'datasync',
    'sync',
    'truncate',
    'unlink',
    'makeDir',
    'syncDir',
    'openAppend',
    'openWrite',
  ]);
  const io = new Proxy(realDiskIo, {
    get(target, name: keyof DiskIo) {
      const real = target[name] as (...args: unknown[]) => unknown;
      if (!changes.has(name)) return real;
      return (...args: unknown[]) => {
        count++;
        if (broken && count >= after) throw Object.assign(new Error(`injected ${code}`), { code });
        return real(...args);
      };
    },
  });
  return { io, heal: () => (broken = false), ops: () => count };
}

for (const code of ['EIO', 'ENOSPC', 'EROFS']) {
  test(`${code} at any operation: a gap with its reason, recording resumes by itself, nothing closed is lost`, () => {
    rig = new Rig();
    for (let n = 1; n < 400; n += n < 40 ? 1 : 23) {
      const fault = failing(n, code);
      const one = new Rig({ io: fault.io, directory: tempDir() });
      others.push(one);
      one.ring.tick();
      one.begin('a.main');
      const start = one.clock.wall;
      one.record(24);
      const failed = one.ring.status();
      fault.heal();
      one.clock.pass(2_000);
      one.ring.tick();
      one.record(14);
      const now = one.ring.status();
      expect(now, `operation ${n}`).toMatchObject({ state: 'ok' });
      expect(now.streams[0], `operation ${n}`).toMatchObject({ recording: true });
      // The source is 2 s behind the clock since the cure was waited for.
      expect(now.streams[0]!.committedAgeMs).toBeLessThanOrEqual(3_500);
      one.end('a.main');
      const { spans, gaps } = one.ring.coverage('a.main', start, one.clock.wall);
      const total = [...spans, ...gaps].reduce((sum, x) => sum + x.toMs - x.fromMs, 0);
      expect(total, `operation ${n}`).toBe(one.clock.wall - start);
      if (failed.state !== 'ok') {
        expect(
          gaps.map((gap) => gap.reason),
          `operation ${n}`,
        ).toContain(code === 'ENOSPC' ? 'disk_full' : 'disk_failed');
      }
      checkClosed(one, ['a.main']);
      one.remove();
      others.length = 0;
      if (failed.state === 'ok') break;
    }
  });
}
