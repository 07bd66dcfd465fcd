import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLog, Redactor } from '../../src/base/log.js';
import { createIngest } from '../../src/ingest/ingest.js';
import { NO_FAULTS } from '../../src/sim/camera/options.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { clock, PASSWORD, processes, start } from '../sim-camera/rig.js';
import { Recorder, until } from '../support/recorder.js';
import { box, type Box } from './rig.js';

/** Where the camera wants the box to go: something listens there, on the camera's own ports. */
const BAIT = '127.0.0.92';
let sim: VirtualCameras;
let camera: VirtualCamera;
let mine: Box;
let baits: Server[];
let visits: string[];

beforeAll(async () => {
  sim = await start([{ address: '127.0.0.91', id: 'liar', relays: 1, advertisedHost: BAIT }]);
  camera = sim.cameras[0]!;
});
afterAll(() => sim.close());

beforeEach(async () => {
  visits = [];
  baits = [camera.onvifPort, camera.rtspPort].map((port) =>
    createServer((socket) => {
      visits.push(String(port));
      socket.destroy();
    }).listen(port, BAIT),
  );
  await Promise.all(baits.map((bait) => once(bait, 'listening')));
  mine = box({ onEvent: () => undefined });
});
afterEach(async () => {
  camera.setFaults(NO_FAULTS);
  await mine.cameras.stop();
  for (const bait of baits) bait.close();
});

function add(): Promise<unknown> {
  const address = `${camera.address}:${String(camera.onvifPort)}`;
  return mine.cameras.add({ address, username: 'admin', password: PASSWORD });
}

test('services, streams, snapshots, relays and event subscriptions stay at the camera, whatever host it names', async () => {
  await add();
  await until('the camera tells by itself', 10, () => mine.sources.at(-1)?.by === 'camera');
  expect((await mine.cameras.test('cam-1')).ok).toBe(true);
  await mine.cameras.snapshot('cam-1');
  expect(await mine.cameras.relay('cam-1', { relay: 'relay_1', active: true })).toEqual({ confirmed: true });
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  expect(visits).toEqual([]);
});

test('redirects over HTTP are not followed', async () => {
  await add();
  camera.setFaults({ redirectTo: BAIT });
  await expect(mine.cameras.snapshot('cam-1')).rejects.toMatchObject({ code: 'CAMERA_INVALID' });
  await expect(mine.cameras.io('cam-1')).rejects.toMatchObject({ code: 'CAMERA_INVALID' });
  expect((await mine.cameras.test('cam-1')).ok).toBe(false);
  await expect(add()).rejects.toMatchObject({ code: 'CAMERA_INVALID' });
  expect(visits).toEqual([]);
});

test('redirects of a stream are not followed when it is added or tested by its address', async () => {
  const main = `rtsp://${camera.address}:${String(camera.rtspPort)}/main`;
  camera.setFaults({ redirectTo: BAIT });
  const adding = mine.cameras.add({ address: main, username: 'admin', password: PASSWORD });
  await expect(adding).rejects.toMatchObject({ code: 'CAMERA_INVALID' });
  expect(visits).toEqual([]);
});

test.each(['native', 'ffmpeg'] as const)('redirects of a stream are not followed by the engine %s', async (engine) => {
  const recorder = new Recorder();
  const said: string[] = [];
  const ingest = createIngest({
    ...{ clock, processes, log: silentLog, redactor: new Redactor(), sink: recorder },
    onStatus: ({ state, detail }) => said.push(`${state} ${detail}`),
  });
  camera.setFaults({ redirectTo: BAIT });
  const uri = `rtsp://${camera.address}:${String(camera.rtspPort)}/main`;
  ingest.setCameras([{ id: 'c', username: 'admin', password: PASSWORD, streams: [{ role: 'main', uri, engine }] }]);
  await until('the engine gives up', 15, () => said.some((text) => text.startsWith('invalid') || text.startsWith('offline'))); // prettier-ignore
  expect(visits).toEqual([]);
  camera.setFaults(NO_FAULTS);
  await until('it records again', 15, () => recorder.units.length > 0);
  await ingest.stop();
});
