import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site } from '../../scripts/lib/site.js';
import type { Camera, DeviceStatus } from '../../src/contract/camera.js';
import { kept } from '../support/kept.js';

const dir = mkdtempSync(join(tmpdir(), 'bluelight-cli-'));
const site = new Site({
  dir,
  cameras: 2,
  address: '127.0.64.11',
  cacheDir: kept('bluelight-test-footage'),
  cameraArgs: [
    '--one-scene',
    '--loop',
    '20',
    '--relays',
    '1',
    '--inputs',
    '1',
    '--control-port',
    '0',
    '--lock-out',
    '4',
  ],
  settings: { motion: { enabled: false } },
});
let control: string;
let xaddrs: string[];

beforeAll(async () => {
  const ready = await site.startCameras();
  control = `http://127.0.0.1:${String(ready.controlPort)}/cameras`;
  xaddrs = ready.cameras.map((camera) => camera.xaddr);
  site.writeConfig();
  await site.startAgent();
  await site.adopt(xaddrs[0]!, 'North');
});
afterAll(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

async function set(what: string, body: object): Promise<void> {
  const answer = await fetch(`${control}/sim-1/${what}`, { method: 'POST', body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
}

async function told(): Promise<{ relays: boolean[]; logins: { refused: number } }> {
  const { cameras } = (await (await fetch(control)).json()) as { cameras: Awaited<ReturnType<typeof told>>[] };
  return cameras[0]!;
}

/** The only device, as soon as it is as it should be. */
function device(is: (one: DeviceStatus) => boolean): Promise<DeviceStatus | undefined> {
  return until(async () => (await site.cli<DeviceStatus[]>(['camera', 'devices'])).find(is), 20_000, 500);
}

test('a relay is listed, closed and opened from the command line; the camera tells of motion by itself', async () => {
  expect(await device((one) => one.link === 'ok' && one.events.by === 'camera')).toMatchObject({ cameras: ['cam-1'] });
  const io = await site.cli<{ relays: { token: string }[]; inputs: string[] }>(['camera', 'relay', 'cam-1']);
  expect([io.relays.map((one) => one.token), io.inputs]).toEqual([['relay_1'], ['input_1']]);
  expect(await site.cli(['camera', 'relay', 'cam-1', 'relay_1', 'on'])).toEqual({ confirmed: true });
  expect((await told()).relays).toEqual([true]);
  expect(await site.cli(['camera', 'relay', 'cam-1', 'relay_1', 'off'])).toEqual({ confirmed: true });
  expect((await told()).relays).toEqual([false]);
  expect((await site.tryCli(['camera', 'relay', 'cam-1', 'relay_1', 'perhaps'])).code).toBe(2);
});

test('the camera itself is changed only with consent', async () => {
  expect((await site.tryCli(['camera', 'tune', 'cam-1', '--clock'])).code).toBe(2);
  await set('faults', { clockOffsetMs: -7_200_000 });
  const { changed } = await site.cli<{ changed: string[] }>(['camera', 'tune', 'cam-1', '--clock', '--consent']);
  expect(changed).toEqual([expect.stringMatching(/clock of cam-1/)]);
  const { ok } = await site.cli<{ ok: boolean }>(['camera', 'test', 'cam-1']);
  expect(ok).toBe(true);
});

test('a changed password stops every login, is said with its fix, and is cured from the command line', async () => {
  await set('reboot', { downMs: 2_000 });
  expect(await until(() => fetch(xaddrs[0]!).then(() => undefined, () => true as const), 2_000, 20)).toBe(true); // prettier-ignore
  await set('faults', { password: 'another-Passw0rd' });
  const held = await device((one) => one.link === 'auth_failed');
  expect(held?.fix).toMatch(/camera password/);
  const status = await until(async () => {
    const { streams } = await site.status();
    return streams.every((stream) => stream.state === 'auth_failed') ? streams : undefined;
  }, 10_000);
  expect(status).toHaveLength(2);
  // What the events of the camera ask and what logs in next may be on their way at the same time: never more than two.
  const { refused } = (await told()).logins;
  expect(refused, 'the first refusal stops both streams, the events and whoever asks').toBeLessThanOrEqual(2);
  await site.cli(['camera', 'password', 'cam-1'], 'another-Passw0rd');
  expect(await site.recording(2, 20_000)).toBeDefined();
  expect(await device((one) => one.link === 'ok' && one.events.by === 'camera')).toBeDefined();
  expect((await told()).logins.refused, 'the new password is not preceded by the old one').toBe(refused);
});

test('a camera is replaced, and one is added by its stream alone; both record', async () => {
  const replaced = await site.cli<{ cameras: Camera[] }>(['camera', 'replace', 'cam-1', xaddrs[1]!], site.password);
  expect(replaced.cameras).toMatchObject([{ id: 'cam-1', name: 'North', device: { address: '127.0.64.12' } }]);
  const stream = 'rtsp://127.0.64.11:8554';
  const args = ['camera', 'add', `${stream}/main`, '--sub', `${stream}/sub`, '--name', 'Stream'];
  const added = await site.cli<{ cameras: Camera[] }>(args, 'another-Passw0rd');
  expect(added.cameras).toMatchObject([{ id: 'cam-2', main: { width: 1920, codec: 'h264' }, sub: { width: 640 } }]);
  expect(await site.recording(4, 20_000)).toBeDefined();
  await site.cli(['camera', 'remove', 'cam-2']);
  expect((await site.cli<Camera[]>(['camera', 'list'])).map((camera) => camera.id)).toEqual(['cam-1']);
});
