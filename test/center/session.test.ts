import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { ClaimFile, StatusMessage } from '../../src/contract/messages.js';
import { startVirtualCenter } from '../../src/sim/center/index.js';
import { box, clock, motion, network, newSigner, store, tempDir } from './rig.js';
import { mosquitto, subscribe, until } from './mosquitto.js';

function claimAt(url: string, key: string): ClaimFile {
  const center = { id: 'virtual', broker: url, upload: 'http://127.0.0.1:1/', key };
  return { schema: 1, site: 'main-st', box: 'box-1', center };
}

function statusOf(line: { payload: string } | undefined): StatusMessage {
  return JSON.parse(line!.payload) as StatusMessage;
}

test('mosquitto_sub sees the retained birth, the will of a lost box and the farewell of a stopped one', async () => {
  const broker = await mosquitto();
  await broker.start();
  const signer = newSigner();
  const { calls, close } = store();
  const net = network();
  const agent = box(claimAt(broker.url, signer.keyId), calls, signer, { dial: net.dial });
  agent.start();
  await until(() => agent.status().state === 'connected');

  const late = subscribe(broker.port, 'bluelight/v1/main-st/box-1/#');
  const statuses = () => late.lines.filter((line) => line.topic.endsWith('/status'));
  await until(() => late.lines.some((line) => line.topic.endsWith('/info')) && statuses().length > 0);
  expect(late.lines.find((line) => line.topic.endsWith('/info'))!.retained).toBe(true);
  expect(statuses()[0]!.retained).toBe(true);
  const first = agent.status().session!;
  expect(statusOf(statuses()[0])).toMatchObject({ state: 'online', session: first });

  // A flap that is over before the will delay: a new session is born, nobody is told of a loss.
  net.cut();
  await until(() => agent.status().state === 'connected' && agent.status().session !== first);
  const second = agent.status().session!;
  await until(() => statusOf(statuses().at(-1)).session === second);
  expect(statuses().map((line) => statusOf(line).state)).not.toContain('lost');

  // A real loss: the will of exactly the session that was lost.
  net.down = true;
  net.cut();
  await until(() => statusOf(statuses().at(-1)).state === 'lost');
  expect(statusOf(statuses().at(-1)).session).toBe(second);
  expect(agent.status().lastError?.code).toBe('CENTER_UNREACHABLE');
  net.down = false;
  await until(() => statusOf(statuses().at(-1)).state === 'online');
  expect(statusOf(statuses().at(-1)).session > second).toBe(true);

  await agent.stop('update');
  await until(() => statusOf(statuses().at(-1)).state === 'offline');
  expect(statusOf(statuses().at(-1)).reason).toBe('update');
  await late.stop();
  await broker.kill();
  close();
});

test('a will that comes late does not stand: the box says again that it lives', async () => {
  const broker = await mosquitto();
  await broker.start();
  const signer = newSigner();
  const { calls, close } = store();
  const agent = box(claimAt(broker.url, signer.keyId), calls, signer);
  agent.start();
  await until(() => agent.status().state === 'connected');
  const watch = subscribe(broker.port, 'bluelight/v1/main-st/box-1/status');
  await until(() => watch.lines.length > 0);
  const stale = { ...statusOf(watch.lines[0]), state: 'lost', session: '01HQ0000000000000000000000' };
  const { connectAsync } = await import('mqtt');
  const other = await connectAsync(broker.url, { protocolVersion: 5 });
  await other.publishAsync('bluelight/v1/main-st/box-1/status', JSON.stringify(stale), { retain: true, qos: 1 });
  await until(() => watch.lines.length > 2 && statusOf(watch.lines.at(-1)).state === 'online');
  expect(watch.lines.map((line) => statusOf(line).state)).toContain('lost');
  await other.endAsync();
  await agent.stop('shutdown');
  await watch.stop();
  await broker.kill();
  close();
});

test('kill -9 of a default mosquitto loses no event and the center gets each once', async () => {
  const broker = await mosquitto();
  await broker.start();
  const signer = newSigner();
  const { calls, close } = store();
  const options = { clock, log: silentLog, dir: tempDir(), broker: { url: broker.url } };
  const center = await startVirtualCenter(options);
  const agent = box(center.claimFile('main-st', 'box-1'), calls, signer);
  agent.start();
  await until(() => agent.status().centerReachedAt !== null);

  for (let n = 0; n < 200; n++) await agent.event(motion(n));
  await until(() => center.events().length > 20);
  await broker.kill();
  for (let n = 200; n < 400; n++) await agent.event(motion(n, n % 2 === 0 ? 'north' : 'south'));
  await broker.start();
  await until(() => center.events().length === 400 && agent.status().outbox === 0, 20_000);

  const north = center.events().filter((event) => event.stream === 'north');
  expect(north.map((event) => event.sequence).sort((a, b) => a - b)).toEqual(north.map((_, i) => i + 1));
  expect(new Set(center.events().map((event) => event.id)).size).toBe(400);
  expect(center.counts().duplicates).toBeLessThanOrEqual(4);
  await agent.stop('shutdown');
  await center.close();
  await broker.kill();
  close();
});

test('what the broker confirmed while no center listened stays in the outbox and is sent again', async () => {
  const broker = await mosquitto();
  await broker.start();
  const signer = newSigner();
  const { calls, close } = store();
  const dir = tempDir();
  let center = await startVirtualCenter({ clock, log: silentLog, dir, broker: { url: broker.url } });
  const claim = center.claimFile('main-st', 'box-1');
  await center.close();

  const agent = box(claim, calls, signer, { resendAfterMs: 500 });
  agent.start();
  await until(() => agent.status().state === 'connected');
  for (let n = 0; n < 30; n++) await agent.event(motion(n));
  await until(() => agent.status().inFlight === 30);
  expect((await calls.outbox.stats()).rows).toBe(30);
  expect(agent.status().centerReachedAt).toBeNull();

  center = await startVirtualCenter({ clock, log: silentLog, dir, broker: { url: broker.url } });
  await until(() => agent.status().outbox === 0, 15_000);
  expect(center.events().length).toBe(30);
  await agent.stop('shutdown');
  await center.close();
  await broker.kill();
  close();
}, 40_000);

test('an access list that refuses the box is shown, not swallowed', async () => {
  const dir = tempDir();
  const { writeFileSync } = await import('node:fs');
  writeFileSync(`${dir}/acl`, ['topic read #', 'topic write bluelight/v1/main-st/box-1/status', ''].join('\n'));
  const broker = await mosquitto(['allow_anonymous true', `acl_file ${dir}/acl`]);
  await broker.start();
  const signer = newSigner();
  const { calls, close } = store();
  const agent = box(claimAt(broker.url, signer.keyId), calls, signer);
  agent.start();
  await until(() => agent.status().lastError !== null);
  expect(agent.status().lastError).toMatchObject({ code: 'PUBLISH_REFUSED' });
  expect(agent.status().lastError!.message).toContain('info');
  await agent.stop('shutdown');
  await broker.kill();
  close();
});

test('a broker that takes the connection and says nothing is not waited for at the stop', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const accepted = once(silent, 'connection');
  const signer = newSigner();
  const { calls, close } = store();
  const { port } = silent.address() as AddressInfo;
  const agent = box(claimAt(`mqtt://127.0.0.1:${port}`, signer.keyId), calls, signer);
  agent.start();
  await accepted;
  const began = clock.monotonic();
  await agent.stop('shutdown');
  expect(clock.monotonic() - began).toBeLessThan(3_000);
  silent.close();
  close();
});
