import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { toUtc } from '../../src/contract/primitives.js';
import { FakeBox, STILL } from './fake-box.js';
import { ask, bearer, startWeb, type Answer, type Running } from './harness.js';
import { makeLoop } from './media.js';

const MINUTE = 60_000;
const from = Date.now() - 30 * MINUTE;
let box: FakeBox;
let running: Running;
let auth: Record<string, string>;

beforeAll(async () => {
  const loop = makeLoop({ width: 320, height: 180, seconds: 1 });
  const spans = [{ fromMs: from, toMs: from + 20 * MINUTE }];
  const common = { main: loop, sub: loop, spans, gapReason: 'camera_offline', motion: [], online: true };
  box = new FakeBox(['front', 'back'].map((id) => ({ id, name: id, ...common })));
  running = await startWeb(box);
  auth = await bearer(running.port, box.code);
});

beforeEach(() => {
  for (const list of [box.asked, box.taken, box.ends]) list.length = 0;
  box.denied.clear();
  box.stillFails = null;
});

afterAll(async () => {
  box.stop();
  await running.stop();
});

function still(camera: string, query = '', headers = auth): Promise<Answer> {
  return ask({ port: running.port }, 'GET', `/api/v1/cameras/${camera}/snapshot.jpg${query}`, { headers });
}

test('the newest picture comes whole, with the time at which it was taken; the audit hears of its bytes', async () => {
  const before = Date.now();
  const answer = await still('front');
  expect(answer.status).toBe(200);
  expect(answer.bytes.equals(STILL)).toBe(true);
  expect(answer.headers).toMatchObject({
    'content-type': 'image/jpeg',
    'content-length': String(STILL.length),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  const captured = String(answer.headers['x-captured-at']);
  expect(Date.parse(captured)).toBeGreaterThanOrEqual(before);
  expect(answer.headers['content-disposition']).toMatch(/^inline; filename="front-main-\d{8}T\d{9}Z\.jpg"$/);
  expect(box.taken).toEqual([{ camera: 'front', role: 'main', atMs: null }]);
  expect(box.asked).toMatchObject([{ kind: 'still', camera: 'front', party: { kind: 'local', role: 'owner' } }]);
  const { range } = box.asked[0]!;
  expect(range.toMs - range.fromMs).toBe(1);
  expect(range.fromMs).toBeGreaterThanOrEqual(before);
  await expect.poll(() => box.ends).toEqual([{ grant: 'still', outcome: 'done', bytes: STILL.length }]);
});

test('of the past the gate is asked for the whole segment that is read', async () => {
  const at = from + 5 * MINUTE + 1_234;
  const answer = await still('front', `?at=${toUtc(at)}&role=sub`);
  expect(answer.status).toBe(200);
  expect(answer.headers['x-captured-at']).toBe(toUtc(at));
  expect(box.taken).toEqual([{ camera: 'front', role: 'sub', atMs: at }]);
  const fromMs = from + 5 * MINUTE;
  expect(box.asked).toMatchObject([{ kind: 'still', range: { fromMs, toMs: fromMs + 10_000 } }]);
  await expect.poll(() => box.ends).toHaveLength(1);
});

test('what the gate refuses is not even read', async () => {
  box.denied.add('back');
  for (const query of ['', `?at=${toUtc(from + MINUTE)}`]) {
    const answer = await still('back', query);
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'POLICY_DENIED', fix: 'Ask the owner.' });
  }
  expect(box.taken).toEqual([]);
  expect((await still('front', '', {})).status).toBe(401);
  expect(box.asked).toHaveLength(2);
});

test('a picture that cannot be made is a problem with its code, and stands as failed in the audit', async () => {
  box.stillFails = new BluelightError('NO_COVERAGE', 'Nothing is recorded at this moment.');
  const answer = await still('front', `?at=${toUtc(from + 25 * MINUTE)}`);
  expect([answer.status, answer.json()['code']]).toEqual([404, 'NO_COVERAGE']);
  box.stillFails = new BluelightError('BUSY', 'too many', { retryable: true });
  expect((await still('front')).status).toBe(503);
  expect(box.ends).toEqual([
    { grant: 'still', outcome: 'failed', bytes: 0 },
    { grant: 'still', outcome: 'failed', bytes: 0 },
  ]);
});

test.each([
  ['nobody', '', 404, 'UNKNOWN_CAMERA'],
  ['front', '?at=2199-01-01T00:00:00.000Z', 400, 'BAD_REQUEST'],
  ['front', '?at=2026-13-45T00:00:00.000Z', 400, 'BAD_REQUEST'],
  ['front', '?at=yesterday', 400, 'BAD_REQUEST'],
  ['front', '?role=third', 400, 'BAD_REQUEST'],
  ['..%2fpolicy', '', 400, 'BAD_REQUEST'],
])('%s%s is refused before the gate is asked', async (camera, query, status, code) => {
  const answer = await still(camera, query);
  expect([answer.status, answer.json()['code']]).toEqual([status, code]);
  expect(box.asked).toEqual([]);
});

test('a permission that is withdrawn meanwhile ends it with its reason', async () => {
  const take = box.stills.take;
  box.stills.take = (grant) =>
    new Promise((_, reject) => {
      grant.signal.addEventListener('abort', () => reject(grant.signal.reason as Error));
      box.given.at(-1)!.abort.abort(new BluelightError('PAUSED_BY_OWNER', 'the owner has paused sharing'));
    });
  try {
    const answer = await still('front');
    expect([answer.status, answer.json()['code']]).toEqual([403, 'PAUSED_BY_OWNER']);
    expect(box.ends).toEqual([{ grant: 'still', outcome: 'failed', bytes: 0 }]);
  } finally {
    box.stills.take = take;
  }
});
