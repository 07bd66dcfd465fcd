import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Discovered } from '../../src/contract/camera.js';

/**
 * A box with two camera-side interfaces and its default route on a third, as behind a cellular router:
 *
 *   bl-east: bridge, 8 cameras ── cam0 ┐
 *   bl-west: bridge, 8 cameras ── cam1 ┤ bl-box ── up0 (default route) ── bl-net: somebody else's camera
 */
const NAMESPACES = ['bl-box', 'bl-east', 'bl-west', 'bl-net'];
const EAST = Array.from({ length: 8 }, (_, i) => `10.77.0.${String(11 + i)}`);
const WEST = Array.from({ length: 8 }, (_, i) => `10.78.0.${String(11 + i)}`);
const FOREIGN = '192.168.199.64';
const servers: ChildProcess[] = [];

function ip(line: string): void {
  const result = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
}

/** A veth from the box to a bridge in another namespace. Snooping would drop groups that nobody has joined yet. */
function link(name: string, boxAddress: string, space: string, addresses: string[]): void {
  ip(`-n bl-box link add ${name} type veth peer name port0 netns ${space}`);
  ip(`-n bl-box addr add ${boxAddress} dev ${name}`);
  ip(`-n bl-box link set ${name} up`);
  ip(`-n ${space} link add br0 type bridge mcast_snooping 0`);
  ip(`-n ${space} link set port0 master br0`);
  ip(`-n ${space} link set port0 up`);
  ip(`-n ${space} link set br0 up`);
  for (const address of addresses) ip(`-n ${space} addr add ${address}/24 dev br0`);
}

function inside(space: string, program: string, args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const command = ['netns', 'exec', space, process.execPath, '--import', 'tsx', path, ...args];
  return spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function serve(space: string, addresses: string[], loss = 0, ...more: string[]): Promise<void> {
  const server = inside(space, 'camera-server.ts', [String(loss), ...addresses, ...more]);
  servers.push(server);
  await once(server.stdout!, 'data');
}

async function discover(...args: string[]): Promise<{ ms: number; interfaces: string[]; devices: Discovered[] }> {
  const client = inside('bl-box', 'discovery-client.ts', args);
  let out = '';
  client.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(client, 'close');
  return JSON.parse(out) as Awaited<ReturnType<typeof discover>>;
}

function removeSpaces(): void {
  for (const space of NAMESPACES) spawnSync('ip', ['netns', 'del', space]);
}

beforeAll(async () => {
  removeSpaces();
  for (const space of NAMESPACES) {
    ip(`netns add ${space}`);
    ip(`-n ${space} link set lo up`);
  }
  link('cam0', '10.77.0.1/24', 'bl-east', EAST);
  link('cam1', '10.78.0.1/24', 'bl-west', WEST);
  link('up0', '10.88.0.2/24', 'bl-net', ['10.88.0.1']);
  ip('-n bl-box route add default via 10.88.0.1');
  // One after the other: the first makes the footage that the others find in the cache.
  await serve('bl-net', ['10.88.0.1']);
  await Promise.all([serve('bl-east', EAST), serve('bl-west', WEST)]);
});

afterAll(async () => {
  await stopServers();
  removeSpaces();
});

async function stopServers(): Promise<void> {
  for (const server of servers.splice(0)) {
    server.kill('SIGTERM');
    if (server.exitCode === null) await once(server, 'close');
  }
}

test('16 cameras on two interfaces are found within 10 s by both packages, and nothing is asked on the uplink', async () => {
  const { ms, interfaces, devices } = await discover();
  expect(interfaces).toEqual(['cam0', 'cam1']);
  expect(ms).toBeLessThan(10_000);
  expect(devices.map((device) => device.address)).toEqual([...EAST, ...WEST]);
  for (const device of devices) {
    expect(device.heardBy).toEqual(['onvif', 'node-onvif']);
    expect(device.reachable).toBe(true);
    expect(device.interface).toBe(EAST.includes(device.address) ? 'cam0' : 'cam1');
  }
});

test('the uplink is searched when the configuration names it', async () => {
  const { devices } = await discover('up0');
  expect(devices.map((device) => device.address)).toEqual(['10.88.0.1']);
});

test('with 30 % of all probes and 30 % of all answers lost all 16 are found all the same', async () => {
  await stopServers();
  await Promise.all([serve('bl-east', EAST, 0.3), serve('bl-west', WEST, 0.3)]);
  const { ms, devices } = await discover();
  expect(devices.map((device) => device.address)).toEqual([...EAST, ...WEST]);
  expect(ms).toBeLessThan(10_000);
});

test('hostile answers on both interfaces, with 30 % loss: no crash, no good camera lost, a recorder is one device', async () => {
  await stopServers();
  await Promise.all([serve('bl-east', EAST, 0.3, 'hostile=1', 'channels=4'), serve('bl-west', WEST, 0.3, 'hostile=1')]);
  const { ms, devices } = await discover();
  const good = devices.filter((device) => device.name.startsWith('cam-10-'));
  expect(good.map((device) => device.address)).toEqual([...EAST, ...WEST]);
  // What lies gets nobody anywhere: every address is that of the sender.
  for (const { address, xaddrs } of devices) for (const xaddr of xaddrs) expect(new URL(xaddr).hostname).toBe(address);
  expect(ms).toBeLessThan(10_000);
});

test('a camera of another subnet on the same wire is seen, and said to be unreachable', async () => {
  await stopServers();
  ip(`-n bl-east addr add ${FOREIGN}/24 dev br0`);
  await serve('bl-east', [EAST[0]!, FOREIGN]);
  const { devices } = await discover();
  expect(devices.map(({ address, reachable }) => [address, reachable])).toEqual([
    [EAST[0], true],
    [FOREIGN, false],
  ]);
});

test('cameras that answer no discovery are found by their ports when asked to', async () => {
  await stopServers();
  await Promise.all([serve('bl-east', EAST.slice(0, 3), 1), serve('bl-west', WEST.slice(0, 2), 0)]);
  expect((await discover()).devices.map((device) => device.address)).toEqual(WEST.slice(0, 2));
  const { devices } = await discover('--scan');
  expect(devices.map(({ address, heardBy }) => [address, heardBy.includes('scan')])).toEqual([
    ...WEST.slice(0, 2).map((address) => [address, false]),
    ...EAST.slice(0, 3).map((address) => [address, true]),
  ]);
  expect(devices.at(-1)!.xaddrs).toEqual([`http://${EAST[2]!}:80/onvif/device_service`]);
});
