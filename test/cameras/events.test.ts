import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CameraEvent } from '../../src/contract/camera.js';
import { NO_FAULTS } from '../../src/sim/camera/options.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { PASSWORD, start } from '../sim-camera/rig.js';
import { until } from '../support/recorder.js';
import { box, type Box } from './rig.js';

let sim: VirtualCameras;
let camera: VirtualCamera;
let nvr: VirtualCamera;
let mine: Box;
let told: CameraEvent[];

beforeAll(async () => {
  sim = await start([
    { address: '127.0.0.71', id: 'events', relays: 2, inputs: 2 },
    { address: '127.0.0.72', id: 'nvr', channels: 3, relays: 1, relayService: 'device', soapAuth: 'digest' },
    { address: '127.0.0.73', id: 'mute', events: false },
  ]);
  [camera, nvr] = sim.cameras as [VirtualCamera, VirtualCamera];
});
afterAll(() => sim.close());
beforeEach(() => {
  told = [];
  mine = box({ onEvent: (event) => told.push(event) });
});
afterEach(async () => {
  sim.cameras.forEach((one) => one.setFaults(NO_FAULTS));
  await mine.cameras.stop();
});

async function add(which: VirtualCamera): Promise<void> {
  await mine.cameras.add({
    address: `${which.address}:${String(which.onvifPort)}`,
    username: 'admin',
    password: PASSWORD,
  });
}

/** Adopts a camera and waits until it tells of motion by itself. */
async function listenTo(which: VirtualCamera): Promise<void> {
  await add(which);
  await until('the camera tells by itself', 10, () => told.some((event) => event.kind === 'motion'));
}

async function source(): Promise<{ by: string; detail: string }> {
  return (await mine.cameras.devices())[0]!.events;
}

function changes(kind: string): (boolean | string | null)[][] {
  return told.filter((event) => event.kind === kind && !event.initial).map(({ camera: id, active }) => [id, active]);
}

test('motion, tampering and digital inputs are told once, with the state at the start marked as such', async () => {
  await listenTo(camera);
  expect(told.every((event) => event.initial && !event.active)).toBe(true);
  camera.setMotion(1, true);
  camera.setTamper(1, true);
  camera.setInput(2, true);
  await until('the changes', 5, () => changes('input').length > 0);
  camera.setMotion(1, true);
  camera.setMotion(1, false);
  await until('the end of the motion', 5, () => changes('motion').length > 1);
  expect(changes('motion')).toEqual([
    ['cam-1', true],
    ['cam-1', false],
  ]);
  expect(changes('tamper')).toEqual([['cam-1', true]]);
  expect(told.find((event) => event.kind === 'input' && event.active)).toMatchObject({
    source: 'input_2',
    camera: null,
  });
  expect(await source()).toEqual({ by: 'camera', detail: '' });
  expect(camera.eventSubscriptions()).toBe(1);
});

test('events of a recorder are told of the right channel', async () => {
  await listenTo(nvr);
  nvr.setMotion(3, true);
  nvr.setTamper(2, true);
  await until('both', 5, () => changes('motion').length > 0 && changes('tamper').length > 0);
  expect([...changes('motion'), ...changes('tamper')]).toEqual([
    ['cam-3', true],
    ['cam-2', true],
  ]);
  nvr.setMotion(3, false);
});

test.each([
  ['dates that are none', 'bad_dates'],
  ['no dates', 'no_dates'],
] as const)('a camera with %s is listened to all the same, with one subscription', async (_name, events) => {
  camera.setFaults({ events });
  await listenTo(camera);
  const value = changes('motion').length % 2 === 0;
  camera.setMotion(1, value);
  await until('a change', 5, () => changes('motion').length > 0);
  expect(camera.eventSubscriptions()).toBe(1);
  camera.setMotion(1, false);
});

test.each([
  ['answers 503', { events: 'unavailable' }],
  ['forgets subscriptions', { events: 'forgets' }],
] as const)(
  'while a camera %s only the pictures tell, which is said; afterwards it tells again',
  async (_n, faults) => {
    await listenTo(camera);
    camera.setFaults(faults);
    // A pull that waits on the camera's side comes back with the next change.
    camera.setMotion(1, true);
    await until('the pictures tell', 15, () => mine.sources.at(-1)?.by === 'pixels');
    camera.setFaults(NO_FAULTS);
    camera.setMotion(1, false);
    await until('the camera tells', 15, () => mine.sources.at(-1)?.by === 'camera');
    expect(camera.eventSubscriptions()).toBeLessThanOrEqual(2);
  },
);

test('a reboot of the camera costs its events for seconds only', async () => {
  await listenTo(camera);
  await camera.reboot(500);
  camera.setMotion(1, true);
  await until('the motion after the reboot', 15, () => told.some((event) => event.kind === 'motion' && event.active));
  camera.setMotion(1, false);
});

test('a clock of the camera that is set by hours interrupts its events for seconds, and costs no more than two logins', async () => {
  await listenTo(camera);
  const before = camera.logins().refused;
  camera.setFaults({ clockOffsetMs: 7_200_000 });
  camera.setMotion(1, true);
  await until('the camera tells again', 20, () => told.some((event) => event.kind === 'motion' && event.active));
  camera.setMotion(1, false);
  await until('the end', 20, () => told.at(-1)?.kind === 'motion' && !told.at(-1)!.active);
  expect(camera.logins().refused - before).toBeLessThanOrEqual(2);
});

test('a flood of changes comes down to a few a second', async () => {
  await listenTo(camera);
  camera.setFaults({ events: 'flood' });
  camera.setMotion(1, true);
  await until('the flood', 5, () => changes('motion').length > 2);
  const before = told.length;
  const cpu = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(told.length - before).toBeLessThan(12);
  expect(process.cpuUsage(cpu).user).toBeLessThan(1_500_000);
});

test('a camera without an event service is not asked again and again', async () => {
  await add(sim.cameras[2]!);
  await until('it is said', 5, () => mine.sources.at(-1)?.detail.includes('no event service') === true);
  expect((await source()).by).toBe('pixels');
});

test.each([
  ['DeviceIO, where the device service says yes and does nothing', 0, 'deviceio'],
  ['the device service, where DeviceIO is not there', 1, 'device'],
] as const)('a relay on %s is moved, and confirmed', async (_name, which, service) => {
  const device = sim.cameras[which]!;
  await add(device);
  expect((await mine.cameras.io('cam-1')).relays[0]).toEqual({ token: 'relay_1', service });
  expect(await mine.cameras.relay('cam-1', { relay: 'relay_1', active: true })).toEqual({ confirmed: true });
  expect(device.relays()[0]).toBe(true);
  expect(await mine.cameras.relay('cam-1', { relay: 'relay_1', active: false })).toEqual({ confirmed: true });
  expect(device.relays()[0]).toBe(false);
  await expect(mine.cameras.relay('cam-1', { relay: 'relay_9', active: true })).rejects.toMatchObject({
    code: 'RELAY_UNKNOWN',
  });
});

test('inputs and relays are listed; without events a relay is moved, but not said to be confirmed', async () => {
  await add(camera);
  const io = await mine.cameras.io('cam-1');
  expect(io.inputs).toEqual(['input_1', 'input_2']);
  expect(io.relays.map((one) => one.token)).toEqual(['relay_1', 'relay_2']);
  camera.setFaults({ events: 'unavailable' });
  expect(await mine.cameras.relay('cam-1', { relay: 'relay_2', active: true })).toEqual({ confirmed: false });
  expect(camera.relays()).toEqual([false, true]);
  camera.setFaults({ events: 'ok' });
  await mine.cameras.relay('cam-1', { relay: 'relay_2', active: false });
});
