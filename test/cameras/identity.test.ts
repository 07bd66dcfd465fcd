import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { loginPrint } from '../../src/base/login-print.js';
import { NO_FAULTS } from '../../src/sim/camera/options.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { clock, PASSWORD, start } from '../sim-camera/rig.js';
import { box, type Box } from './rig.js';

const TWIN = { serial: '123456', mac: '02:00:00:00:00:01', onvifPort: 18_080, rtspPort: 18_554 };
let sim: VirtualCameras;
let a: VirtualCamera;
let b: VirtualCamera;
let secure: VirtualCamera;
let mine: Box;

beforeAll(async () => {
  sim = await start([
    // Serial and hardware address as cheap cameras share them by the thousand, and the same ports.
    { address: '127.0.0.81', id: 'twin-a', ...TWIN },
    { address: '127.0.0.82', id: 'twin-b', ...TWIN },
    { address: '127.0.0.83', id: 'tls', secure: true },
  ]);
  [a, b, secure] = sim.cameras as [VirtualCamera, VirtualCamera, VirtualCamera];
});
afterAll(() => sim.close());
beforeEach(() => {
  mine = box();
});
afterEach(() => sim.cameras.forEach((camera) => camera.setFaults({ ...NO_FAULTS, password: PASSWORD })));

function login(address: string, password = PASSWORD): { address: string; username: string; password: string } {
  return { address, username: 'admin', password };
}

async function add(camera: VirtualCamera): Promise<void> {
  await mine.cameras.add(login(camera.xaddr));
}

/** What the box believes of each camera, by id. */
async function places(): Promise<Record<string, string>> {
  const cameras = await mine.cameras.list();
  return Object.fromEntries(cameras.map((camera) => [camera.id, new URL(camera.main.uri).hostname]));
}

/** As the agent does every two seconds, with these cameras giving pictures, until something was found or not. */
async function watch(alive: string[], seconds: number, done: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  while (!(await done()) && performance.now() < end) {
    await mine.cameras.streaming(new Set(alive));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

test('who answers is told by serial and hardware address also where only a login can say it', async () => {
  const other = await start([
    { address: '127.0.0.88', id: 'unlike', serial: '123456', mac: '02:00:00:00:00:02', onvifPort: 0, rtspPort: 0 },
  ]);
  try {
    const [like] = other.cameras as [VirtualCamera];
    await add(a);
    const stored = mine.stored.get('cam-1')!;
    // Added by its address, and silent to directed probes: nothing but a login tells.
    const device = { ...stored.device, endpointReference: '', address: like.address, xaddr: like.xaddr };
    mine.stored.set('cam-1', { ...stored, device, main: { ...stored.main, uri: like.streams[0]!.uri } });
    expect(await mine.cameras.admit('cam-1')).toMatchObject({ ok: false, other: true });
  } finally {
    await other.close();
  }
});

test('two cameras with the same serial and hardware address are two cameras', async () => {
  await add(a);
  await add(b);
  expect(await places()).toEqual({ 'cam-1': '127.0.0.81', 'cam-2': '127.0.0.82' });
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
});

test('a camera that gets another address is found there, with id and name', { timeout: 30_000 }, async () => {
  await mine.cameras.add({ ...login(a.xaddr), name: 'North' });
  const { endpointReference } = mine.stored.get('cam-1')!.device;
  expect(endpointReference).toBe(a.endpointReference);
  await a.move('127.0.0.84');
  try {
    await watch([], 15, async () => (await places())['cam-1'] === '127.0.0.84');
    expect(await places()).toEqual({ 'cam-1': '127.0.0.84' });
    expect(mine.stored.get('cam-1')).toMatchObject({ name: 'North', device: { id: 'dev-1', endpointReference } });
    expect(mine.changes.at(-1)?.[0]?.main.uri).toContain('127.0.0.84');
  } finally {
    await a.move('127.0.0.81');
  }
});

test('two cameras that swap addresses are never taken for each other', { timeout: 60_000 }, async () => {
  await add(a);
  await add(b);
  const logins = [a.logins(), b.logins()];
  await a.move('127.0.0.85');
  await b.move('127.0.0.81');
  await a.move('127.0.0.82');
  // What the recording asks before it opens the stream of cam-1 at the address where the other one is now.
  await mine.cameras.streaming(new Set());
  expect(await mine.cameras.admit('cam-1')).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/another device/),
  });
  expect(await mine.cameras.admit('cam-2')).toMatchObject({ ok: false });
  // The stranger was not even shown a password.
  expect([a.logins(), b.logins()]).toEqual(logins);
  try {
    await watch(
      [],
      25,
      async () => (await places())['cam-1'] === '127.0.0.82' && (await places())['cam-2'] === '127.0.0.81',
    );
    expect(await places()).toEqual({ 'cam-1': '127.0.0.82', 'cam-2': '127.0.0.81' });
    expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  } finally {
    await b.move('127.0.0.86');
    await a.move('127.0.0.81');
    await b.move('127.0.0.82');
  }
});

test('a proof from before the connection broke does not count', async () => {
  await add(a);
  await add(b);
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  await a.move('127.0.0.85');
  await b.move('127.0.0.81');
  try {
    expect(await mine.cameras.admit('cam-1', clock.monotonic())).toMatchObject({ ok: false });
  } finally {
    await b.move('127.0.0.82');
    await a.move('127.0.0.81');
  }
});

test('a changed password costs one refused login, whoever asks; the new one two at most', async () => {
  await add(a);
  const before = a.logins().refused;
  a.setFaults({ password: 'changed-1' });
  await mine.cameras.streaming(new Set());
  const asks = [mine.cameras.admit('cam-1'), mine.cameras.snapshot('cam-1'), mine.cameras.io('cam-1')];
  await Promise.allSettled(asks);
  await mine.cameras.admit('cam-1');
  await expect(mine.cameras.snapshot('cam-1')).rejects.toMatchObject({ code: 'CAMERA_LOGIN_HELD' });
  expect(a.logins().refused - before).toBe(1);
  expect(mine.refused).toEqual([['cam-1']]);
  expect((await mine.cameras.devices())[0]).toMatchObject({
    link: 'auth_failed',
    fix: expect.stringMatching(/password/),
  });
  const wrong = { username: 'admin', password: 'still-wrong' };
  await expect(mine.cameras.password('cam-1', wrong)).rejects.toMatchObject({ code: 'CAMERA_REFUSED' });
  await expect(mine.cameras.password('cam-1', wrong)).rejects.toMatchObject({ code: 'CAMERA_REFUSED' });
  await expect(mine.cameras.password('cam-1', wrong)).rejects.toMatchObject({ code: 'CAMERA_LOGIN_HELD' });
  expect(a.logins().refused - before).toBe(3);
  // A restart forgets nothing of it, and the right one ends it.
  mine = box({ ...mine.tables });
  await mine.cameras.restore();
  expect(await mine.cameras.admit('cam-1')).toMatchObject({ ok: false });
  expect(a.logins().refused - before).toBe(3);
  await mine.cameras.password('cam-1', { username: 'admin', password: 'changed-1' });
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  expect((await mine.cameras.devices())[0]!.link).toBe('ok');
});

test('a refusal that is told late counts for the password that was refused, not for the one given meanwhile', async () => {
  await add(a);
  const old = loginPrint({ username: 'admin', password: PASSWORD });
  const given = { username: 'admin', password: 'changed-3' };
  a.setFaults({ password: given.password });
  await mine.cameras.password('cam-1', given);
  await mine.cameras.loginRefused('cam-1', old);
  expect(await mine.cameras.loginHeld('cam-1')).toBe(false);
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  // Nor does a restart make it the present one's.
  mine = box({ ...mine.tables });
  await mine.cameras.restore();
  expect(await mine.cameras.loginHeld('cam-1')).toBe(false);
  await mine.cameras.loginRefused('cam-1', loginPrint(given));
  expect(await mine.cameras.loginHeld('cam-1')).toBe(true);
  await expect(mine.cameras.snapshot('cam-1')).rejects.toMatchObject({ code: 'CAMERA_LOGIN_HELD' });
});

test('a new device takes the place of a camera, which keeps its id and name', async () => {
  await mine.cameras.add({ ...login(a.xaddr), name: 'North' });
  const { cameras } = await mine.cameras.replace('cam-1', login(b.xaddr));
  expect(cameras).toMatchObject([{ id: 'cam-1', name: 'North', device: { address: '127.0.0.82' } }]);
  expect(mine.stored.size).toBe(1);
  expect([...mine.sealed.keys()]).toEqual([`device:${cameras[0]!.device.id}`]);
  // The old one is a camera of its own again.
  await add(a);
  expect(mine.stored.get('cam-2')?.device.address).toBe('127.0.0.81');
});

test('who waits to log in while another password is given uses that one', async () => {
  await add(a);
  const before = a.logins().refused;
  a.setFaults({ password: 'changed-2' });
  const given = mine.cameras.password('cam-1', { username: 'admin', password: 'changed-2' });
  const [io] = await Promise.all([mine.cameras.io('cam-1'), given]);
  expect(io.relays).toBeDefined();
  expect(a.logins().refused - before).toBe(0);
  expect(mine.refused).toEqual([]);
});

test('the certificate shown first is pinned; another one gets no password until a person accepts it', async () => {
  await add(secure);
  const first = mine.stored.get('cam-1')!.device.certificate;
  expect(first).toMatch(/^([0-9A-F]{2}:){31}/);
  expect((await mine.cameras.test('cam-1')).ok).toBe(true);
  const other = await start([{ address: '127.0.0.87', id: 'tls', secure: true, onvifPort: 0 }]);
  try {
    const impostor = other.cameras[0]!;
    const stored = mine.stored.get('cam-1')!;
    mine.stored.set('cam-1', { ...stored, device: { ...stored.device, xaddr: impostor.xaddr } });
    const test = await mine.cameras.test('cam-1');
    expect(test.steps.at(-1)).toMatchObject({ ok: false, fix: expect.stringMatching(/camera trust/) });
    await expect(mine.cameras.snapshot('cam-1')).rejects.toMatchObject({ code: 'CAMERA_CERTIFICATE' });
    expect(impostor.logins()).toEqual({ accepted: 0, refused: 0, lockedOut: false });
    const trusted = await mine.cameras.trust('cam-1');
    expect(trusted.certificate).not.toBe(first);
    expect((await mine.cameras.snapshot('cam-1')).type).toBe('image/jpeg');
  } finally {
    await other.close();
  }
});

test('a camera of which only the stream is known is adopted by its address, and tested', async () => {
  const [main, sub] = a.streams.map((stream) => stream.uri) as [string, string];
  const { cameras } = await mine.cameras.add({ ...login(main), sub });
  expect(cameras).toMatchObject([
    { id: 'cam-1', main: { uri: main, codec: 'h264', width: 640 }, sub: { width: 320 }, device: { xaddr: '' } },
  ]);
  expect((await mine.cameras.test('cam-1')).ok).toBe(true);
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  await expect(mine.cameras.io('cam-1')).rejects.toMatchObject({ code: 'CAMERA_NO_ONVIF' });
  await expect(mine.cameras.add(login('rtsp://admin:x@10.0.0.1/x'))).rejects.toMatchObject({ code: 'CAMERA_ADDRESS' });
  await expect(mine.cameras.add(login('rtsp://169.254.169.254/x'))).rejects.toMatchObject({ code: 'CAMERA_ADDRESS' });
});

test('with consent the substream gets a key frame a second and the clock is kept; removal undoes both', async () => {
  await a.changeVideo('sub', { gopSeconds: 2 });
  a.setFaults({ clockOffsetMs: 3_600_000 });
  await add(a);
  expect(await mine.cameras.tune('cam-1', { consent: true, gop: true, clock: true })).toHaveLength(2);
  const gop = (): number => a.streams.find((stream) => stream.role === 'sub')!.encoding.gopSeconds;
  expect(gop()).toBe(1);
  expect(Math.abs((await mine.cameras.clocks(true)).get('cam-1')!)).toBeLessThan(3_000);
  // Off again, as after a power cut of the camera: the box keeps it.
  a.setFaults({ clockOffsetMs: -86_400_000 });
  await mine.cameras.clocks(false);
  expect(
    (await mine.cameras.clocks(false)).get('cam-1')! / 1000,
    'no box sets it that does not know the time',
  ).toBeCloseTo(-86_400, -1);
  await mine.cameras.clocks(true);
  expect(Math.abs((await mine.cameras.clocks(true)).get('cam-1')!)).toBeLessThan(3_000);
  expect(await mine.cameras.tune('cam-1', { consent: true, gop: true, clock: false })).toEqual([]);
  await mine.cameras.remove('cam-1');
  expect(gop()).toBe(2);
  await add(a);
  expect((await mine.cameras.clocks(true)).values().next().value! / 1000).toBeCloseTo(3_600, -1);
  await a.changeVideo('sub', { gopSeconds: 1 });
});
