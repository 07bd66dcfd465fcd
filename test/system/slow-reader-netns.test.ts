import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toUtc } from '../../src/contract/primitives.js';
import { FakeBox } from '../web/fake-box.js';
import { bearer, startWeb, type Running } from '../web/harness.js';
import { makeLoop } from '../web/media.js';

/** A viewer at the other end of a cable, who is no program of the box. */
const SPACE = 'bl-slow-viewer';
const CABLE = 'bl-slow';
const BOX_ADDRESS = '10.97.0.1';
const VIEWER_ADDRESS = '10.97.0.2';
const ALLOWED_MS = 2_000;
const LISTEN_MS = 3_000;

function run(line: string): void {
  const [program = '', ...args] = line.split(' ');
  const result = spawnSync(program, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${line}: ${result.stderr}`);
}

const now = Date.now();
const span = { fromMs: now - 600_000, toMs: now - 300_000 };
const children: ChildProcess[] = [];
let box: FakeBox;
let server: Running;

beforeAll(async () => {
  spawnSync('ip', ['netns', 'del', SPACE]);
  run(`ip netns add ${SPACE}`);
  run(`ip link add ${CABLE} type veth peer name eth0 netns ${SPACE}`);
  run(`ip addr add ${BOX_ADDRESS}/24 dev ${CABLE}`);
  run(`ip -n ${SPACE} addr add ${VIEWER_ADDRESS}/24 dev eth0`);
  run(`ip link set ${CABLE} up`);
  run(`ip -n ${SPACE} link set eth0 up`);
  // So that what he has not read stays with the box.
  run(`ip netns exec ${SPACE} sysctl -q -w net.ipv4.tcp_moderate_rcvbuf=0`);
  const loop = makeLoop({ width: 320, height: 180, seconds: 5 });
  const camera = { id: 'front', name: 'front', main: loop, sub: loop, motion: [], online: true };
  box = new FakeBox([{ ...camera, spans: [span], gapReason: 'camera_offline' }]);
  server = await startWeb(box, { host: '0.0.0.0' });
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  box.stop();
  await server.stop();
  spawnSync('ip', ['netns', 'del', SPACE]);
});

interface Packet {
  atMs: number;
  /** Port of the viewer. */
  to: string;
}

/** What tcpdump sees leave the page for the viewer. */
function watchWire(): Packet[] {
  const packets: Packet[] = [];
  const filter = `tcp and src port ${server.port}`;
  const args = ['-i', CABLE, '-Q', 'out', '-nn', '-tt', '-q', '-l', '--immediate-mode', '-s', '96', filter];
  const child = spawn('tcpdump', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, at, to, bytes] = /^(\d+\.\d+) IP .* > [\d.]+\.(\d+): tcp (\d+)$/.exec(line) ?? [];
    if (at !== undefined && to !== undefined && bytes !== '0') packets.push({ atMs: Number(at) * 1_000, to });
  });
  return packets;
}

/** Of each connection to the viewer, by his port, what the kernel has taken from us and he has not taken from it. */
function waiting(): Map<string, number> {
  const filter = `( sport = :${server.port} and dst ${VIEWER_ADDRESS} )`;
  const { stdout } = spawnSync('ss', ['-Htn', filter], { encoding: 'utf8' });
  const rows = stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.trim().split(/\s+/)]));
  return new Map(rows.map((row) => [row[4]!, Number(row[2])]));
}

/** The kernel has all that is left for every connection: it takes nothing more from us, and would have room for it. */
async function untilWritten(connections: number): Promise<void> {
  let before = '';
  const isWritten = (): boolean => {
    const now = waiting();
    const same = [...now].join() === before;
    before = [...now].join();
    return same && now.size === connections && [...now.values()].every((bytes) => bytes > 100_000 && bytes < 600_000);
  };
  await expect.poll(isWritten, { timeout: 15_000, interval: 700 }).toBe(true);
}

test('a download whose last bytes are with the kernel already is cut when it is withdrawn', async () => {
  const token = (await bearer(server.port, box.code))['authorization']!;
  const packets = watchWire();
  const range = `camera=front&from=${toUtc(span.fromMs)}&to=${toUtc(span.fromMs + 20_000)}`;
  const get = (path: string, ...more: string[]): void => {
    const url = `https://${BOX_ADDRESS}:${server.port}/api/v1/${path}?${range}`;
    const slow = ['-skN', '--limit-rate', '20k', '-o', '/dev/null', '-H', `authorization: ${token}`];
    children.push(spawn('ip', ['netns', 'exec', SPACE, 'curl', ...slow, ...more, url], { stdio: 'ignore' }));
  };
  get('export.mp4');
  get('export.mp4', '-H', 'connection: close');
  get('playback.mp4', '-H', 'range: bytes=0-900000');
  get('playback');
  const downloads = 4;
  await untilWritten(downloads);
  expect(box.ends).toEqual([]);
  const atMs = Date.now();
  for (const { abort } of box.given) abort.abort();
  await new Promise((resolve) => setTimeout(resolve, ALLOWED_MS + LISTEN_MS));
  expect(new Set(packets.filter((one) => one.atMs < atMs).map(({ to }) => to)).size).toBe(downloads);
  expect(packets.filter((one) => one.atMs > atMs + ALLOWED_MS)).toEqual([]);
  expect([...waiting()]).toEqual([]);
  expect(box.ends.map(({ outcome }) => outcome)).toEqual(Array(downloads).fill('failed'));
}, 40_000);
