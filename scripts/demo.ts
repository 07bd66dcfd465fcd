import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Discovered } from '../src/contract/camera.js';
import type { Clip } from '../src/contract/clip.js';
import type { ConsoleState } from '../src/sim/center/console-state.js';
import { until } from './lib/program.js';
import { Site } from './lib/site.js';

const CAMERAS = 4;
const { values } = parseArgs({ options: { for: { type: 'string' }, port: { type: 'string', default: '8443' } } });
const seconds = values.for === undefined ? undefined : Number(values.for);
if (seconds !== undefined && !(seconds >= 30)) {
  console.error('usage: scripts/demo [--for SECONDS, at least 30] [--port PORT of the page, 8443]');
  process.exit(2);
}

interface Row {
  what: string;
  measured: string;
  held: boolean;
}
const rows: Row[] = [];
const note = (what: string, measured: string, held: boolean): void => void rows.push({ what, measured, held });

const dir = fileURLToPath(new URL('../.demo', import.meta.url));
for (const part of ['state', 'ring', 'center', 'policy.json'])
  rmSync(`${dir}/${part}`, { recursive: true, force: true });
const site = new Site({ dir, cameras: CAMERAS, webPort: Number(values.port), centerArgs: ['--port', '9443'] });

let ended = false;
const end = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
});
try {
  await run();
} catch (error) {
  console.error(String(error));
  if (/EADDRINUSE/.test(String(error)))
    console.error(
      '  another program listens there; is another demo running? --port gives the page of the box another port',
    );
  console.error((site.agent as typeof site.agent | undefined)?.log().split('\n').slice(-15).join('\n') ?? '');
  process.exitCode = 1;
} finally {
  ended = true;
  await site.close();
}
process.exit(process.exitCode ?? (rows.every((row) => row.held) ? 0 : 1));

async function run(): Promise<void> {
  console.log('demo: a center, four cameras at an intersection (drawn and encoded at the first start), one agent');
  const [center, { cameras }] = await Promise.all([site.startCenter(), site.startCameras()]);
  site.writeConfig();
  const agent = await site.startAgent();
  const started = Date.now();
  await site.claim();

  const searched = Date.now();
  // Other virtual cameras on this machine answer too; their passwords are not known here.
  const mine = new Set(cameras.map((camera) => camera.endpointReference));
  const found = (await site.cli<Discovered[]>(['discover'])).filter((one) => mine.has(one.endpointReference));
  const took = (Date.now() - searched) / 1000;
  note('cameras found in <= 10 s', `${found.length} in ${took.toFixed(1)} s`, found.length === CAMERAS && took <= 10);

  const byAddress = [...found].sort((a, b) => a.address.localeCompare(b.address, 'en', { numeric: true }));
  const adopted = [];
  for (const [i, device] of byAddress.entries()) {
    adopted.push(...(await site.adopt(device.xaddrs[0] ?? device.address, `JX-INT-0042-${i + 1}`)));
  }
  // The one thing that lets anything leave the box.
  site.grant(adopted.map((camera) => camera.id));

  console.log(`\n  page of the box        ${agent.page}`);
  if (agent.loginCode !== undefined) console.log(`  login code             ${agent.loginCode}`);
  console.log(`  console of the center  ${center.console}\n`);
  if (seconds === undefined) return end;

  const status = await site.recording(2 * CAMERAS, 30_000);
  note(
    'streams recording (main and sub of each)',
    String(status?.streams.length ?? 0),
    status?.streams.length === 2 * CAMERAS,
  );
  const left = seconds * 1000 - (Date.now() - started);
  const complete = await until(
    async () => (Date.now() - started >= seconds * 1000 || ended ? true : undefined),
    left + 1_000,
  );
  if (complete === undefined) return;
  await measure(center.console);
  print();
}

/** Everything is asked of the center and of the box as any program could, after the fact. */
async function measure(consoleUrl: string): Promise<void> {
  const after = await site.recording(2 * CAMERAS, 5_000);
  note('streams still recording at the end', `${after?.streams.length ?? 0}`, after !== undefined);
  const state = await consoleState(consoleUrl);
  const box = state.boxes.find((one) => one.box === 'box-1');
  const age = box?.heartbeatAgeMs ?? null;
  note(
    'heartbeat at the center',
    age === null ? 'none' : `${(age / 1000).toFixed(1)} s ago`,
    age !== null && age < 15_000,
  );
  const motion = new Set(state.events.filter((e) => e.type.startsWith('bluelight.motion')).map((e) => e.motionEvent));
  note('motion events at the center', String(motion.size), motion.size > 0);
  note('events taken twice', String(state.duplicates), true);
  await measureClips(consoleUrl);
}

async function measureClips(consoleUrl: string): Promise<void> {
  // A clip that is on its way when time is up may still arrive.
  const arrived = await until(async () => {
    const clips = (await consoleState(consoleUrl)).clips.filter((clip) => clip.state === 'delivered');
    return clips.length > 0 ? clips : undefined;
  }, 30_000);
  const own = new Map((await site.cli<Clip[]>(['clip', 'list'])).map((clip) => [clip.id, clip]));
  let equal = 0;
  for (const clip of arrived ?? []) {
    const file = await fetch(new URL(`/clips/${clip.clip}/video.mp4`, consoleUrl));
    const sha256 = createHash('sha256')
      .update(new Uint8Array(await file.arrayBuffer()))
      .digest('hex');
    if (sha256 === clip.sha256 && sha256 === own.get(clip.clip)?.sha256) equal++;
  }
  const count = arrived?.length ?? 0;
  note('clips delivered, SHA-256 equal at both ends', `${equal} of ${count}`, count > 0 && equal === count);
}

async function consoleState(consoleUrl: string): Promise<ConsoleState> {
  return (await (await fetch(new URL('/api/state', consoleUrl))).json()) as ConsoleState;
}

function print(): void {
  const width = Math.max(...rows.map((row) => row.what.length));
  for (const row of rows) console.log(`${row.held ? 'ok  ' : 'FAIL'}  ${row.what.padEnd(width)}  ${row.measured}`);
}
