import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { classifyEnd } from '../../src/ingest/complaint.js';
import { CameraLogins } from '../../src/ingest/logins.js';
import { DEFAULT_LIMITS } from '../../src/ingest/ports.js';
import { ffconcatScript, formatSource, parseSource } from '../../src/ingest/source.js';
import { rateLimit, UsualRate } from '../../src/ingest/usual-rate.js';
import { CaptureClock } from '../../src/ingest/wall.js';
import { judgeSession, stallLimitMs, type SessionView } from '../../src/ingest/watch.js';

const MIN = 60_000;

test.each([
  ['rtsp://10.0.0.5/stream1', { host: '10.0.0.5', port: 554, path: '/stream1' }],
  ['rtsp://10.0.0.5:8554/a?b=1&c=2#x', { host: '10.0.0.5', port: 8554, path: '/a?b=1&c=2%23x' }],
  ['rtsp://user:p%40ss@cam.local/x', { host: 'cam.local', port: 554, path: '/x' }],
  ['rtsp://[fe80::1]:554/x', { host: 'fe80::1', port: 554, path: '/x' }],
  ['RTSP://10.0.0.5', { host: '10.0.0.5', port: 554, path: '/' }],
  ['rtsp://10.0.0.5?channel=1', { host: '10.0.0.5', port: 554, path: '/?channel=1' }],
  ["rtsp://10.0.0.5/it's", { host: '10.0.0.5', port: 554, path: '/it%27s' }],
])('the address %s is taken apart', (uri, parts) => {
  expect(parseSource(uri)).toEqual(parts);
});

test.each([
  'http://10.0.0.5/x',
  'rtsps://10.0.0.5/x',
  'file:///etc/passwd',
  'rtsp:///x',
  'rtsp://10.0.0.5:0/x',
  'rtsp://10.0.0.5:99999/x',
  'rtsp://-oProxy/x',
  'rtsp://10.0.0.5/x\nfile /etc/passwd',
  "rtsp://10.0.0.5'\nfile 'x/y",
  'rtsp://10.0.0.5/\u0000',
  `rtsp://10.0.0.5/${'x'.repeat(3000)}`,
])('the address %j is refused', (uri) => {
  expect(() => parseSource(uri)).toThrow(expect.objectContaining({ code: 'INGEST_URI' }));
});

test('no address and no password can break out of the script for ffmpeg', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: 'binary', maxLength: 12 }),
      (path, secret) => {
        let script: string;
        try {
          script = ffconcatScript(parseSource(`rtsp://10.0.0.5/${path}`), 'admin', secret, { timeout: '1' });
        } catch (error) {
          expect(['INGEST_URI', 'INGEST_CREDENTIALS']).toContain((error as { code: string }).code);
          return;
        }
        const lines = script.split('\n');
        expect(lines.length).toBe(4);
        expect(lines[1]).toMatch(/^file 'rtsp:\/\/admin:[A-Za-z0-9%._~-]*@10\.0\.0\.5:554\/[^'\s]*'$/);
      },
    ),
  );
});

test('an address without credentials carries none', () => {
  expect(formatSource(parseSource('rtsp://a:b@[::1]:8554/x'))).toBe('rtsp://[::1]:8554/x');
});

test.each([
  ['method DESCRIBE failed: 401 Unauthorized', 'refused'],
  ['pipe:0: Server returned 401 Unauthorized (authorization failed)', 'refused'],
  ['method DESCRIBE failed: 404 Not Found', 'invalid'],
  ['Connection to tcp://10.0.0.5:554?timeout=0 failed: Connection refused', 'offline'],
  ['pipe:0: Connection timed out', 'offline'],
  ['pipe:0: No route to host', 'offline'],
  ["Stream map '0:v:0' matches no streams.", 'invalid'],
  ['Could not find tag for codec mjpeg in stream #0, codec not currently supported in container', 'unfit'],
  ['pipe:0: Invalid data found when processing input', 'invalid'],
])('what ffmpeg says is understood: %s', (line, cause) => {
  expect(classifyEnd(['something else', line], 1, null).cause).toBe(cause);
});

test('an end without a complaint is the camera, a death is ffmpeg', () => {
  expect(classifyEnd([], 0, null).cause).toBe('offline');
  expect(classifyEnd([], null, 'SIGSEGV')).toEqual({ cause: 'broken', detail: 'ffmpeg ended with SIGSEGV' });
});

const calm: SessionView = {
  now: 100_000,
  openedAt: 0,
  lastPictureAt: 99_900,
  lastKeyAt: 99_000,
  lastFragmentAt: 99_500,
  fps: 15,
  maxGopMs: 2_000,
  windowBytes: 1_000,
  bytesPerSecond: 400_000,
  maxBytesPerSecond: 8_000_000,
};

test.each<[string, Partial<SessionView>, string | undefined]>([
  ['pictures come', {}, undefined],
  ['silence below the limit', { lastPictureAt: 95_500 }, undefined],
  ['silence', { lastPictureAt: 94_900 }, 'stalled'],
  ['a slow camera may be silent longer', { fps: 1, lastPictureAt: 80_000, lastKeyAt: 99_000 }, undefined],
  ['unknown rate: ten seconds', { fps: 0, lastPictureAt: 91_000 }, undefined],
  ['unknown rate: more', { fps: 0, lastPictureAt: 89_000 }, 'stalled'],
  ['no first picture yet', { openedAt: 90_000, lastPictureAt: undefined, lastKeyAt: undefined }, undefined],
  ['never a first picture', { lastPictureAt: undefined, lastKeyAt: undefined }, 'stalled'],
  ['no key frame', { lastKeyAt: undefined }, 'invalid'],
  ['key frames stopped', { lastKeyAt: 80_000 }, 'invalid'],
  ['a long group of pictures is normal for some', { lastKeyAt: 80_000, maxGopMs: 8_000 }, undefined],
  ['silence shorter than a group of pictures', { lastPictureAt: 91_000, maxGopMs: 10_000 }, undefined],
  ['silence longer than a group of pictures', { lastPictureAt: 89_000, maxGopMs: 10_000 }, 'stalled'],
  ['pictures of which nothing is written', { lastFragmentAt: 89_000 }, 'stalled'],
  ['a fragment takes its time at one picture in ten seconds', { fps: 0.1, lastFragmentAt: 60_000 }, undefined],
  ['far too much data', { windowBytes: 100_000_000 }, 'invalid'],
  ['too much data over a window', { bytesPerSecond: 20_000_000 }, 'invalid'],
  [
    'as much as this stream may send',
    { bytesPerSecond: 500_000, windowBytes: 2_500_000, maxBytesPerSecond: 500_000 },
    undefined,
  ],
  ['more than this stream may send', { bytesPerSecond: 500_001, maxBytesPerSecond: 500_000 }, 'invalid'],
  ['more within a window than it may send in one', { windowBytes: 2_500_001, maxBytesPerSecond: 500_000 }, 'invalid'],
])('the watchdog on "%s"', (_name, change, cause) => {
  expect(judgeSession({ ...calm, ...change }, DEFAULT_LIMITS)?.cause).toBe(cause);
});

const MBIT = 125_000;
const SUB = { width: 640, height: 360, fps: 10 };
const MAIN = { width: 1920, height: 1080, fps: 15 };

test.each<[string, number | undefined, typeof SUB, number, boolean]>([
  ['a substream at a hundred times', 0.3, SUB, 30, false],
  ['a small substream at a hundred times', 0.1, SUB, 10, false],
  ['a main stream at a hundred times', 2.5, MAIN, 250, false],
  ['a main stream at fifty times', 1, MAIN, 50, false],
  ['a smart codec that wakes up', 0.3, SUB, 3, true],
  ['a smart codec after a dead calm', 0.03, MAIN, 8, true],
  ['noise at night', 2.5, MAIN, 12, true],
  ['twenty times', 0.5, SUB, 10, true],
  ['next to nothing, a hundred times', 0.02, SUB, 2, true],
  ['a large stream, not measured yet', undefined, MAIN, 40, true],
  ['a substream that floods from the beginning', undefined, SUB, 30, false],
  ['a rich substream, not measured yet', undefined, SUB, 6, true],
  ['a stream of a frame rate that is not known yet', undefined, { ...MAIN, fps: 0 }, 99, true],
  ['before the first picture', undefined, { width: 0, height: 0, fps: 0 }, 99, true],
  ['before the first picture, more than any stream', undefined, { width: 0, height: 0, fps: 0 }, 101, false],
  ['the largest stream that there is', 80, { width: 3840, height: 2160, fps: 30 }, 101, false],
])('what a stream may send: %s (usually %s Mbit/s)', (_name, usual, picture, sent, allowed) => {
  const limit = rateLimit(usual === undefined ? undefined : usual * MBIT, picture, DEFAULT_LIMITS.maxBytesPerSecond);
  expect(sent * MBIT <= limit).toBe(allowed);
}); // prettier-ignore

test('what is usual is known after 20 s, follows for half an hour, and is forgotten with the size of the picture', () => {
  const usual = new UsualRate();
  for (let s = 0; s < 15; s += 5) usual.learn(SUB, 40_000, 5);
  expect(usual.of(SUB)).toBeUndefined();
  usual.learn(SUB, 40_000, 5);
  expect(usual.of(SUB)).toBe(40_000);
  for (let s = 0; s < 3_600; s += 5) usual.learn(SUB, 40_000, 5);
  // A burst of ten minutes is no new habit; a new setting that lasts is one within hours.
  for (let s = 0; s < 600; s += 5) usual.learn(SUB, 400_000, 5);
  expect(usual.of(SUB)).toBeLessThan(200_000);
  for (let s = 0; s < 3 * 3_600; s += 5) usual.learn(SUB, 400_000, 5);
  expect(usual.of(SUB)).toBeGreaterThan(390_000);
  expect(usual.of(MAIN)).toBeUndefined();
});

test('a stream that was set to far more on purpose is measured anew after an hour of being cut off', () => {
  const usual = new UsualRate();
  for (let s = 0; s < 60; s += 5) usual.learn(SUB, 40_000, 5);
  for (let at = 0; at < 60 * MIN; at += MIN) usual.exceeded(at);
  expect(usual.of(SUB)).toBe(40_000);
  usual.exceeded(60 * MIN);
  expect(usual.of(SUB)).toBeUndefined();
});

test('the stall limit follows the frame rate between 5 s and a minute', () => {
  expect([0, 0.1, 1, 3, 15, 60].map((fps) => stallLimitMs(fps, 1_000, DEFAULT_LIMITS))).toEqual([
    10_000, 60_000, 30_000, 10_000, 5_000, 5_000,
  ]);
});

test('until a password has worked, one login at a time', async () => {
  const clock = new FakeClock();
  const logins = new CameraLogins(clock);
  const { signal } = new AbortController();
  const first = await logins.enter(signal, () => undefined);
  let second = false;
  const entering = logins
    .enter(signal, () => undefined)
    .then((login) => {
      second = true;
      return login;
    });
  await clock.advance(10_000);
  expect(second).toBe(false);
  first.accepted();
  await entering;
  expect(second).toBe(true);
});

test('the first refusal stops every login for 35 minutes, then one is tried', async () => {
  const clock = new FakeClock();
  const logins = new CameraLogins(clock);
  const { signal } = new AbortController();
  const first = await logins.enter(signal, () => undefined);
  expect(first.refused('wrong')).toBe('password');
  first.left();
  expect(logins.refusal).toBe('wrong');
  const entered: string[] = [];
  let waits = 0;
  for (const name of ['main', 'sub']) {
    void logins
      .enter(signal, () => waits++)
      .then((login) => {
        entered.push(name);
        return login;
      });
  }
  await clock.advance(34.9 * MIN);
  expect(entered).toEqual([]);
  expect(waits).toBeGreaterThan(0);
  await clock.advance(0.2 * MIN);
  expect(entered).toEqual(['main']);
});

test('a refusal while another stream runs with the same password is a full camera, not a wrong password', async () => {
  const logins = new CameraLogins(new FakeClock());
  const { signal } = new AbortController();
  const main = await logins.enter(signal, () => undefined);
  main.accepted();
  const sub = await logins.enter(signal, () => undefined);
  expect(sub.refused('no')).toBe('busy');
  sub.left();
  expect(logins.refusal).toBeUndefined();
  main.left();
  const later = await logins.enter(signal, () => undefined);
  expect(later.refused('no')).toBe('password');
});

test('a camera that refuses a second stream twice is left alone: its password may have been changed', async () => {
  const logins = new CameraLogins(new FakeClock());
  const { signal } = new AbortController();
  const main = await logins.enter(signal, () => undefined);
  main.accepted();
  for (const verdict of ['busy', 'password']) {
    const sub = await logins.enter(signal, () => undefined);
    expect(sub.refused('no')).toBe(verdict);
    sub.left();
  }
  expect(logins.refusal).toBe('no');
});

test('a login that was begun beside a running stream is waited for when that stream ends', async () => {
  const logins = new CameraLogins(new FakeClock());
  const { signal } = new AbortController();
  const main = await logins.enter(signal, () => undefined);
  main.accepted();
  const sub = await logins.enter(signal, () => undefined);
  main.left();
  let again = false;
  const entering = logins.enter(signal, () => undefined).then(() => (again = true));
  await Promise.resolve();
  await Promise.resolve();
  expect(again, 'two at once would both be refused').toBe(false);
  sub.accepted();
  await entering;
  expect(again).toBe(true);
});

test('who waits for a login can be called off', async () => {
  const logins = new CameraLogins(new FakeClock());
  const first = await logins.enter(new AbortController().signal, () => undefined);
  expect(first).toBeDefined();
  const stop = new AbortController();
  const entering = logins.enter(stop.signal, () => undefined);
  stop.abort();
  await expect(entering).rejects.toThrow();
});

test('capture time follows the smallest delay, never jumps, and corrects at most 500 ppm', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 200, maxLength: 400 }),
      fc.integer({ min: -200, max: 200 }),
      (delays, ppm) => {
        const clock = new CaptureClock();
        let last: number | undefined;
        for (const [index, delay] of delays.entries()) {
          const media = index * 100;
          const captured = 5_000_000 + media * (1 + ppm / 1e6);
          clock.observe(media, captured + 20 + delay);
          if (index === 0) clock.anchor(media);
          const at = clock.at(media);
          if (last !== undefined) {
            expect(at - last).toBeGreaterThan(100 - 0.0501);
            expect(at - last).toBeLessThan(100 + 0.0501);
          }
          last = at;
        }
      },
    ),
  );
});

test('over an hour the estimate stays within 50 ms of a drifting camera', () => {
  const clock = new CaptureClock();
  let seed = 7;
  const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  for (let media = 0; media < 3_600_000; media += 100) {
    const captured = media * (1 + 100e-6);
    clock.observe(media, captured + 10 + random() ** 3 * 300);
    if (media === 0) clock.anchor(0);
    const error = clock.at(media) - captured;
    if (media > 1_200_000) expect(Math.abs(error)).toBeLessThan(50);
  }
});

test("the camera's own clock is used if it is plausible, and ignored if it is not", () => {
  const good = new CaptureClock();
  good.observe(0, 1_000, 800);
  good.anchor(0);
  expect(good.at(0)).toBe(800);
  const wrong = new CaptureClock();
  wrong.observe(0, 1_000, 3_600_000);
  wrong.anchor(0);
  expect(wrong.at(0)).toBe(1_000);
});
