import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site } from '../../scripts/lib/site.js';
import { connectAgent, type Agent } from '../../src/cli/agent.js';
import type { AlarmsBody } from '../../src/contract/http.js';
import { kept } from '../support/kept.js';

/** What is done to each camera, the alarm that it must raise, and within how many seconds. */
const FAULTS = [
  { camera: 1, does: ['faults', { freeze: 'picture' }, { freeze: 'off' }], raises: 'camera.frozen', within: 20 },
  { camera: 2, does: ['picture', { fault: 'dark' }, { fault: 'off' }], raises: 'camera.dark', within: 60 },
  { camera: 3, does: ['picture', { fault: 'white' }, { fault: 'off' }], raises: 'camera.overexposed', within: 60 },
  { camera: 4, does: ['picture', { fault: 'covered' }, { fault: 'off' }], raises: 'camera.covered', within: 60 },
  { camera: 5, does: ['picture', { fault: 'blurred' }, { fault: 'off' }], raises: 'camera.blurred', within: 60 },
  { camera: 6, does: ['picture', { fault: 'turned' }, { fault: 'off' }], raises: 'camera.moved', within: 60 },
] as const;
type Fault = (typeof FAULTS)[number];
/** The agent asks its own pictures every two seconds, and this asks the agent. */
const SLACK_S = 5;

const dir = mkdtempSync(join(tmpdir(), 'bluelight-camera-truth-'));
const site = new Site({
  ...{ dir, cameras: FAULTS.length, address: '127.0.64.41', cacheDir: kept('bluelight-test-footage') },
  cameraArgs: ['--one-scene', '--loop', '20', '--activity', '0', '--control-port', '0'],
});
let control: string;
let agent: Agent;

beforeAll(async () => {
  const ready = await site.startCameras();
  control = `http://127.0.0.1:${String(ready.controlPort)}/cameras`;
  site.writeConfig();
  agent = connectAgent((await site.startAgent()).socket);
  for (const { id, xaddr } of ready.cameras) await site.adopt(xaddr, id);
  expect(await site.recording(2 * FAULTS.length, 60_000)).toBeDefined();
}, 120_000);
afterAll(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

async function post({ camera, does: [verb] }: Fault, body: object): Promise<void> {
  const url = `${control}/sim-${String(camera)}/${verb}`;
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  expect(answer.status, await answer.text()).toBe(200);
}

async function alarm({ camera, raises }: Fault): Promise<AlarmsBody['alarms'][number] | undefined> {
  const { alarms } = await agent.get<AlarmsBody>('/alarms');
  return alarms.find((one) => one.kind === raises && one.camera === `cam-${String(camera)}`);
}

/** Seconds until the alarm is there, and until it is gone by itself when the camera is well again. */
async function live(fault: Fault): Promise<void> {
  await post(fault, fault.does[1]);
  const from = Date.now();
  const raised = await until(() => alarm(fault), (fault.within + SLACK_S) * 1000);
  expect(raised, `${fault.raises} after ${String((Date.now() - from) / 1000)} s`).toMatchObject({ clearedAt: null });
  expect(raised!.hint).not.toBe('');
  await post(fault, fault.does[2]);
  const cleared = await until(async () => {
    const one = await alarm(fault);
    return one?.clearedAt === null ? undefined : one;
  }, 45_000);
  expect(cleared, `${fault.raises} clears`).toBeDefined();
}

test(
  'every way of not seeing raises its alarm in time, which clears by itself; no other alarm',
  { timeout: 240_000 },
  async () => {
    // What needs no view to compare with comes first; meanwhile the others learn theirs.
    const [frozen, dark, white, ...views] = FAULTS;
    const others = Promise.all([live(dark), live(white)]);
    others.catch(() => undefined);
    await live(frozen);
    await Promise.all([others, ...views.map(live)]);
    const { alarms } = await agent.get<AlarmsBody>('/alarms');
    const told = alarms.filter((one) => one.camera !== null).map((one) => `${one.camera!} ${one.kind}`);
    expect(told.sort()).toEqual(FAULTS.map((one) => `cam-${String(one.camera)} ${one.raises}`).sort());
  },
);
