import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Anchor } from '../../src/contract/evidence.js';
import { preAuthEncoding } from '../../src/proof/dsse.js';
import { publicKeyFromText } from '../../src/proof/keys.js';
import { verifyClip } from '../../src/proof/verify.js';
import { until } from '../center/mosquitto.js';
import { faultProxy } from '../uplinks/proxy.js';
import { claimedBox, endBox, type ClaimedBox } from './center-rig.js';
import { anchorAt, clipRoom, clock, fakeRing, footageBytes } from './rig.js';

const ROLLS = { preRollMs: 1_000, postRollMs: 1_000, maxLengthMs: 60_000, rendition: 'original' } as const;

let { center, agent, signer, state, claim, ring, gate } = {} as ClaimedBox;

beforeEach(async () => {
  ({ center, agent, signer, state, claim, ring, gate } = await claimedBox());
});

afterEach(() => endBox({ center, agent, state }));

function parts(): Parameters<typeof clipRoom>[1] {
  return { calls: state.calls, signer, ring, gate };
}

function ask(
  fromS: number,
  toS: number,
  more: object = {},
): Parameters<ReturnType<typeof clipRoom>['clips']['request']>[0] {
  return {
    camera: 'north',
    fromMs: ring.startMs + fromS * 1000,
    toMs: ring.startMs + toS * 1000,
    rendition: 'original',
    priority: 'routine',
    party: { kind: 'operator', operator: 'o1', agency: 'pd', role: 'analyst' },
    door: 'mqtt',
    reason: 'case 7',
    send: true,
    ...more,
  };
}

/** The clip put together by hand: init and bodies of whole seconds. */
function expected(from: number, to: number): Buffer {
  const { init, bodies } = footageBytes();
  return Buffer.concat([init, ...bodies.slice(from, to)]);
}

function shaOf(path: string): string {
  return execFileSync('sha256sum', [path]).toString().slice(0, 64);
}

test('a clip arrives byte-exact, plays, and its manifest verifies with openssl', async () => {
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const clip = (await room.clips.request(ask(1.4, 4.2)))!;
  await until(() => center.clips()[0]?.state === 'delivered');
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered');
  const path = center.clipPath(clip.id)!;
  expect(readFileSync(path).equals(expected(1, 5))).toBe(true);
  expect(shaOf(path)).toBe((await room.clips.get(clip.id))!.sha256);
  expect(room.states).toEqual(['queued', 'uploading', 'delivered']);
  // The gate was asked for the whole segments that left, in the name of who asked.
  expect(gate.requests[0]).toMatchObject({
    range: { fromMs: ring.startMs + 1000, toMs: ring.startMs + 5000 },
    party: { kind: 'operator', operator: 'o1' },
  });
  expect(gate.ends).toEqual([{ outcome: 'done', bytes: expected(1, 5).length, why: `clip ${clip.id} delivered` }]);

  const probe = execFileSync('ffprobe', [
    '-v',
    'error',
    '-count_packets',
    '-show_entries',
    'stream=nb_read_packets',
    '-of',
    'csv=p=0',
    path,
  ]);
  expect(Number(probe.toString())).toBe(60);

  const dir = mkdtempSync(join(tmpdir(), 'bluelight-verify-'));
  const envelope = (await room.clips.manifest(clip.id))!;
  const pem = publicKeyFromText(signer.keyId).export({ type: 'spki', format: 'pem' });
  writeFileSync(join(dir, 'key.pem'), pem);
  writeFileSync(join(dir, 'pae'), preAuthEncoding(envelope.payloadType, Buffer.from(envelope.payload, 'base64')));
  writeFileSync(join(dir, 'sig'), Buffer.from(envelope.signatures[0]!.sig, 'base64'));
  const verified = execFileSync(
    'openssl',
    ['pkeyutl', '-verify', '-pubin', '-inkey', 'key.pem', '-rawin', '-in', 'pae', '-sigfile', 'sig'],
    { cwd: dir },
  );
  expect(verified.toString()).toContain('Verified Successfully');
  await room.stop();
});

test('an upload cut again and again goes on where it was and arrives once', async () => {
  const size = expected(0, 8).length;
  const url = new URL(claim.center.upload);
  const proxy = await faultProxy(Number(url.port), [
    Math.floor(size * 0.2),
    Math.floor(size * 0.3),
    Math.floor(size * 0.3),
  ]);
  url.port = String(proxy.port);
  const cut = { ...claim, center: { ...claim.center, upload: url.href } };
  const chunkBytes = 64 * 1024;
  const room = clipRoom(cut, parts(), { chunkBytes });
  await room.clips.start();
  const clip = (await room.clips.request(ask(0, 8)))!;
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered', 20_000);
  expect(proxy.cuts).toBe(3);
  expect(shaOf(center.clipPath(clip.id)!)).toBe((await room.clips.get(clip.id))!.sha256);
  expect(center.clips()).toHaveLength(1);
  // Headers and manifests aside, at most one chunk was sent again per cut.
  expect(proxy.sent).toBeLessThan(size + 3 * chunkBytes + 100_000);
  const counted = room.uplinks.status()[0]!;
  expect(counted.sent).toBeGreaterThan(size);
  await room.stop();
  await proxy.close();
});

test('a restart in the middle goes on from the stored offset', async () => {
  const size = expected(0, 8).length;
  const url = new URL(claim.center.upload);
  const proxy = await faultProxy(Number(url.port));
  url.port = String(proxy.port);
  const slow = { ...claim, center: { ...claim.center, upload: url.href } };
  const first = clipRoom(slow, parts(), { chunkBytes: 64 * 1024 });
  await first.clips.start();
  const clip = (await first.clips.request(ask(0, 8)))!;
  await until(async () => (await first.clips.get(clip.id))!.sentBytes > size / 4);
  await first.stop();
  const stopped = (await state.calls.clips.get(clip.id))!;
  expect(stopped.state).toBe('queued');
  expect(stopped.uploadUrl).not.toBeNull();
  const before = proxy.sent;

  const second = clipRoom(slow, parts(), { chunkBytes: 64 * 1024 });
  await second.clips.start();
  await until(async () => (await second.clips.get(clip.id))?.state === 'delivered');
  expect(proxy.sent - before).toBeLessThan(size - stopped.uploadOffset + 64 * 1024 + 50_000);
  expect(shaOf(center.clipPath(clip.id)!)).toBe(stopped.sha256);
  await second.stop();
  await proxy.close();
});

test('other bytes than the manifest says are never delivered', async () => {
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const read = ring.readBody.bind(ring);
  let calls = 0;
  // The disk lies only after the hash was taken: the center must find it.
  ring.readBody = async (grant, at) => {
    calls++;
    ring.corrupt = calls > 2;
    return read(grant, at);
  };
  const clip = (await room.clips.request(ask(0, 2)))!;
  await until(async () => (await room.clips.get(clip.id))?.detail.startsWith('HASH_MISMATCH') === true);
  expect(center.clips()[0]!.state).toBe('expected');
  expect((await room.clips.get(clip.id))!.uploadUrl).toBeNull();
  ring.readBody = read;
  ring.corrupt = false;
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered');
  expect(shaOf(center.clipPath(clip.id)!)).toBe(shaOfBytes(expected(0, 2)));
  await room.stop();
});

function shaOfBytes(bytes: Buffer): string {
  const file = join(mkdtempSync(join(tmpdir(), 'bluelight-')), 'x');
  writeFileSync(file, bytes);
  return shaOf(file);
}

test('footage that no longer has its recorded hash is not sent at all', async () => {
  const room = clipRoom(claim, parts());
  await room.clips.start();
  ring.corrupt = true;
  const clip = (await room.clips.request(ask(0, 2)))!;
  await until(async () => (await room.clips.get(clip.id))?.state === 'failed');
  expect((await room.clips.get(clip.id))!.detail).toMatch(/^FOOTAGE_DAMAGED/);
  expect(gate.ends).toMatchObject([{ outcome: 'failed', bytes: 0 }]);
  expect(center.clips()).toHaveLength(0);
  await room.stop();
});

test('what the policy refuses is withheld and not one byte leaves', async () => {
  const room = clipRoom(claim, parts());
  gate.allow = () => false;
  await room.clips.start();
  const clip = (await room.clips.request(ask(0, 2)))!;
  await until(async () => (await room.clips.get(clip.id))?.state === 'withheld');
  expect((await room.clips.get(clip.id))!.detail).toMatch(/^POLICY_DENIED/);
  expect(ring.reads).toBe(0);
  expect(center.clips()).toHaveLength(0);
  gate.allow = () => true;
  expect(await room.clips.retryWithheld(['POLICY_DENIED'])).toBe(1);
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered');
  await room.stop();
});

test('a withdrawn grant stops a running upload', async () => {
  const room = clipRoom(claim, parts(), { chunkBytes: 16 * 1024 });
  await room.clips.start();
  const clip = (await room.clips.request(ask(0, 8)))!;
  await until(async () => (await room.clips.get(clip.id))!.sentBytes > 0);
  gate.revoke();
  await until(async () => (await room.clips.get(clip.id))?.state === 'withheld', 2_000);
  const { reads } = ring;
  expect(center.clips()[0]!.state).toBe('receiving');
  expect(ring.reads).toBe(reads);
  expect(gate.ends.at(-1)!.outcome).toBe('failed');
  await room.stop();
});

test('a motion event becomes a clip with its rolls, once its last segment is closed', async () => {
  ring = fakeRing(clock.now() - 3_000);
  ring.openFromMs = ring.startMs + 2_000;
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const utc = (s: number): string => new Date(ring.startMs + s * 1000).toISOString();
  const event = { id: '01HQ0000000000000000000001', camera: 'north', decidedAt: utc(1.5), score: 1, reason: 'zone' };
  room.clips.motion({ ...event, phase: 'start', start: utc(1.2), end: null });
  room.clips.motion({ ...event, phase: 'end', start: utc(1.2), end: utc(1.6) });
  await until(async () => (await room.clips.list({ limit: 5 })).length === 1);
  await until(async () => (await room.clips.list({ limit: 5 }))[0]!.detail.includes('still being written'));
  expect(center.clips()).toHaveLength(0);
  ring.openFromMs = Infinity;
  room.clips.kick();
  await until(() => center.clips()[0]?.state === 'delivered');
  expect(center.clips()[0]!.manifest).toMatchObject({
    requester: 'agent',
    covers: { from: utc(0), to: utc(3) },
    asked: { from: utc(0.2), to: utc(2.6) },
  });
  await room.stop();
});

test('a motion event whose clip was not asked for before the agent died gets it afterwards, once', async () => {
  const before = clipRoom(claim, parts(), { motion: { ...ROLLS, postRollMs: 600_000 } });
  await before.clips.start();
  const utc = (s: number): string => new Date(ring.startMs + s * 1000).toISOString();
  const event = { id: '01HQ0000000000000000000001', camera: 'north', decidedAt: utc(2.5), score: 1, reason: 'zone' };
  const ended = { ...event, phase: 'end' as const, start: utc(2.2), end: utc(2.6) };
  before.clips.motion(ended);
  await before.stop();
  expect(await state.calls.clips.list({ limit: 5 })).toEqual([]);

  for (const _ of [1, 2]) {
    const after = clipRoom(claim, parts(), { motion: ROLLS });
    await after.clips.start([ended]);
    after.clips.motion(ended);
    await until(() => center.clips()[0]?.state === 'delivered');
    await after.stop();
  }
  const made = await state.calls.clips.list({ limit: 5 });
  expect(made).toMatchObject([{ motionEvent: event.id, from: utc(1.2), to: utc(3.6) }]);
});

test('a clip made on the box can be read with its manifest and does not leave', async () => {
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const owner = { party: { kind: 'local', role: 'owner', name: 'anna' }, door: 'socket' } as const;
  const clip = (await room.clips.request(ask(2, 4, { ...owner, send: false })))!;
  expect(clip.state).toBe('local');
  const opened = await room.clips.open(clip.id, owner);
  const bytes = Buffer.from(await opened.file.read(0, opened.bytes));
  expect(bytes.equals(expected(2, 4))).toBe(true);
  expect(await verdictOf(bytes, opened.manifest)).toBe('authentic_completeness_not_proven');
  expect(center.clips()).toHaveLength(0);
  await room.stop();
});

async function verdictOf(bytes: Buffer, signed: unknown, anchor?: unknown): Promise<string> {
  const file = { size: bytes.length, read: (at: number, length: number) => bytes.subarray(at, at + length) };
  return (await verifyClip({ file, signed, trusted: [signer.keyId], anchor })).verdict;
}

test('a clip that left before its checkpoint is proved complete when that is made; file and manifest stay', async () => {
  const made: Anchor[] = [];
  const room = clipRoom(claim, parts(), {
    anchors: { anchor: ({ seq }) => Promise.resolve(made.length === 0 ? null : anchorAt(ring.records, seq, signer)) },
    onAnchor: (clip, anchor) =>
      agent.event({ type: 'bluelight.anchor', stream: clip.camera, data: { clip: clip.id, anchor } }),
  });
  await room.clips.start();
  const clip = (await room.clips.request(ask(1, 4)))!;
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered');
  const signed = (await room.clips.manifest(clip.id))!;
  const file = readFileSync(center.clipPath(clip.id)!);
  await room.clips.checkpointed();
  expect(await room.clips.anchor(clip.id)).toBeNull();
  expect(await verdictOf(file, signed)).toBe('authentic_completeness_not_proven');

  made.push(anchorAt(ring.records, 4, signer));
  await room.clips.checkpointed();
  const path = center.clipPath(clip.id)!.replace(/mp4$/, 'anchor.json');
  await until(() => existsSync(path));
  const anchor = readFileSync(path, 'utf8');
  expect(JSON.parse(anchor)).toEqual(await room.clips.anchor(clip.id));
  expect(await verdictOf(readFileSync(center.clipPath(clip.id)!), signed, anchor)).toBe('authentic');
  expect(center.clips()[0]!.envelope).toEqual(signed);
  expect(await state.calls.clips.unanchored({ sinceMs: 0 })).toEqual([]);
  await room.stop();
});

test('while the index is rebuilt a clip waits instead of saying that nothing is there', async () => {
  ring.rebuilding = true;
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const clip = (await room.clips.request(ask(1, 4)))!;
  await until(async () => (await room.clips.get(clip.id))?.detail.includes('rebuilt') === true);
  expect((await room.clips.get(clip.id))?.state).toBe('queued');
  ring.rebuilding = false;
  await state.calls.clips.update({ id: clip.id, change: { notBeforeMs: 0 } });
  room.clips.kick();
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered');
  await room.stop();
});

test('a clip of a time that was not recorded is failed, also when it was for the box itself', async () => {
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const asked = room.clips.request(ask(-500, -400, { send: false }));
  await expect(asked).rejects.toMatchObject({ code: 'NO_COVERAGE' });
  const [clip] = await room.clips.list({ limit: 1 });
  expect(clip).toMatchObject({ state: 'failed', detail: expect.stringContaining('NO_COVERAGE') as string });
  await room.stop();
});

test('what a job asked for is given up when it is cancelled: what runs, what waits, not what is delivered', async () => {
  const room = clipRoom(claim, parts(), { chunkBytes: 16 * 1024 });
  await room.clips.start();
  const job = '01J000000000000000000000J0';
  const done = (await room.clips.request(ask(0, 1, { job, priority: 'urgent' })))!;
  await until(async () => (await room.clips.get(done.id))?.state === 'delivered');
  const runs = (await room.clips.request(ask(0, 8, { job, priority: 'urgent' })))!;
  const waits = (await room.clips.request(ask(2, 3, { job })))!;
  const other = (await room.clips.request(ask(4, 5, {})))!;
  await until(async () => (await room.clips.get(runs.id))!.sentBytes > 0);
  await room.clips.cancelJob(job, 'not needed any more');
  await until(async () => (await room.clips.get(other.id))?.state === 'delivered');
  for (const { id } of [runs, waits]) {
    expect(await room.clips.get(id)).toMatchObject({ state: 'failed', detail: 'CANCELED: not needed any more' });
  }
  expect((await room.clips.get(done.id))?.state).toBe('delivered');
  expect(center.clips().filter((clip) => clip.state === 'delivered')).toHaveLength(2);
  await room.stop();
});

test('something more urgent goes first; what it interrupted goes on where it was', async () => {
  const size = expected(0, 8).length;
  const room = clipRoom(claim, parts(), { chunkBytes: 16 * 1024 });
  await room.clips.start();
  const slow = (await room.clips.request(ask(0, 8, { priority: 'auto' })))!;
  await until(async () => (await room.clips.get(slow.id))!.sentBytes > 0);
  const urgent = (await room.clips.request(ask(0, 1, { priority: 'emergency' })))!;
  await until(async () => (await room.clips.get(urgent.id))?.state === 'delivered');
  const interrupted = (await room.clips.get(slow.id))!;
  expect(interrupted.state).not.toBe('delivered');
  expect(interrupted.sentBytes).toBeGreaterThan(0);
  await until(async () => (await room.clips.get(slow.id))?.state === 'delivered');
  expect(room.uplinks.status()[0]!.sent).toBeLessThan(size * 1.3 + expected(0, 1).length);
  expect(shaOf(center.clipPath(slow.id)!)).toBe(shaOfBytes(expected(0, 8)));
  await room.stop();
});

test('where the format changes the clip is several files, each with its own manifest', async () => {
  ring.formatChangesAtMs = ring.startMs + 4_000;
  const room = clipRoom(claim, parts());
  await room.clips.start();
  await room.clips.request(ask(2, 6));
  await until(() => center.clips().filter((clip) => clip.state === 'delivered').length === 2);
  const covers = center.clips().map((clip) => clip.manifest.covers.from);
  const utc = (s: number): string => new Date(ring.startMs + s * 1000).toISOString();
  expect(covers.sort()).toEqual([utc(2), utc(4)]);
  await room.stop();
});

test.each([7, 1_500])(
  'where the clock was set back by %d ms two files tell of one time: each is sent once',
  async (ms) => {
    ring.formatChangesAtMs = ring.startMs + 4_000;
    ring.setBackMs = ms;
    const room = clipRoom(claim, parts());
    await room.clips.start();
    await room.clips.request(ask(2, 6));
    const utc = (at: number): string => new Date(ring.startMs + at).toISOString();
    const settled = async (): Promise<boolean> => {
      const clips = await room.clips.list({ limit: 100 });
      return clips.length > 1 && clips.every((clip) => clip.state === 'delivered');
    };
    await until(settled);
    // Whole segments: those of the new run that touch the end as it was asked for.
    const covers = center.clips().map(({ manifest }) => [manifest.covers.from, manifest.covers.to]);
    expect(covers.sort()).toEqual([
      [utc(2_000), utc(4_000)],
      [utc(4_000 - ms), utc(ms > 1_000 ? 6_500 : 6_993)],
    ]);
    await room.stop();
  },
);

test('segments that reach out of the hours are left out of the clip, not cut', async () => {
  gate.allow = (request) => request.range.fromMs >= ring.startMs + 1_400 && request.range.toMs <= ring.startMs + 5_200;
  gate.code = 'OUTSIDE_HOURS';
  const room = clipRoom(claim, parts());
  await room.clips.start();
  const clip = (await room.clips.request(ask(1.4, 5.2)))!;
  await until(async () => (await room.clips.get(clip.id))?.state === 'delivered');
  expect(readFileSync(center.clipPath(clip.id)!).equals(expected(2, 5))).toBe(true);
  await room.stop();
});
