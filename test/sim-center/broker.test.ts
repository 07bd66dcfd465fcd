import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectAsync } from 'mqtt';
import { silentLog } from '../../src/base/log.js';
import type { ClaimFile } from '../../src/contract/messages.js';
import { startVirtualCenter, type VirtualCenter } from '../../src/sim/center/index.js';
import { box, clock, motion, network, newSigner, store, tempDir } from '../center/rig.js';
import { subscribe, until } from '../center/mosquitto.js';

const run = promisify(execFile);
let center: VirtualCenter;
let dir: string;
let a: ClaimFile;
let b: ClaimFile;

beforeEach(async () => {
  dir = tempDir();
  center = await startVirtualCenter({ clock, log: silentLog, dir });
  a = center.claimFile('main-st', 'box-a');
  b = center.claimFile('main-st', 'box-b');
});

afterEach(async () => {
  await center.close();
});

function port(): number {
  return Number(new URL(center.brokerUrl).port);
}

function login(claim: ClaimFile): string[] {
  return ['-u', claim.center.username!, '-P', claim.center.password!];
}

function publish(claim: string[], topic: string, version = '5'): Promise<{ stdout: string; stderr: string }> {
  const args = ['-h', '127.0.0.1', '-p', String(port()), '-V', version, '-q', '1', '-t', topic, '-m', '{}', ...claim];
  return run('mosquitto_pub', args).catch((error: unknown) => error as { stdout: string; stderr: string });
}

test('a box can neither write nor read as another, checked by delivery', async () => {
  const watch = subscribe(port(), 'bluelight/v1/main-st/box-b/#', login(b));
  const spy = subscribe(port(), 'bluelight/#', login(a));
  const own = await connectAsync(center.brokerUrl, { protocolVersion: 5, ...loginOf(b) });
  await own.publishAsync('bluelight/v1/main-st/box-b/probe', 'mine', { qos: 1, retain: true });
  await until(() => watch.lines.some((line) => line.payload === 'mine'));
  const refused = await publish(login(a), 'bluelight/v1/main-st/box-b/probe');
  expect(refused.stderr).toContain('Not authorized');
  await own.publishAsync('bluelight/v1/main-st/box-b/probe', 'after', { qos: 1 });
  await until(() => watch.lines.some((line) => line.payload === 'after'));
  expect(watch.lines.map((line) => line.payload)).not.toContain('{}');
  expect(spy.lines).toEqual([]);
  await own.endAsync();
  await watch.stop();
  await spy.stop();
});

test('only MQTT 5 with the right password is taken', async () => {
  const old = await publish(login(a), 'bluelight/v1/main-st/box-a/probe', '311');
  expect(old.stderr).toMatch(/protocol version/i);
  const wrong = await publish(['-u', 'main-st/box-a', '-P', 'guess'], 'bluelight/v1/main-st/box-a/probe');
  expect(wrong.stderr).toMatch(/not authori[sz]ed|bad user/i);
  const nobody = await publish([], 'bluelight/v1/main-st/box-a/probe');
  expect(nobody.stderr).toMatch(/not authori[sz]ed|bad user/i);
});

function loginOf(claim: ClaimFile): { username: string; password: string } {
  return { username: claim.center.username!, password: claim.center.password! };
}

test('the embedded broker keeps a will back for its delay and publishes that of the lost session', async () => {
  const { calls, close } = store();
  const net = network();
  const agent = box(a, calls, newSigner(), { dial: net.dial });
  agent.start();
  await until(() => agent.status().centerReachedAt !== null);
  const watch = subscribe(port(), 'bluelight/v1/main-st/box-a/status', login(a));
  const first = agent.status().session;
  net.cut();
  await until(() => agent.status().state === 'connected' && agent.status().session !== first);
  await until(() => watch.lines.some((line) => line.payload.includes(agent.status().session!)));
  expect(watch.lines.map((line) => line.payload).join()).not.toContain('lost');
  const second = agent.status().session;
  net.down = true;
  net.cut();
  await until(() => center.boxes()[0]?.status?.state === 'lost');
  expect(center.boxes()[0]!.status!.session).toBe(second);
  net.down = false;
  await until(() => center.boxes()[0]?.status?.state === 'online');
  await agent.stop('shutdown');
  await until(() => center.boxes()[0]?.status?.state === 'offline');
  await watch.stop();
  close();
});

test('a second box with the same identity throws the first one out, and the box says so', async () => {
  const { calls, close } = store();
  const agent = box(a, calls, newSigner());
  agent.start();
  await until(() => agent.status().state === 'connected');
  const clone = await connectAsync(center.brokerUrl, {
    protocolVersion: 5,
    clientId: 'bluelight-main-st-box-a',
    ...loginOf(a),
  });
  await until(() => agent.status().lastError !== null);
  expect(agent.status().lastError).toMatchObject({ code: 'IDENTITY_TAKEN' });
  await clone.endAsync();
  await agent.stop('shutdown');
  close();
});

test('a birth with another key is refused and shown', async () => {
  const first = store();
  const signer = newSigner();
  const agent = box(a, first.calls, signer);
  agent.start();
  await until(() => center.boxes()[0]?.key === signer.keyId);
  await agent.stop('shutdown');
  const impostor = newSigner();
  const second = store();
  const other = box(a, second.calls, impostor);
  other.start();
  await until(() => center.boxes()[0]?.refusedKey === impostor.keyId);
  expect(center.boxes()[0]!.key).toBe(signer.keyId);
  await other.stop('shutdown');
  first.close();
  second.close();
});

test('after a restart of the center everything it acknowledged is still there, and nothing comes twice', async () => {
  const { calls, close } = store();
  const fixed = { mqttPort: port(), httpPort: Number(new URL(center.consoleUrl).port) };
  const agent = box(a, calls, newSigner());
  agent.start();
  await until(() => agent.status().centerReachedAt !== null);
  for (let n = 0; n < 50; n++) await agent.event(motion(n));
  await until(() => agent.status().outbox === 0);
  await center.close();
  for (let n = 50; n < 80; n++) await agent.event(motion(n));
  center = await startVirtualCenter({ clock, log: silentLog, dir, ...fixed });
  expect(center.events()).toHaveLength(50);
  await until(() => agent.status().outbox === 0);
  expect(center.counts()).toEqual({ events: 80, duplicates: 0 });
  await agent.stop('shutdown');
  close();
});
