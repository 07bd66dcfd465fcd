import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site } from '../../scripts/lib/site.js';
import { connectAgent, type Agent } from '../../src/cli/agent.js';
import type { DeviceStatus } from '../../src/contract/camera.js';
import type { MotionEvent } from '../../src/contract/motion.js';
import { kept } from '../support/kept.js';

/** Two cameras on empty places, whose own motion detectors are switched from outside. */
const dir = mkdtempSync(join(tmpdir(), 'bluelight-camera-motion-'));
const site = new Site({
  ...{ dir, cameras: 2, address: '127.0.64.31', cacheDir: kept('bluelight-test-footage') },
  cameraArgs: ['--one-scene', '--loop', '20', '--activity', '0', '--control-port', '0'],
  settings: { motion: { camera_events: 'either' } },
});
let control: string;
let agent: Agent;

beforeAll(async () => {
  const ready = await site.startCameras();
  control = `http://127.0.0.1:${String(ready.controlPort)}/cameras`;
  site.writeConfig();
  agent = connectAgent((await site.startAgent()).socket);
  for (const { id, xaddr } of ready.cameras) await site.adopt(xaddr, id);
  site.grant(['cam-1', 'cam-2']);
  expect(await site.recording(4, 60_000)).toBeDefined();
});
afterAll(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

async function sense(camera: string, active: boolean): Promise<void> {
  const body = JSON.stringify({ sensor: 'motion', active });
  expect((await fetch(`${control}/${camera}/sensor`, { method: 'POST', body })).status).toBe(200);
}

async function events(): Promise<MotionEvent[]> {
  const query = new URLSearchParams({
    from: new Date(Date.now() - 600_000).toISOString(),
    to: new Date().toISOString(),
  });
  return (await agent.get<{ events: MotionEvent[] }>(`/motion?${query.toString()}`)).events;
}

test('what a camera itself tells of motion becomes a motion event of that camera, and ends with its word', async () => {
  const told = await until(async () => {
    const devices = await site.cli<DeviceStatus[]>(['camera', 'devices']);
    return devices.length === 2 && devices.every((one) => one.events.by === 'camera') ? devices : undefined;
  }, 30_000);
  expect(told).toBeDefined();
  await sense('sim-2', true);
  const open = await until(async () => (await events()).find((one) => one.end === null), 20_000);
  expect(open).toMatchObject({ camera: 'cam-2', reason: 'the camera tells of motion' });
  await sense('sim-2', false);
  const ended = await until(
    async () => (await events()).find((one) => one.id === open!.id && one.end !== null),
    20_000,
  );
  expect(ended).toBeDefined();
  expect((await events()).map((one) => one.camera)).toEqual(['cam-2']);
});
