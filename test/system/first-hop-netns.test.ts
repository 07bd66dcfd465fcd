import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificate } from '../web/harness.js';

/** Each case is a box of its own behind one router and its city: all are withdrawn at the same time. */
const ROUTER = 'bl-hop-router';
const CITY = 'bl-hop-city';
const CITY_ADDRESS = '10.99.0.2';
const UPLOAD = 9000;
const PAGE = 8443;
const ALLOWED_MS = 2_000;
/** The kernel gives up what waits for an address after 3 s (arp(7), mcast_solicit). */
const LISTEN_MS = 2_500;
const DIST = new URL('../../dist/', import.meta.url).href;

type Loss = 'no carrier' | 'silence' | 'set down on the box';

interface Case {
  loss: Loss;
  /** How long before the withdrawal the link is lost, and how long after it comes back. */
  beforeMs: number;
  afterMs: number;
}

const CASES: Case[] = [
  { loss: 'no carrier', beforeMs: 200, afterMs: 300 },
  { loss: 'no carrier', beforeMs: 400, afterMs: 600 },
  { loss: 'no carrier', beforeMs: 500, afterMs: 1_500 },
  { loss: 'no carrier', beforeMs: 500, afterMs: 2_100 },
  { loss: 'no carrier', beforeMs: 600, afterMs: 2_200 },
  { loss: 'no carrier', beforeMs: 800, afterMs: 2_050 },
  { loss: 'no carrier', beforeMs: 800, afterMs: 2_200 },
  { loss: 'no carrier', beforeMs: 1_500, afterMs: 3_500 },
  { loss: 'no carrier', beforeMs: 2_500, afterMs: 2_500 },
  { loss: 'silence', beforeMs: 500, afterMs: 2_100 },
  { loss: 'silence', beforeMs: 2_800, afterMs: 2_200 },
  { loss: 'set down on the box', beforeMs: 500, afterMs: 2_200 },
];

const box = (i: number): string => `bl-hop-${i}`;
const bridge = (i: number): string => `br${i}`;
const port = (i: number): string => `box${i}`;
const boxAddress = (i: number): string => `10.98.${i}.2`;
const routerAddress = (i: number): string => `10.98.${i}.1`;
const spaces = [ROUTER, CITY, ...CASES.map((_, i) => box(i))];

function run(line: string): void {
  const [program = '', ...args] = line.split(' ');
  const result = spawnSync(program, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${line}: ${result.stderr}`);
}

const dir = mkdtempSync(join(tmpdir(), 'bluelight-hop-'));
const children: ChildProcess[] = [];

function layOut(): void {
  for (const space of spaces) {
    run(`ip netns add ${space}`);
    run(`ip -n ${space} link set lo up`);
  }
  run(`ip netns exec ${ROUTER} sysctl -q -w net.ipv4.ip_forward=1`);
  run(`ip -n ${CITY} link add net0 type veth peer name net0 netns ${ROUTER}`);
  run(`ip -n ${ROUTER} addr add 10.99.0.1/24 dev net0`);
  run(`ip -n ${CITY} addr add ${CITY_ADDRESS}/24 dev net0`);
  for (const space of [ROUTER, CITY]) run(`ip -n ${space} link set net0 up`);
  run(`ip -n ${CITY} route add default via 10.99.0.1`);
  // Slower than what the boxes have to send, so that their kernels are full.
  run(`ip netns exec ${ROUTER} tc qdisc add dev net0 root tbf rate 12mbit burst 32kb latency 200ms`);
  for (const i of CASES.keys()) {
    run(`ip -n ${box(i)} link add up0 type veth peer name ${port(i)} netns ${ROUTER}`);
    run(`ip -n ${ROUTER} link add ${bridge(i)} type bridge`);
    run(`ip -n ${ROUTER} link set ${port(i)} master ${bridge(i)}`);
    run(`ip -n ${box(i)} addr add ${boxAddress(i)}/24 dev up0`);
    run(`ip -n ${ROUTER} addr add ${routerAddress(i)}/24 dev ${bridge(i)}`);
    for (const dev of [port(i), bridge(i)]) run(`ip -n ${ROUTER} link set ${dev} up`);
    run(`ip -n ${box(i)} link set up0 up`);
    run(`ip -n ${box(i)} route add default via ${routerAddress(i)}`);
    // So that a silent router is missed within seconds and not within a minute.
    const neigh = ['base_reachable_time_ms=500', 'gc_stale_time=1', 'delay_first_probe_time=1', 'ucast_solicit=0'];
    run(`ip netns exec ${box(i)} sysctl -q -w ${neigh.map((one) => `net.ipv4.neigh.up0.${one}`).join(' ')}`);
  }
}

const removeSpaces = (): void => spaces.forEach((space) => void spawnSync('ip', ['netns', 'del', space]));

beforeAll(() => (removeSpaces(), layOut()));
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  removeSpaces();
  rmSync(dir, { recursive: true, force: true });
});

function inSpace(space: string, program: string, ...args: string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', space, 'setpriv', '--pdeathsig', 'KILL', program, ...args], {
    stdio: ['pipe', 'pipe', program === 'tcpdump' ? 'ignore' : 'inherit'],
  });
  children.push(child);
  return child;
}

const node = (space: string, source: string, ...args: string[]): ChildProcess =>
  inSpace(space, process.execPath, '--input-type=module', '-e', source, '--', ...args);

/** Takes what is uploaded, and reads the page of every box as fast as the link brings it. */
const CITY_SIDE = `
import { createServer } from 'node:net';
import { connect } from 'node:tls';
createServer((socket) => socket.resume().on('error', () => undefined))
  .listen(${UPLOAD}, '0.0.0.0', () => process.stdout.write('listens\\n'));
for (const host of process.argv.slice(1)) {
  const read = () => connect({ host, port: ${PAGE}, rejectUnauthorized: false })
    .on('error', () => setTimeout(read, 100)).on('data', () => undefined);
  read();
}`;

/** The two doors of a box, as the agent opens them: an upload, and a page behind which somebody watches. */
const BOX_SIDE = `
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
const { LinkSockets } = await import('${DIST}uplinks/sockets.js');
const { Connections } = await import('${DIST}base/unsent.js');
const { FirstHops } = await import('${DIST}base/first-hop.js');
const { systemClock } = await import('${DIST}base/clock.js');
const { createLog, Redactor } = await import('${DIST}base/log.js');
const clock = systemClock();
const log = createLog({ redactor: new Redactor(), level: 'warn' });
const [cert, key] = ['cert.pem', 'key.pem'].map((name) => readFileSync(process.argv[1] + '/' + name));
const pump = (socket) => {
  const more = () => { while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 1))); };
  socket.on('drain', more).on('error', () => undefined);
  more();
};
const link = { id: 'up', kind: 'fiber', cost: 'flat', interface: 'up0', dns: [] };
const upload = await new LinkSockets(link, clock, log).dial({ host: '${CITY_ADDRESS}', port: ${UPLOAD}, purpose: 'clips' });
const connections = new Connections(new FirstHops(clock, log), clock);
const server = createServer({ cert, key });
server.on('connection', (raw) => connections.opened(raw));
const watched = new Promise((resolve) => server.on('secureConnection', (socket) => (connections.secured(socket), resolve(socket))));
server.listen(${PAGE}, '0.0.0.0');
const viewer = await watched;
pump(upload);
pump(viewer);
process.stdout.write('runs\\n');
process.stdin.once('data', () => {
  upload.destroy(new Error('withdrawn'));
  connections.cut(viewer);
  process.stdout.write('withdrawn\\n');
});`;

interface Packet {
  atMs: number;
  text: string;
}

function watchWire(space: string): Packet[] {
  const packets: Packet[] = [];
  const child = inSpace(space, 'tcpdump', '-i', 'up0', '-Q', 'out', '-nn', '-tt', '-q', '-l', '--immediate-mode', '-s', '96', 'tcp'); // prettier-ignore
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const [, at, bytes] = /^(\d+\.\d+) IP .*: tcp (\d+)$/.exec(line) ?? [];
    if (at !== undefined && bytes !== '0') packets.push({ atMs: Number(at) * 1_000, text: line });
  });
  return packets;
}

const said = (child: ChildProcess, word: string): Promise<void> =>
  new Promise((resolve) => child.stdout!.on('data', (data: Buffer) => data.toString().includes(word) && resolve()));

function lose(i: number, loss: Loss): void {
  if (loss === 'no carrier') run(`ip -n ${ROUTER} link set ${port(i)} down`);
  else if (loss === 'silence') run(`ip netns exec ${ROUTER} bridge link set dev ${port(i)} state 0`);
  else run(`ip -n ${box(i)} link set up0 down`);
}

/** The link is back, and the router has something for the box at once, as one with a client behind it has. */
function restore(i: number, loss: Loss): void {
  run(`ip -n ${ROUTER} neigh flush dev ${bridge(i)}`);
  if (loss === 'no carrier') run(`ip -n ${ROUTER} link set ${port(i)} up`);
  else if (loss === 'silence') run(`ip netns exec ${ROUTER} bridge link set dev ${port(i)} state 3`);
  else {
    run(`ip -n ${box(i)} link set up0 up`);
    run(`ip -n ${box(i)} route add default via ${routerAddress(i)}`);
  }
  const knock = `for i in 1 2 3 4 5; do echo > /dev/udp/${boxAddress(i)}/9; sleep 0.05; done`;
  inSpace(ROUTER, 'bash', '-c', knock);
}

test('of what is withdrawn while the link is away nothing leaves 2 s later, however long it is away', async () => {
  makeCertificate(dir);
  const wires = CASES.map((_, i) => watchWire(box(i)));
  await said(node(CITY, CITY_SIDE, ...CASES.map((_, i) => boxAddress(i))), 'listens');
  const boxes = CASES.map((_, i) => node(box(i), BOX_SIDE, dir));
  await Promise.all(boxes.map((child) => said(child, 'runs')));
  await expect.poll(() => Math.min(...wires.map((packets) => packets.length)), { timeout: 10_000 }).toBeGreaterThan(50);
  const leadMs = Math.max(...CASES.map(({ beforeMs }) => beforeMs)) + 100;
  const atMs = Date.now() + leadMs;
  const late = CASES.map(async ({ loss, beforeMs, afterMs }, i) => {
    await sleep(atMs - beforeMs - Date.now());
    lose(i, loss);
    await sleep(atMs - Date.now());
    const withdrawn = said(boxes[i]!, 'withdrawn');
    boxes[i]!.stdin!.write('now\n');
    await withdrawn;
    const doneMs = Date.now();
    await sleep(afterMs);
    restore(i, loss);
    await sleep(Math.max(0, doneMs + ALLOWED_MS - Date.now()) + LISTEN_MS);
    const found = wires[i]!.filter((one) => one.atMs > doneMs + ALLOWED_MS);
    return found.map((one) => `${loss} ${beforeMs} before, ${afterMs} after: ${one.text}`);
  });
  expect((await Promise.all(late)).flat()).toEqual([]);
  expect(boxes.map(({ exitCode }) => exitCode)).toEqual(CASES.map(() => null));
}, 30_000);
