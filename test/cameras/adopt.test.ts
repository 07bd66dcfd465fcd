import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { PASSWORD, SMALL, start } from '../sim-camera/rig.js';
import { box, type Box } from './rig.js';

const UMLAUTS = 'Pässwörd-€42';

let sim: VirtualCameras;
let plain: VirtualCamera;
let subFirst: VirtualCamera;
let digestOnly: VirtualCamera;
let nvr: VirtualCamera;
let liar: VirtualCamera;
let umlaut: VirtualCamera;
let mine: Box;

beforeAll(async () => {
  sim = await start([
    { address: '127.0.0.41', id: 'plain', firmware: '1.10', serial: '20230412000123456789' },
    { address: '127.0.0.42', id: 'subfirst', profileOrder: 'sub-first', serial: '1' },
    { address: '127.0.0.43', id: 'digest', soapAuth: 'digest', digestAlgorithms: ['SHA-256'] },
    { address: '127.0.0.44', id: 'nvr', channels: 3 },
    { address: '127.0.0.45', id: 'liar', advertisedHost: '192.0.2.77' },
    { address: '127.0.0.46', id: 'umlaut', password: UMLAUTS },
  ]);
  [plain, subFirst, digestOnly, nvr, liar, umlaut] = sim.cameras as [
    VirtualCamera,
    VirtualCamera,
    VirtualCamera,
    VirtualCamera,
    VirtualCamera,
    VirtualCamera,
  ];
});
afterAll(() => sim.close());
beforeEach(() => {
  mine = box();
});

function at(camera: VirtualCamera): string {
  return `${camera.address}:${String(camera.onvifPort)}`;
}

function add(camera: VirtualCamera, password = PASSWORD): ReturnType<Box['cameras']['add']> {
  return mine.cameras.add({ address: at(camera), username: 'admin', password });
}

test('an adopted camera keeps its serial and firmware digit by digit', async () => {
  const { device, cameras } = await add(plain);
  expect(device).toMatchObject({ serial: '20230412000123456789', firmware: '1.10', address: '127.0.0.41' });
  expect(device.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  expect(cameras).toHaveLength(1);
  expect(cameras[0]).toMatchObject({ id: 'cam-1', main: { width: 640, codec: 'h264' }, sub: { width: 320 } });
  expect(mine.changes.at(-1)).toEqual(cameras);
  expect(mine.sealed.get(`device:${device.id}`)).toEqual({ username: 'admin', password: PASSWORD });
});

test('adoption costs the camera no refused login, whichever way it wants to be logged in to', async () => {
  for (const camera of [plain, digestOnly]) {
    const before = camera.logins().refused;
    await add(camera);
    expect(camera.logins().refused).toBe(before);
  }
});

test('main and sub are chosen by pixels where profiles come sub first', async () => {
  const { cameras } = await add(subFirst);
  expect(cameras[0]!.main.uri).toBe(subFirst.streams.find((s) => s.role === 'main')!.uri);
  expect(cameras[0]!.sub!.uri).toBe(subFirst.streams.find((s) => s.role === 'sub')!.uri);
});

test('an NVR is one device with a camera per channel; removing one keeps the password for the others', async () => {
  const { device, cameras } = await add(nvr);
  expect(cameras.map((camera) => camera.id)).toEqual(['cam-1', 'cam-2', 'cam-3']);
  expect(new Set(cameras.map((camera) => camera.channel)).size).toBe(3);
  expect(new Set(cameras.map((camera) => camera.main.uri)).size).toBe(3);
  await mine.cameras.remove('cam-2');
  expect(mine.sealed.has(`device:${device.id}`)).toBe(true);
  await mine.cameras.remove('cam-1');
  await mine.cameras.remove('cam-3');
  expect(mine.sealed.size).toBe(0);
});

test('addresses that a camera names are moved to the camera itself', async () => {
  const { cameras } = await add(liar);
  expect(cameras[0]!.main.uri).toBe(`rtsp://127.0.0.45:${String(liar.rtspPort)}/main`);
  expect((await mine.cameras.snapshot('cam-1')).type).toBe('image/jpeg');
});

test('no connection is made to a host that a camera names, whatever listens there', async () => {
  const elsewhere = '127.0.0.48';
  const one = await start([{ address: '127.0.0.47', id: 'bait', advertisedHost: elsewhere }]);
  const camera = one.cameras[0]!;
  let connections = 0;
  const baits = [camera.onvifPort, camera.rtspPort].map((port) =>
    createServer()
      .on('connection', () => connections++)
      .listen(port, elsewhere),
  );
  try {
    await add(camera);
    expect((await mine.cameras.test('cam-1')).ok).toBe(true);
    await mine.cameras.snapshot('cam-1');
    expect(connections).toBe(0);
  } finally {
    for (const bait of baits) bait.close();
    await one.close();
  }
});

test('services on a port of their own are asked there, and a broken Media2 is not the end', async () => {
  const one = await start([
    { address: '127.0.0.49', id: 'ports', servicesPort: 0, relays: 1 },
    { address: '127.0.0.50', id: 'broken', brokenMedia2: true },
  ]);
  try {
    await add(one.cameras[0]!);
    expect((await mine.cameras.test('cam-1')).ok).toBe(true);
    expect(await mine.cameras.relay('cam-1', { relay: 'relay_1', active: true })).toEqual({ confirmed: true });
    const { cameras } = await add(one.cameras[1]!);
    expect(cameras).toMatchObject([{ main: { width: 640, codec: 'h264' }, sub: { width: 320 } }]);
  } finally {
    await one.close();
  }
});

test('an H.265 main stream, which Media1 does not know, is taken from Media2', async () => {
  const one = await start([{ address: '127.0.0.49', id: 'modern', main: { ...SMALL.main, codec: 'h265' } }]);
  try {
    const { cameras } = await add(one.cameras[0]!);
    expect(cameras).toMatchObject([{ main: { codec: 'h265', width: 640 }, sub: { codec: 'h264' } }]);
    expect((await mine.cameras.test('cam-1')).ok).toBe(true);
  } finally {
    await one.close();
  }
});

test('a password beyond ASCII works', async () => {
  await add(umlaut, UMLAUTS);
  expect(umlaut.logins().refused).toBe(0);
});

test('a camera whose clock is hours off is adopted, and the test says so with the fix', async () => {
  plain.setFaults({ clockOffsetMs: -2 * 3_600_000 });
  try {
    await add(plain);
    const result = await mine.cameras.test('cam-1');
    const step = result.steps.find((one) => one.name === 'clock');
    expect(step).toMatchObject({ ok: false, fix: expect.stringMatching(/NTP/) });
    expect(step?.detail).toMatch(/-7(199|200)\.\d s/);
    expect(result.ok).toBe(false);
  } finally {
    plain.setFaults({ clockOffsetMs: 0 });
  }
});

test('a wrong password costs one login a try, and a person has two', async () => {
  const before = plain.logins().refused;
  await expect(add(plain, 'wrong-password')).rejects.toMatchObject({ code: 'CAMERA_REFUSED', fix: expect.any(String) });
  expect(plain.logins().refused).toBe(before + 1);
  await expect(add(plain, 'wrong-password')).rejects.toMatchObject({ code: 'CAMERA_REFUSED' });
  expect(plain.logins().refused).toBe(before + 2);
  await expect(add(plain, 'wrong-password')).rejects.toMatchObject({ code: 'CAMERA_LOGIN_HELD' });
  expect(plain.logins().refused).toBe(before + 2);
  await add(plain);
});

test('an adopted camera whose password was changed is left alone after the first refusal, until it gets the new one', async () => {
  await add(plain);
  plain.setFaults({ password: 'changed-1' });
  try {
    const before = plain.logins().refused;
    const result = await mine.cameras.test('cam-1');
    expect(result.steps.find((step) => step.name === 'login')).toMatchObject({ ok: false });
    expect(mine.refused).toEqual([['cam-1']]);
    await expect(mine.cameras.snapshot('cam-1')).rejects.toMatchObject({ code: 'CAMERA_LOGIN_HELD' });
    expect(await mine.cameras.loginHeld('cam-1')).toBe(true);
    expect(plain.logins().refused).toBe(before + 1);
    const { cameras } = await add(plain, 'changed-1');
    expect(cameras[0]!.id).toBe('cam-1');
    expect((await mine.cameras.test('cam-1')).ok).toBe(true);
  } finally {
    plain.setFaults({ password: PASSWORD });
  }
});

test('adopting again keeps id and name; another device gets another id, and ids are never given twice', async () => {
  await mine.cameras.add({ address: at(plain), username: 'admin', password: PASSWORD, name: 'North pole' });
  expect((await add(plain)).cameras[0]).toMatchObject({ id: 'cam-1', name: 'North pole' });
  expect((await add(subFirst)).cameras[0]!.id).toBe('cam-2');
  await mine.cameras.remove('cam-2');
  expect((await add(digestOnly)).cameras[0]!.id).toBe('cam-3');
});

test('the test of a healthy camera passes every step', async () => {
  await add(plain);
  const { ok, steps } = await mine.cameras.test('cam-1');
  expect(steps.filter((step) => !step.ok)).toEqual([]);
  expect(ok).toBe(true);
  expect(steps.map((step) => step.name)).toEqual([
    'reach',
    'login',
    'clock',
    'identity',
    'main stream',
    'sub stream',
    'snapshot',
  ]);
});

test('another device at the address of a camera is noticed', async () => {
  await add(plain);
  const stored = mine.stored.get('cam-1')!;
  mine.stored.set('cam-1', { ...stored, device: { ...stored.device, xaddr: subFirst.xaddr } });
  const result = await mine.cameras.test('cam-1');
  expect(result.steps.find((step) => step.name === 'identity')).toMatchObject({ ok: false });
});

test('this machine itself is no camera unless the configuration says so', async () => {
  mine = box({ allowLoopback: false });
  await expect(add(plain)).rejects.toMatchObject({
    code: 'CAMERA_ADDRESS',
    fix: expect.stringMatching(/allow_loopback/),
  });
});

test.each([
  '169.254.169.254',
  '0.0.0.0',
  '224.0.0.1',
  'not a host',
  'http://admin:secret@10.0.0.1',
  '::1',
  '::ffff:127.0.0.1',
])('%s is refused as an address before anything is sent', async (address) => {
  mine = box({ allowLoopback: false });
  const added = mine.cameras.add({ address, username: 'admin', password: PASSWORD });
  await expect(added).rejects.toMatchObject({ code: 'CAMERA_ADDRESS' });
});

test('a dead address is reported as such, with what to do', async () => {
  await expect(
    mine.cameras.add({ address: '127.0.0.99:1', username: 'admin', password: PASSWORD }),
  ).rejects.toMatchObject({ code: 'CAMERA_UNREACHABLE', retryable: true, fix: expect.any(String) });
});

test.each([
  ['an endless reply', (): string => '<a>'.repeat(3_000_000)],
  ['something that is no SOAP', (): string => '<html>hello</html>'],
  ['nothing', (): string => ''],
  ['deep nesting', (): string => `<Envelope><Body>${'<x>'.repeat(100_000)}</Body></Envelope>`],
  ['a hundred thousand elements', (): string => `<Envelope><Body>${'<x></x>'.repeat(100_000)}</Body></Envelope>`],
])('a device that answers with %s is refused without harm', async (_name, reply) => {
  const { server, address } = await httpServer(reply());
  try {
    const before = process.cpuUsage();
    const added = mine.cameras.add({ address, username: 'admin', password: PASSWORD });
    await expect(added).rejects.toMatchObject({ code: expect.stringMatching(/CAMERA_(INVALID|UNREACHABLE)/) });
    // What this costs us: parsing such a reply as it stands would take seconds.
    expect(process.cpuUsage(before).user).toBeLessThan(1_500_000);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

async function httpServer(body: string): Promise<{ server: Server; address: string }> {
  const server = createServer((_request, response) => response.end(body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, address: `127.0.0.1:${String((server.address() as AddressInfo).port)}` };
}

test('the clock of every camera is read without a login, and one that is off stays with the camera', async () => {
  await add(plain);
  await add(nvr);
  plain.setFaults({ clockOffsetMs: 3_600_000 });
  const before = plain.logins();
  try {
    const clocks = await mine.cameras.clocks(true);
    expect([...clocks.keys()].sort()).toEqual(['cam-1', 'cam-2', 'cam-3', 'cam-4']);
    expect(clocks.get('cam-1')! / 1000).toBeCloseTo(3_600, -1);
    expect(Math.abs(clocks.get('cam-2')!)).toBeLessThan(5_000);
    expect(plain.logins()).toEqual(before);
  } finally {
    plain.setFaults({ clockOffsetMs: 0 });
  }
});
