import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { parseCounters } from '../../src/uplinks/counters.js';
import type { LinkStatus } from '../../src/uplinks/index.js';
import type { Entry } from '../uplinks/links.js';

/** A box with two ways to the same center; its routing table knows one of them only. */
const BOX = 'bl-up-box';
const CENTER = 'bl-up-center';
const CENTER_ADDRESS = '10.93.0.1';

function ip(line: string): void {
  const result = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
}

function removeSpaces(): void {
  for (const space of [BOX, CENTER]) spawnSync('ip', ['netns', 'del', space]);
}

function routes(): void {
  for (const [dev, via, metric] of [
    ['fib0', '10.90.0.1', 100],
    ['cel0', '10.91.0.1', 200],
  ] as const) {
    spawnSync('ip', `-n ${BOX} route replace default via ${via} dev ${dev} metric ${metric}`.split(' '));
  }
}

beforeEach(() => {
  removeSpaces();
  for (const space of [BOX, CENTER]) {
    ip(`netns add ${space}`);
    ip(`-n ${space} link set lo up`);
  }
  ip(`-n ${CENTER} addr add ${CENTER_ADDRESS}/32 dev lo`);
  for (const [dev, net] of [
    ['fib0', '10.90.0'],
    ['cel0', '10.91.0'],
  ] as const) {
    ip(`-n ${BOX} link add ${dev} type veth peer name ${dev} netns ${CENTER}`);
    ip(`-n ${BOX} addr add ${net}.2/24 dev ${dev}`);
    ip(`-n ${CENTER} addr add ${net}.1/24 dev ${dev}`);
    for (const space of [BOX, CENTER]) ip(`-n ${space} link set ${dev} up`);
  }
  routes();
});

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  removeSpaces();
});

function inside(space: string, command: string[]): ChildProcess {
  // Without root: what is proved holds for the agent as it is installed.
  const args = ['netns', 'exec', space, 'setpriv', '--pdeathsig', 'KILL', '--bounding-set=-all', '--inh-caps=-all'];
  const child = spawn('ip', [...args, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

function wire(): { fib0: number; cel0: number } {
  const text = spawnSync('ip', ['netns', 'exec', BOX, 'cat', '/proc/net/dev'], { encoding: 'utf8' }).stdout;
  const counters = parseCounters(text);
  const sum = (dev: string): number => counters.get(dev)!.sent + counters.get(dev)!.received;
  return { fib0: sum('fib0'), cel0: sum('cel0') };
}

test('footage goes over the chosen link and no other, another takes over within 10 s, and the ledger is the counters', async () => {
  const sink =
    'require("net").createServer(s => { s.on("error", () => {}); s.resume(); }).listen(5900, "0.0.0.0", () => console.log("up"))';
  const center = inside(CENTER, [process.execPath, '-e', sink]);
  await new Promise((resolve) => center.stdout!.once('data', resolve));
  const box = inside(BOX, [
    process.execPath,
    '--import',
    'tsx',
    'test/system/uplinks-box.ts',
    `http://${CENTER_ADDRESS}:5900`,
  ]);
  let current: string | null = null;
  let report: { entries: Entry[]; status: LinkStatus[] } | undefined;
  createInterface({ input: box.stdout! }).on('line', (line) => {
    const word = JSON.parse(line) as { current?: string | null; entries?: Entry[]; status?: LinkStatus[] };
    if ('current' in word) current = word.current ?? null;
    if (word.entries !== undefined) report = word as typeof report;
  });
  const carried = (id: string, ms: number): Promise<true | undefined> =>
    until(() => Promise.resolve(current === id ? true : undefined), ms);
  const moved = (dev: 'fib0' | 'cel0', from: number): Promise<true | undefined> =>
    until(() => Promise.resolve(wire()[dev] > from + 500_000 ? true : undefined), 15_000);

  expect(await carried('fiber', 15_000)).toBe(true);
  const start = wire();
  expect(await moved('fib0', start.fib0)).toBe(true);
  // A measurement of the other link is a handshake.
  expect(wire().cel0 - start.cel0).toBeLessThan(5_000);

  const before = wire();
  const cut = Date.now();
  ip(`-n ${CENTER} link set fib0 down`);
  expect(await carried('lte', 10_000)).toBe(true);
  expect(Date.now() - cut).toBeLessThan(10_000);
  expect(await moved('cel0', before.cel0)).toBe(true);

  // Back: the cheaper link takes over again by itself, and the metered one is left.
  ip(`-n ${CENTER} link set fib0 up`);
  routes();
  expect(await carried('fiber', 60_000)).toBe(true);
  const back = wire();
  expect(await moved('fib0', back.fib0)).toBe(true);
  expect(wire().cel0 - back.cel0).toBeLessThan(5_000);

  // A way that leads nowhere while its cable is good: only neighbours still answer.
  const silent = Date.now();
  ip(`-n ${CENTER} route add blackhole 10.90.0.2/32`);
  expect(await carried('lte', 15_000)).toBe(true);
  expect(Date.now() - silent).toBeLessThan(10_000);

  for (const dev of ['fib0', 'cel0']) ip(`-n ${CENTER} link set ${dev} down`);
  expect(await until(() => Promise.resolve(current === null ? true : undefined), 10_000)).toBe(true);
  box.stdin!.write('report\n');
  expect(await until(() => Promise.resolve(report), 5_000)).toBeDefined();
  const end = wire();
  const ledger = (id: string): number =>
    report!.entries.filter((one) => one.uplink === id).reduce((sum, one) => sum + one.sent + one.received, 0);
  // What the interfaces moved before the agent began (neighbour discovery) is not the agent's.
  expect(Math.abs(end.cel0 - ledger('lte'))).toBeLessThan(5_000);
  expect(Math.abs(end.fib0 - ledger('fiber'))).toBeLessThan(5_000);
  expect(report!.entries.some((one) => one.uplink === 'lte' && one.class === 'clips')).toBe(true);
});
