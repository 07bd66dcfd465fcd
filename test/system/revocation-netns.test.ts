import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { must, start, until } from '../../scripts/lib/program.js';
import type { Camera } from '../../src/contract/camera.js';
import type { StatusBody } from '../../src/contract/http.js';
import { ask } from '../web/harness.js';
import { kept } from '../support/kept.js';

/** The box with one uplink, the modem behind it that is slower than the camera, and everybody else. */
const BOX = 'bl-stop-box';
const MODEM = 'bl-stop-modem';
const CITY = 'bl-stop-city';
const BOX_ADDRESS = '10.95.0.2';
const MODEM_ADDRESS = '10.95.0.1';
const CITY_ADDRESS = '10.96.0.2';
const PAGE = 8443;
const PASSWORD = 'Blue-Light-9';
const ALLOWED_MS = 2_000;

function ip(line: string): void {
  const result = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
}

function removeSpaces(): void {
  for (const space of [BOX, MODEM, CITY]) spawnSync('ip', ['netns', 'del', space]);
}

const dir = mkdtempSync(join(tmpdir(), 'bluelight-stop-'));
const children: ChildProcess[] = [];

beforeAll(() => {
  removeSpaces();
  for (const space of [BOX, MODEM, CITY]) {
    ip(`netns add ${space}`);
    ip(`-n ${space} link set lo up`);
  }
  ip(`-n ${BOX} link add up0 type veth peer name box0 netns ${MODEM}`);
  ip(`-n ${CITY} link add net0 type veth peer name net0 netns ${MODEM}`);
  for (const [space, dev, address] of [
    [BOX, 'up0', BOX_ADDRESS],
    [MODEM, 'box0', MODEM_ADDRESS],
    [MODEM, 'net0', '10.96.0.1'],
    [CITY, 'net0', CITY_ADDRESS],
  ] as const) {
    ip(`-n ${space} addr add ${address}/24 dev ${dev}`);
    ip(`-n ${space} link set ${dev} up`);
  }
  ip(`-n ${BOX} route add default via ${MODEM_ADDRESS}`);
  ip(`-n ${CITY} route add default via 10.96.0.1`);
  ip(`netns exec ${MODEM} sysctl -q -w net.ipv4.ip_forward=1`);
  ip(`netns exec ${MODEM} tc qdisc add dev net0 root tbf rate 1500kbit burst 16kb latency 300ms`);
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  removeSpaces();
  rmSync(dir, { recursive: true, force: true });
});

interface Packet {
  atMs: number;
  bytes: number;
  to: 'center' | 'viewer';
}

/** What tcpdump sees leave by the uplink to the upload server and from the page; the broker is never given media. */
function watchWire(uploadPort: number): Packet[] {
  const packets: Packet[] = [];
  const filter = `tcp and (dst port ${uploadPort} or src port ${PAGE})`;
  const args = ['-i', 'up0', '-Q', 'out', '-nn', '-tt', '-q', '-l', '--immediate-mode', '-s', '96', filter];
  const child = spawn('ip', ['netns', 'exec', BOX, 'tcpdump', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, at, bytes] = /^(\d+\.\d+) IP .*: tcp (\d+)$/.exec(line) ?? [];
    if (at === undefined || bytes === '0') return;
    const to = line.includes(`${BOX_ADDRESS}.${PAGE} >`) ? 'viewer' : 'center';
    packets.push({ atMs: Number(at) * 1000, bytes: Number(bytes), to });
  });
  return packets;
}

/** For the message of a failure. */
const late = (packets: Packet[], fromMs: number): string =>
  packets
    .filter((one) => one.atMs > fromMs)
    .map(({ atMs, bytes, to }) => `${bytes} to the ${to} after ${(atMs - fromMs).toFixed()} ms`)
    .join(', ');

const sum = (packets: Packet[], fromMs: number, to?: Packet['to']): number =>
  packets.filter((one) => one.atMs > fromMs && (to ?? one.to) === one.to).reduce((all, one) => all + one.bytes, 0);

/** A viewer far away: logs in and watches live over a WebSocket, as fast as the link brings it. */
const VIEWER = `
const [base, code] = process.argv.slice(1);
const plain = { rejectUnauthorized: false };
const login = { ...plain, method: 'POST', agent: false, headers: { 'content-type': 'application/json' } };
const asked = require('https').request('https://' + base + '/api/v1/login', login, async (answer) => {
  const { token } = JSON.parse(Buffer.concat(await answer.toArray()).toString());
  const headers = { authorization: 'Bearer ' + token };
  const live = new (require('ws'))('wss://' + base + '/api/v1/live?camera=cam-1&role=main', { ...plain, headers });
  live.on('message', () => undefined).on('error', () => undefined).on('close', () => process.exit(0));
});
asked.end(JSON.stringify({ code, as: 'token' }));`;

test(
  'after a pause no byte of footage leaves by the uplink, uploads and live included, also when it was down meanwhile',
  { timeout: 200_000 },
  async () => {
    const claim = join(dir, 'claim.json');
    const config = join(dir, 'bluelight.toml');
    const policy = join(dir, 'policy.json');
    writeFileSync(
      config,
      `state_dir = ${JSON.stringify(join(dir, 'state'))}
[recording]
dir = ${JSON.stringify(join(dir, 'ring'))}
create = true
quota = "1GB"
[cameras]
allow_loopback = true
interfaces = ["lo"]
[policy]
file = ${JSON.stringify(policy)}
[web]
host = "0.0.0.0"
port = ${PAGE}
`,
    );
    const inCity = { namespace: CITY };
    const center = start<{ console: string; upload: string }>(
      ['sim', 'center', '--dir', join(dir, 'center'), '--host', CITY_ADDRESS, '--claim', `jx-int-0042/box-1=${claim}`],
      inCity,
    );
    const cache = kept('bluelight-test-footage');
    const cameras = start(
      ['sim', 'camera', '--one-scene', '--loop', '20', '--activity', '0.5', '--cache', cache, '--password-stdin'],
      { namespace: BOX, input: PASSWORD },
    );
    await Promise.all([center.ready, cameras.ready]);
    const agent = start<{ socket: string; loginCode: string }>(['run', '--config', config], { namespace: BOX });
    const { socket, loginCode } = await agent.ready;
    const cli = <T>(args: string[], input?: string): Promise<T> => must<T>(['--config', config, ...args], { input });
    const socketPath = socket;
    const pause = async (): Promise<number> => {
      const atMs = Date.now();
      const answer = await ask({ socketPath }, 'POST', '/api/v1/pause', {
        body: { until: null, reason: 'private party' },
      });
      expect(answer.status, answer.bytes.toString()).toBeLessThan(300);
      return atMs;
    };
    const watch = (): void => {
      const args = ['netns', 'exec', CITY, process.execPath, '-e', VIEWER, `${BOX_ADDRESS}:${PAGE}`, loginCode];
      children.push(spawn('ip', args, { stdio: 'inherit' }));
    };
    try {
      await cli(['claim', '--file', claim]);
      await cli<{ cameras: Camera[] }>(['camera', 'add', '127.0.0.11', '--username', 'admin'], PASSWORD);
      const terms = { camera: 'cam-1', mode: 'live', stills: true };
      writeFileSync(policy, JSON.stringify({ version: 1, authority: 'city', timeZone: 'UTC', cameras: [terms] }));
      const recorded = await until(async () => {
        const { streams, center: link } = await cli<StatusBody>(['status']);
        const main = streams.find((one) => one.role === 'main');
        return main !== undefined && main.ageMs !== null && link.state === 'acknowledged' ? true : undefined;
      }, 40_000);
      expect(recorded, agent.log()).toBe(true);
      const { console: city, upload } = await center.ready;
      const packets = watchWire(Number(new URL(upload).port));
      // Of before the first pause: what is recorded in a pause stays withheld after it.
      const now = Date.now();
      const range = { from: new Date(now - 12_000).toISOString(), to: new Date(now - 1_000).toISOString() };
      const request = (): void => {
        const args = { cameras: ['cam-1'], ...range, renditions: ['original'] };
        const who = { operator: 'op-1', agency: 'rtcc', reason: 'a robbery at the corner' };
        const body = JSON.stringify({ site: 'jx-int-0042', box: 'box-1', name: 'clip.request', args, ...who });
        const post = ['-sS', '-f', '-H', 'content-type: application/json', '-d', body, `${city}api/requests`];
        const sent = spawnSync('ip', ['netns', 'exec', CITY, 'curl', ...post], { encoding: 'utf8' });
        if (sent.status !== 0) throw new Error(sent.stderr);
      };
      /** Both doors are busy: the upload has much left to send, and the viewer's buffers are full. */
      const bothRun = async (): Promise<void> => {
        const fromMs = Date.now();
        watch();
        request();
        const busy = (): boolean =>
          sum(packets, fromMs, 'viewer') > 150_000 && sum(packets, fromMs, 'center') > 100_000;
        const both = await until(async () => (busy() ? true : undefined), 30_000);
        const seen = [sum(packets, fromMs, 'viewer'), sum(packets, fromMs, 'center')].join(' and ');
        const audit = (await cli<object[]>(['audit', 'show', '--limit', '12'])).map((row) => JSON.stringify(row));
        expect(both, `${seen} bytes\n${audit.join('\n')}\n${agent.log()}`).toBe(true);
      };

      await bothRun();
      const first = await pause();
      await new Promise((resolve) => setTimeout(resolve, ALLOWED_MS + 2_500));
      expect(sum(packets, first - 1_000, 'viewer'), 'the viewer watched until the pause').toBeGreaterThan(0);
      expect(sum(packets, first + ALLOWED_MS), `uplink present: ${late(packets, first + ALLOWED_MS)}`).toBe(0);

      await cli(['resume']);
      await bothRun();
      ip(`-n ${MODEM} link set box0 down`);
      const second = await pause();
      // Back while the kernel still asks for the address of the modem, which would let go what waits for it.
      await new Promise((resolve) => setTimeout(resolve, ALLOWED_MS + 200));
      ip(`-n ${MODEM} link set box0 up`);
      spawnSync('ip', `-n ${BOX} route replace default via ${MODEM_ADDRESS}`.split(' '));
      // Until the box is heard again, its kernel has had every chance to send what it kept.
      const back = await until(async () => {
        const { center: link } = await cli<StatusBody>(['status']);
        return link.state === 'acknowledged' && Date.now() > second + 10_000 ? true : undefined;
      }, 40_000);
      expect(back, agent.log()).toBe(true);
      expect(sum(packets, second + ALLOWED_MS), `uplink absent: ${late(packets, second + ALLOWED_MS)}`).toBe(0);
      const { streams } = await cli<StatusBody>(['status']);
      expect(
        streams.every((one) => one.state === 'recording' && one.ageMs! < 3_000),
        'it records on',
      ).toBe(true);
    } finally {
      await agent.stop();
      await Promise.all([cameras.stop(), center.stop()]);
    }
  },
);
