import { expect, test } from 'vitest';
import { ulid } from '../../src/base/ids.js';
import type { NewClip } from '../../src/store/clips.js';
import { openState, temporaryDir } from './helpers.js';

const clip = (more: Partial<NewClip> = {}): NewClip => ({
  id: ulid(Date.now()),
  camera: 'gate',
  fromMs: 1_000,
  toMs: 2_000,
  rendition: 'original',
  priority: 'auto',
  state: 'queued',
  detail: '',
  motionEvent: null,
  createdMs: 10,
  requester: 'agent',
  reason: 'motion',
  ...more,
});

test('a clip goes only the ways that a clip can go; delivered is the end', () => {
  const { clips } = openState().tables;
  const one = clip();
  expect(clips.insert(one)).toBe(true);
  expect(() => clips.update({ id: one.id, change: { state: 'delivered' } })).toThrow(
    expect.objectContaining({ code: 'CLIP_STATE' }),
  );
  clips.update({ id: one.id, change: { state: 'uploading', bytes: 100, uploadUrl: 'https://c/1', uploadOffset: 40 } });
  expect(() => clips.update({ id: one.id, from: 'queued', change: { attempts: 3 } })).toThrow(
    expect.objectContaining({ code: 'CLIP_STATE' }),
  );
  const done = clips.update({ id: one.id, from: 'uploading', change: { state: 'delivered', deliveredMs: 99 } });
  expect(done).toMatchObject({ state: 'delivered', uploadUrl: 'https://c/1', deliveredAt: '1970-01-01T00:00:00.099Z' });
  for (const state of ['queued', 'failed', 'withheld', 'uploading'] as const) {
    expect(() => clips.update({ id: one.id, change: { state } })).toThrow(
      expect.objectContaining({ code: 'CLIP_STATE' }),
    );
  }
  expect(() => clips.update({ id: ulid(1), change: {} })).toThrow(expect.objectContaining({ code: 'CLIP_UNKNOWN' }));
});

test('one clip per piece of a motion event, also after a restart', () => {
  const dir = temporaryDir();
  const event = ulid(1);
  const first = openState({ dir });
  expect(first.tables.clips.insert(clip({ motionEvent: event }))).toBe(true);
  first.close();
  const { clips } = openState({ dir }).tables;
  expect(clips.insert(clip({ motionEvent: event, fromMs: 999 }))).toBe(false);
  expect(clips.insert(clip({ motionEvent: event, piece: 1 }))).toBe(true);
  expect(clips.queue()).toEqual({ clips: 2, bytes: 0 });
});

test('next: by priority, then age, and not before its time', () => {
  const { clips } = openState().tables;
  const auto = clip();
  const urgent = clip({ priority: 'urgent', createdMs: 20 });
  const later = clip({ priority: 'emergency' });
  for (const one of [auto, urgent, later]) clips.insert(one);
  clips.update({ id: later.id, change: { notBeforeMs: 500 } });
  expect(clips.next({ atMs: 100, limit: 5 }).map((c) => c.id)).toEqual([urgent.id, auto.id]);
  expect(clips.next({ atMs: 500, limit: 1 }).map((c) => c.id)).toEqual([later.id]);
});

test('withheld at a pause, queued again at the resume, the delivered one untouched', () => {
  const { clips } = openState().tables;
  const ids = [clip(), clip(), clip()];
  for (const one of ids) clips.insert(one);
  clips.update({ id: ids[0]!.id, change: { state: 'uploading' } });
  clips.update({ id: ids[0]!.id, change: { state: 'delivered' } });
  expect(clips.withholdAll({ detail: 'paused by the owner' })).toBe(2);
  expect(clips.list({ limit: 9, states: ['withheld'] })).toHaveLength(2);
  expect(clips.requeueWithheld({ detail: 'paused by the owner', atMs: 5 })).toBe(2);
  expect(clips.get(ids[0]!.id)?.state).toBe('delivered');
});

test('a range finds the clips that touch it', () => {
  const { clips } = openState().tables;
  clips.insert(clip({ fromMs: 1_000, toMs: 2_000 }));
  expect(clips.list({ limit: 9, fromMs: 2_000, toMs: 3_000 })).toHaveLength(0);
  expect(clips.list({ limit: 9, fromMs: 1_999, toMs: 3_000 })).toHaveLength(1);
  expect(clips.list({ limit: 9, camera: 'other' })).toHaveLength(0);
});

const job = (id: string) => ({
  id,
  fingerprint: 'f'.repeat(64),
  name: 'clip.request',
  args: { camera: 'gate' },
  operator: 'jdoe',
  agency: 'JPD',
  role: 'detective',
  reason: 'robbery',
  caseNo: null,
  priority: 'urgent',
  state: 'QUEUED' as const,
  error: null,
  issuedMs: 1,
  expiresMs: 100,
  receivedMs: 2,
});

test('a job is taken once and ends once', () => {
  const { jobs } = openState().tables;
  const id = ulid(1);
  expect(jobs.take(job(id)).added).toBe(true);
  const again = jobs.take({ ...job(id), fingerprint: 'other', name: 'live.start' });
  expect(again).toMatchObject({ added: false, job: { name: 'clip.request', fingerprint: 'f'.repeat(64) } });
  jobs.update({ id, atMs: 5, state: 'IN_PROGRESS', progress: { bytes: 1 } });
  expect(jobs.open()).toHaveLength(1);
  expect(jobs.update({ id, atMs: 9, state: 'SUCCEEDED', result: { files: [] } })).toMatchObject({
    state: 'SUCCEEDED',
    doneMs: 9,
    progress: { bytes: 1 },
  });
  expect(() => jobs.update({ id, atMs: 10, state: 'FAILED' })).toThrow(expect.objectContaining({ code: 'JOB_DONE' }));
  expect(jobs.prune({ beforeMs: 50 })).toBe(0);
  expect(jobs.prune({ beforeMs: 500 })).toBe(1);
});

test('holds: active until released, once', () => {
  const { holds } = openState().tables;
  const hold = { camera: 'gate', fromMs: 1, toMs: 2, reason: 'r', by: 'b', job: null, createdMs: 1, expiresMs: null };
  holds.set({ ...hold, id: 'a' });
  holds.set({ ...hold, id: 'a', toMs: 99 });
  holds.set({ ...hold, id: 'b' });
  expect(holds.release({ id: 'a', atMs: 5 })).toBe(true);
  expect(holds.release({ id: 'a', atMs: 6 })).toBe(false);
  expect(holds.active().map((h) => h.id)).toEqual(['b']);
  expect(holds.list({ limit: 9 }).find((h) => h.id === 'a')).toMatchObject({ toMs: 2, releasedMs: 5 });
});

test('the ledger adds up per uplink, class and UTC day', () => {
  const { bytes } = openState().tables;
  const day = 86_400_000;
  bytes.add([
    { uplink: 'lte', class: 'clip', atMs: day - 1, sent: 10, received: 1 },
    { uplink: 'lte', class: 'clip', atMs: day, sent: 20, received: 2 },
    { uplink: 'lte', class: 'clip', atMs: day + 5, sent: 1, received: 0 },
    { uplink: 'fiber', class: 'mqtt', atMs: day, sent: 5, received: 5 },
  ]);
  expect(bytes.sums({ fromMs: day, toMs: day * 2 - 1, uplink: 'lte' })).toEqual([
    { uplink: 'lte', class: 'clip', sent: 21, received: 2 },
  ]);
  expect(bytes.sums({ fromMs: 0, toMs: day })).toHaveLength(2);
});

test('motion events: one row per event; open ones touch every later range until closed', () => {
  const { motion } = openState().tables;
  const at = (ms: number): string => new Date(ms).toISOString();
  const event = {
    id: ulid(1),
    camera: 'gate',
    phase: 'start' as const,
    start: at(1_000),
    decidedAt: at(1_500),
    end: null,
    score: 0.5,
    reason: 'moves',
  };
  motion.save(event);
  expect(motion.list({ camera: 'gate', fromMs: 90_000, toMs: 99_000, limit: 5 })).toHaveLength(1);
  motion.save({ ...event, phase: 'update', score: 0.9 });
  expect(motion.closeOpen({ atMs: 3_000 })).toMatchObject([{ id: event.id, end: at(3_000), phase: 'end', score: 0.9 }]);
  expect(motion.list({ camera: null, fromMs: 3_001, toMs: 99_000, limit: 5 })).toHaveLength(0);
  expect(motion.list({ camera: null, fromMs: 0, toMs: 1_001, limit: 5 })).toHaveLength(1);
  expect(motion.prune({ beforeMs: 4_000 })).toBe(1);
});
