import { afterAll, beforeAll, expect, test } from 'vitest';
import { readProbeMatches } from '../../src/cameras/probe-match.js';
import { hostileAnswers, type VirtualCamera, type VirtualCameras } from '../../src/sim/camera/index.js';
import { clock, PASSWORD, start } from '../sim-camera/rig.js';
import { box } from './rig.js';

let sim: VirtualCameras;

beforeAll(async () => {
  sim = await start(
    [51, 52, 53, 54].map((host) => ({ address: `127.0.0.${String(host)}`, id: `found-${String(host)}` })),
  );
});
afterAll(() => sim.close());

const SHAPES = hostileAnswers('http://127.0.0.61/onvif/device_service');

test.each(SHAPES)('answer with $name is read for what is in it', ({ datagram, devices: expected }) => {
  const before = process.cpuUsage();
  expect(readProbeMatches(datagram).map((one) => one.endpointReference)).toEqual(expected);
  expect(process.cpuUsage(before).user).toBeLessThan(100_000);
});

test('four cameras are found within 10 s by both packages, and adopted by what was found', async () => {
  const mine = box();
  const started = clock.monotonic();
  const found = await mine.cameras.discover();
  expect(clock.monotonic() - started).toBeLessThan(10_000);
  for (const camera of sim.cameras) {
    expect(found.find((one) => one.endpointReference === camera.endpointReference)).toMatchObject({
      address: camera.address,
      xaddrs: [camera.xaddr],
      name: camera.id,
      hardware: 'sim-camera',
      interface: 'lo',
      adopted: false,
      reachable: true,
      heardBy: ['onvif', 'node-onvif'],
    });
  }
  const [first, second] = sim.cameras as [VirtualCamera, VirtualCamera];
  // By reference, and by address without a port: discovery knows the port.
  const login = { username: 'admin', password: PASSWORD };
  await mine.cameras.add({ address: first.endpointReference, ...login });
  const { device } = await mine.cameras.add({ address: second.address, ...login });
  expect(device.endpointReference).toBe(second.endpointReference);
  const { devices } = await mine.cameras.discovered();
  expect(devices.filter((one) => one.adopted).map((one) => one.address)).toEqual([first.address, second.address]);
});

test('hostile answers end neither the process nor the search: all good cameras are found, and those hidden in odd answers', async () => {
  expect(SHAPES.length).toBeGreaterThanOrEqual(30);
  const liar = sim.cameras[0]!;
  liar.setFaults({ hostileDiscovery: true });
  try {
    const found = await box().cameras.discover();
    const references = found.map((one) => one.endpointReference);
    for (const camera of sim.cameras) expect(references).toContain(camera.endpointReference);
    for (const { devices } of SHAPES) for (const reference of devices) expect(references).toContain(reference);
    // Whatever the answers name, they lead to who sent them.
    for (const one of found.filter((device) => device.address === liar.address)) {
      for (const xaddr of one.xaddrs) expect(new URL(xaddr).hostname).toBe(liar.address);
    }
  } finally {
    liar.setFaults({ hostileDiscovery: false });
  }
});

test('searches asked for at the same time are one search', async () => {
  const mine = box();
  const [a, b] = await Promise.all([mine.cameras.discover(), mine.cameras.discover()]);
  expect(a).toEqual(b);
});

test('without permission nothing on this machine is taken for a camera', async () => {
  const mine = box({ allowLoopback: false });
  expect(await mine.cameras.discover()).toEqual([]);
});
