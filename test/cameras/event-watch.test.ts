import { expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { FakeClock } from '../../src/base/fake-clock.js';
import type { EventChannel } from '../../src/cameras/driver.js';
import type { Notice } from '../../src/cameras/event-notices.js';
import { EventWatch } from '../../src/cameras/event-watch.js';
import type { EventSource } from '../../src/contract/camera.js';

interface Script {
  openError?: BluelightError;
  pullError?: BluelightError;
  next: Notice[];
  renewals: number[];
  pulls: number;
  /** Another login to it was refused. */
  held: boolean;
}

/** A camera by hand: what each subscription was asked, and how it fails. */
function setUp() {
  const clock = new FakeClock();
  const log: string[] = [];
  const notices: Notice[] = [];
  const sources: EventSource[] = [];
  const camera: Script = { next: [], renewals: [], pulls: 0, held: false };
  const channel: EventChannel = {
    async pull(waitMs) {
      camera.pulls++;
      if (camera.pullError !== undefined) throw camera.pullError;
      const now = camera.next.splice(0);
      if (now.length === 0) await clock.sleep(waitMs);
      return now;
    },
    renew: () => Promise.resolve(void camera.renewals.push(clock.monotonic())),
    synchronise: () => Promise.resolve(),
    unsubscribe: () => Promise.resolve(void log.push('unsubscribe')),
    abort: () => void log.push('abort'),
  };
  const watch = new EventWatch({
    clock,
    random: () => 1,
    open: () => {
      log.push('open');
      return camera.openError === undefined ? Promise.resolve(channel) : Promise.reject(camera.openError);
    },
    held: () => camera.held,
    onNotice: (notice) => notices.push(notice),
    onSource: (source) => sources.push(source),
  });
  const pass = async (ms: number, stepMs = 250): Promise<void> => {
    for (let at = 0; at < ms; at += stepMs) await clock.advance(stepMs);
  };
  return { clock, log, notices, sources, camera, watch, pass };
}

function notice(active: boolean, initial = false): Notice {
  return { kind: 'motion', topic: 'VideoSource/MotionAlarm', source: 's', active, initial };
}

test('a subscription is renewed before it runs out, and never leaked', async () => {
  const { camera, watch, pass, log, sources } = setUp();
  watch.start();
  await pass(26 * 60_000, 5_000);
  expect(camera.renewals.length).toBe(3);
  expect(camera.renewals.every((at, i) => at - (camera.renewals[i - 1] ?? 0) < 9 * 60_000)).toBe(true);
  expect(log).toEqual(['open']);
  expect(sources.at(-1)).toEqual({ by: 'camera', detail: '' });
});

test('a subscription that is refused is not given back with the refused password', async () => {
  const { camera, watch, pass, log } = setUp();
  watch.start();
  await pass(1_000);
  camera.pullError = new BluelightError('CAMERA_REFUSED', 'the camera refused user name and password');
  camera.openError = new BluelightError('CAMERA_LOGIN_HELD', 'no login to this camera now');
  await pass(30_000);
  expect(log).toEqual(['open', 'abort', 'open']);
});

test('once any login to the camera was refused, a standing subscription asks for nothing more, nor is it given back', async () => {
  const { camera, watch, pass, log } = setUp();
  watch.start();
  await pass(1_000);
  expect(camera.pulls).toBe(1);
  camera.held = true;
  camera.openError = new BluelightError('CAMERA_LOGIN_HELD', 'no login to this camera now');
  await pass(30 * 60_000, 5_000);
  expect(camera.pulls, 'the pull that ran was the last').toBe(1);
  expect(camera.renewals).toEqual([]);
  expect(log.slice(0, 2)).toEqual(['open', 'abort']);
  expect(log).not.toContain('unsubscribe');
});

test('a camera that was away is not given back a subscription that it forgot: its password may be another one', async () => {
  const { camera, watch, pass, log } = setUp();
  watch.start();
  await pass(1_000);
  camera.pullError = new BluelightError('CAMERA_UNREACHABLE', 'the camera closed the connection');
  await pass(22_000);
  expect(log.slice(0, 3)).toEqual(['open', 'abort', 'open']);
});

test('what fails is given back and made anew, with pauses up to a minute; states told before are told again', async () => {
  const { camera, watch, pass, log, notices, sources } = setUp();
  watch.start();
  camera.next = [notice(true)];
  await pass(1_000);
  camera.pullError = new BluelightError('CAMERA_INVALID', 'the camera answered: busy');
  await pass(25_000);
  expect(sources.at(-1)).toEqual({ by: 'pixels', detail: 'the camera answered: busy' });
  await pass(600_000, 1_000);
  const tries = log.filter((entry) => entry === 'open').length;
  expect(tries).toBeGreaterThan(10);
  expect(tries).toBeLessThan(25);
  expect(log.filter((entry) => entry === 'unsubscribe')).toHaveLength(tries - (log.at(-1) === 'open' ? 1 : 0));
  camera.pullError = undefined;
  camera.next = [notice(true, true)];
  await pass(61_000, 1_000);
  expect(notices.map((one) => [one.active, one.initial])).toEqual([
    [true, false],
    [true, true],
  ]);
});

test.each([
  ['CAMERA_NO_EVENTS', 3_600_000],
  ['CAMERA_LOGIN_HELD', 60_000],
])('after %s the camera is left alone for %d ms', async (code, ms) => {
  const { camera, watch, pass, log } = setUp();
  camera.openError = new BluelightError(code, 'no');
  watch.start();
  await pass(ms - 1_000, 1_000);
  expect(log).toEqual(['open']);
  await pass(2_000, 1_000);
  expect(log).toEqual(['open', 'open']);
});

test('of a thousand changes in one answer two are told', async () => {
  const { camera, watch, pass, notices } = setUp();
  camera.next = Array.from({ length: 1_000 }, (_, i) => notice(i % 2 === 0));
  watch.start();
  await pass(1_000);
  expect(notices.map((one) => one.active)).toEqual([true, false]);
});
