import { generateKeyPairSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { FakeClock } from '../../src/base/fake-clock.js';
import { ulid } from '../../src/base/ids.js';
import { silentLog } from '../../src/base/log.js';
import {
  COMMANDS,
  COMMAND_TYPE,
  OPERATORS_TYPE,
  type CommandName,
  type JobMessage,
} from '../../src/contract/commands.js';
import { Asks } from '../../src/policy/asks.js';
import { CommandDesk, type Handlers } from '../../src/policy/command-desk.js';
import { Gate } from '../../src/policy/gate.js';
import { signJws } from '../../src/proof/jws.js';
import { signerFromKey, type Signer } from '../../src/proof/keys.js';
import { localStore } from '../../src/store/local.js';
import { StateDb } from '../../src/store/state-db.js';
import { seeded, type Random } from '../lib/random.js';
import { diskDir, memoryDir } from '../lib/scratch.js';
import type { CampaignOptions } from './main.js';

const START = Date.parse('2026-06-03T15:00:00Z');
const SITE = { site: 'store-7', box: 'box-1' };
const iso = (ms: number): string => new Date(ms).toISOString();
const newSigner = (): Signer => signerFromKey(generateKeyPairSync('ed25519').privateKey);

/** Terms that allow one camera to one operator: whatever else has an effect is unauthorised. */
const TERMS = JSON.stringify({
  version: 1,
  authority: 'owner',
  timeZone: 'UTC',
  cameras: [
    { camera: 'gate', mode: 'clips' },
    { camera: 'yard', mode: 'registry' },
  ],
});

interface Sent {
  text: string;
  jobId: string;
  issuedMs: number;
  expiresMs: number;
}

/**
 * A message and what must come of it: `done` exactly once however often it comes, with the same answer each time;
 * `refused` at the door, with this code to the center (null: it is not even answered) and no job; `denied` by the terms.
 */
type Shot = { text: string; how: string } & (
  | { must: 'done'; jobId: string }
  | { must: 'refused'; code: string | null; jobId: string | null }
  | { must: 'denied'; jobId: string }
);

interface Site {
  db: StateDb;
  desk: CommandDesk;
  /** What the center was told since somebody looked. */
  told: JobMessage[];
  /** @param during messages that come while it stops */
  stop(during?: readonly string[]): Promise<void>;
}

/** What lasts over the restarts of a site. */
interface World {
  dir: string;
  center: Signer;
  clock: FakeClock;
  random: Random;
  /** What was really done: job id to how often. */
  effects: Map<string, number>;
  /** Cameras that were opened. */
  opened: Set<string>;
  good: Sent[];
  /** Jobs that had to be done. */
  due: Set<string>;
  tally: { good: number; repeated: number; refused: number; denied: number; crashes: number; restarts: number };
  wrong: string[];
  rows: number;
}

/** Files of 100,000 commands. */
const STATE_BYTES = 256 * 1024 * 1024;
/** Of each hundred this many on the disk, where each command waits for it several times. */
const DISK_PERCENT = 2;
const RESTARTS = 5;

/** Hostile, broken, repeated, interrupted and good commands on the real desk, gate and database, over restarts. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const n = options.n ?? (options.short ? 4_000 : 100_000);
  const memory = memoryDir('bluelight-prove-', STATE_BYTES);
  const disk = diskDir('bluelight-prove-');
  const onDisk = memory === undefined ? n : Math.ceil((n * DISK_PERCENT) / 100);
  console.log(`${onDisk} commands with the database in ${disk}${memory === undefined ? '' : `, ${n - onDisk} in ${memory}`}`); // prettier-ignore
  try {
    const arms = [await arm(disk, onDisk, options.seed)];
    if (memory !== undefined) arms.push(await arm(memory, n - onDisk, options.seed + 1));
    const sum = (of: (one: World) => number): number => arms.reduce((total, one) => total + of(one), 0);
    const wrong = arms.flatMap((one) => one.wrong);
    for (const line of wrong.slice(0, 10)) console.log(`WRONG: ${line}`);
    if (wrong.length > 0) console.log(`repeat: scripts/prove commands --n ${n} --seed ${options.seed}`);
    const summary =
      `${n} commands over ${sum((one) => one.tally.restarts)} restarts: ${sum((one) => one.tally.good)} good ones done once each, ` +
      `${sum((one) => one.tally.repeated)} repeated with the same answer, ${sum((one) => one.tally.refused)} refused, ` +
      `${sum((one) => one.tally.denied)} denied by the terms; ${wrong.length} unauthorised, missing or double effects or answers, ` +
      `${sum((one) => one.tally.crashes)} crashes, ${sum((one) => one.rows)} audit rows`;
    return { ok: wrong.length === 0, summary };
  } finally {
    for (const dir of [disk, memory]) if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  }
}

async function arm(dir: string, n: number, seed: number): Promise<World> {
  const world: World = {
    ...{ dir, center: newSigner(), clock: new FakeClock(START), random: seeded(seed) },
    ...{ effects: new Map(), opened: new Set(), good: [], due: new Set(), wrong: [], rows: 0 },
    tally: { good: 0, repeated: 0, refused: 0, denied: 0, crashes: 0, restarts: 0 },
  };
  let site = await start(world);
  try {
    const every = Math.ceil(n / RESTARTS);
    for (let sent = 1; sent <= n; sent++) {
      await shoot(world, site, nextShot(world));
      if (sent % 50 === 0) await world.clock.advance(1_000);
      if (sent % every === 0) site = await restart(world, site);
    }
    for (const jobId of world.due) {
      const times = world.effects.get(jobId) ?? 0;
      if (times !== 1) world.wrong.push(`job ${jobId} was done ${times} times`);
    }
    for (const camera of world.opened)
      if (camera !== 'gate') world.wrong.push(`the terms do not share ${camera}, and it was opened`);
    const chain = site.db.tables.audit.verify(null);
    if (chain.fault !== null) world.wrong.push(`audit log: ${chain.fault.why}`);
    world.rows = site.db.tables.audit.head().seq;
    return world;
  } finally {
    await site.stop();
  }
}

/** One message, sometimes twice at once, held against what must come of it. */
async function shoot(world: World, site: Site, shot: Shot): Promise<void> {
  const { effects, due, tally, wrong, random } = world;
  const { jobs, audit } = site.db.tables;
  const repeated = shot.must === 'done' && due.has(shot.jobId);
  const known = shot.must === 'refused' && shot.jobId !== null && jobs.get(shot.jobId) !== null;
  const before = { effects: total(effects), rows: audit.head().seq };
  const copies = shot.must === 'done' && random.chance(0.1) ? 2 : 1;
  site.told.length = 0;
  try {
    await Promise.all(Array.from({ length: copies }, () => site.desk.take(shot.text)));
  } catch (error) {
    tally.crashes++;
    wrong.push(`crash: ${shot.how}: ${String(error)}`);
  }
  const complain = (what: string): void => void wrong.push(`${shot.how}: ${what}`);
  const effect = total(effects) - before.effects;
  const wanted = shot.must === 'done' && !repeated ? 1 : 0;
  if (effect !== wanted) complain(`${effect} effects instead of ${wanted}`);
  const answers = site.told.map(({ state, error }) => (state === 'REJECTED' ? (error?.code ?? '') : state));
  if (shot.must === 'done') {
    tally[repeated ? 'repeated' : 'good']++;
    due.add(shot.jobId);
    if (answers.filter((one) => one === 'SUCCEEDED').length < 1) complain(`answered ${answers.join(', ')}`);
    if (repeated && answers.length !== copies) complain(`${answers.length} answers to ${copies}`);
    if (repeated && audit.head().seq !== before.rows) complain('the log says that it was done again');
  } else if (shot.must === 'denied') {
    tally.denied++;
    if (jobs.get(shot.jobId)?.state !== 'REJECTED') complain(`the job is ${jobs.get(shot.jobId)?.state ?? 'unknown'}`);
  } else {
    tally.refused++;
    const told = answers.join(', ');
    if (told !== (shot.code ?? '')) complain(`answered "${told}" instead of "${shot.code ?? ''}"`);
    if (!known && shot.jobId !== null && jobs.get(shot.jobId) !== null) complain('it became a job');
  }
}

/** While the site stops two commands come: one is still good when it is back and done then, the other is not. */
async function restart(world: World, site: Site): Promise<Site> {
  const { clock, center, random, due, effects, tally, wrong } = world;
  const now = clock.now();
  const living = (lifeMs: number): ReturnType<typeof goodCommand> => {
    return { ...goodCommand(random, now), expiresAt: iso(now + lifeMs) };
  };
  const lasts = living(3_600_000);
  const ends = living(60_000);
  tally.restarts++;
  await site.stop([lasts, ends].map((command) => signJws(COMMAND_TYPE, command, center)));
  await clock.advance(120_000);
  const next = await start(world);
  due.add(lasts.jobId);
  tally.good++;
  const state = next.db.tables.jobs.get(ends.jobId)?.state;
  if (effects.has(ends.jobId) || state !== 'TIMED_OUT')
    wrong.push(`a command that ran out while the box was off is ${state ?? 'unknown'}`);
  return next;
}

function total(effects: Map<string, number>): number {
  let sum = 0;
  for (const times of effects.values()) sum += times;
  return sum;
}

async function start({ dir, center, clock, effects, opened }: World): Promise<Site> {
  const db = new StateDb({ path: join(dir, 'state.db') });
  const tables = localStore(db);
  const ports = { tables, readPolicyFile: async () => TERMS, clockTrusted: () => true, clock, log: silentLog };
  const gate = await Gate.open(ports);
  const told: JobMessage[] = [];
  const count = async (call: { job: { id: string }; grants?: readonly { camera: string }[] }): Promise<object> => {
    effects.set(call.job.id, (effects.get(call.job.id) ?? 0) + 1);
    for (const { camera } of call.grants ?? []) opened.add(camera);
    return {};
  };
  const handlers = Object.fromEntries(Object.keys(COMMANDS).map((name) => [name, count])) as unknown as Handlers;
  const asks: Asks = new Asks({ tables, gate, clock, onAnswer: (approval) => desk.answered(approval) });
  const desk = new CommandDesk({
    tables,
    gate,
    asks,
    clock,
    log: silentLog,
    bound: () => ({ ...SITE, centerKeys: [center.keyId] }),
    handlers,
    publish: (message) => void told.push(message),
  });
  const operators = [{ operator: 'jdoe', agency: 'JPD', name: 'J. Doe', role: 'detective' }];
  await desk.takeOperators(signJws(OPERATORS_TYPE, { schema: 1, ...SITE, version: 1, operators }, center));
  await desk.resume();
  const stop = async (during: readonly string[] = []): Promise<void> => {
    asks.close();
    const late = during.map((text) => desk.take(text));
    await Promise.all([desk.close(), ...late]);
    gate.close();
    db.close();
  };
  return { db, desk, told, stop };
}

function nextShot({ random, center, clock, good }: World): Shot {
  const now = clock.now();
  const old = good.length > 0 ? random.pick(good) : null;
  if (random.chance(0.02) || old === null) {
    const payload = goodCommand(random, now);
    const text = signJws(COMMAND_TYPE, payload, center);
    good.push({ text, jobId: payload.jobId, issuedMs: now, expiresMs: Date.parse(payload.expiresAt) });
    return { text, jobId: payload.jobId, must: 'done', how: 'good' };
  }
  if (random.chance(0.03)) {
    const { text, jobId } = old;
    return old.expiresMs > now
      ? { text, jobId, must: 'done', how: 'repeated' }
      : { text, jobId, must: 'refused', code: 'EXPIRED', how: 'replayed late' };
  }
  const unheard = (text: string, how: string): Shot => ({ text, jobId: null, must: 'refused', code: null, how });
  switch (random.below(6)) {
    case 0:
      return unheard(damaged(random, old.text), 'damaged');
    case 1:
      return unheard(signJws(COMMAND_TYPE, goodCommand(random, now), newSigner()), 'signed by another key');
    case 2:
      return unheard(
        signJws(random.pick(['', 'JWT', OPERATORS_TYPE, 'bluelight-ack+jws']), goodCommand(random, now), center),
        'another purpose',
      );
    case 3:
      return unheard(headerTrick(random, old.text), 'header changed');
    case 4:
      return unheard(garbage(random), 'garbage');
    default: {
      const { command, code } = spoiled(random, now, old);
      const jobId = typeof command.jobId === 'string' ? command.jobId : null;
      const text = signJws(COMMAND_TYPE, command, center);
      const how = `signed by the center, but ${code ?? 'malformed'}`;
      if (code === 'DENIED') return { text, jobId: jobId!, must: 'denied', how };
      return { text, jobId, must: 'refused', code, how };
    }
  }
}

function goodCommand(random: Random, now: number) {
  const range = { from: iso(now - 60_000), to: iso(now - 30_000) };
  const name: CommandName = random.pick(['clip.request', 'coverage.get', 'camera.rescan', 'diag.run', 'rebirth']);
  const args: Record<string, unknown> =
    name === 'clip.request'
      ? { ...range, cameras: random.chance(0.5) ? ['gate'] : ['gate', 'yard'], renditions: ['proxy'] }
      : name === 'coverage.get'
        ? { ...range, cameras: ['gate'] }
        : {};
  return {
    schema: 1,
    ...SITE,
    jobId: ulid(now),
    name: name as string,
    args: args as unknown,
    by: { agency: 'JPD', operator: 'jdoe', role: 'detective' },
    reason: 'robbery at the store',
    case: 'C-17',
    priority: 'routine',
    issuedAt: iso(now),
    expiresAt: iso(now + 1_000 + random.below(3_600_000)),
  };
}

/** Bits flipped, bytes cut, put in, doubled. */
function damaged(random: Random, text: string): string {
  const at = random.below(text.length);
  switch (random.below(4)) {
    case 0: {
      const other = String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(7)));
      return text.slice(0, at) + other + text.slice(at + 1);
    }
    case 1:
      return text.slice(0, at);
    case 2:
      return text.slice(0, at) + random.pick(['A', '.', '=', '\n', '\u0000', 'é', '\ud800']) + text.slice(at);
    default:
      return text + random.pick(['.', text, 'A', ' ']);
  }
}

function headerTrick(random: Random, text: string): string {
  const [, payload, signature] = text.split('.') as [string, string, string];
  const header = random.pick([
    { alg: 'none' },
    { alg: 'HS256', typ: COMMAND_TYPE },
    { alg: 'EdDSA', typ: COMMAND_TYPE, jwk: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) } },
    { alg: 'EdDSA', typ: COMMAND_TYPE, crit: ['b64'], b64: false },
    { alg: 'EdDSA', typ: COMMAND_TYPE, kid: '../../etc/passwd' },
    {},
  ]);
  return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${random.pick([signature, '', 'AAAA'])}`;
}

function garbage(random: Random): string {
  const size = random.pick([0, 1, 10, 1_000, 100_000]);
  return random.pick([
    () => Buffer.from(Array.from({ length: Math.min(size, 1_000) }, () => random.below(256))).toString('latin1'),
    () => '{'.repeat(size),
    () => `${Buffer.from('['.repeat(size)).toString('base64url')}.e30.AA`,
    () => '.'.repeat(size),
    () => JSON.stringify({ cmd: 'live.start', __proto__: { admin: true } }),
    () => 'A'.repeat(300_000),
  ])();
}

/**
 * A good command with one thing wrong, under a new job id: only the checks behind the signature stand against it. `code`
 * is what the center is told: null, if it cannot be read and so not be answered; DENIED, if it is a job that the terms
 * do not allow.
 */
function spoiled(
  random: Random,
  now: number,
  old: Sent,
): { command: Record<string, unknown> & { jobId?: unknown }; code: string | null } {
  const base: Record<string, unknown> & { by: object } = goodCommand(random, now);
  const args = { from: iso(now - 60_000), to: iso(now - 30_000), cameras: ['gate'], renditions: ['proxy'] };
  const clip = { ...base, name: 'clip.request' };
  const [command, code] = random.pick<() => [Record<string, unknown>, string | null]>([
    () => [{ ...base, box: 'box-2' }, 'WRONG_BOX'],
    () => [{ ...base, site: 'store-8' }, 'WRONG_BOX'],
    () => [{ ...base, issuedAt: iso(now - 7_200_000), expiresAt: iso(now - random.below(3_600_000)) }, 'EXPIRED'],
    () => [{ ...base, issuedAt: iso(now + 600_000), expiresAt: iso(now + 700_000) }, 'EXPIRED'],
    () => [{ ...base, expiresAt: iso(now + 30 * 86_400_000) }, 'EXPIRED'],
    () => [{ ...base, issuedAt: '9999-99-99T99:99:99.999Z' }, 'EXPIRED'],
    () => [{ ...base, by: { ...base.by, operator: 'ghost' } }, 'UNKNOWN_OPERATOR'],
    () => [{ ...base, by: { ...base.by, agency: 'FBI' } }, 'UNKNOWN_OPERATOR'],
    () => [{ ...base, by: { ...base.by, role: 'chief' } }, 'UNKNOWN_OPERATOR'],
    () => [{ ...base, by: null }, null],
    () => [{ ...base, reason: '' }, null],
    () => [{ ...base, reason: 'x'.repeat(10_000) }, null],
    () => [{ ...base, schema: random.pick([0, 2, '1', null]) }, null],
    () => [{ ...base, name: random.pick(['constructor', '__proto__', 'toString', 'agent.format']) }, 'UNSUPPORTED'],
    () => [{ ...base, name: '' }, 'UNSUPPORTED'],
    () => [{ ...base, name: 'a'.repeat(5_000) }, null],
    () => [{ ...base, extra: true }, null],
    () => [{ ...base, jobId: old.jobId }, 'DUPLICATE'],
    () => [{ ...base, jobId: random.pick(['', '../x', 'a'.repeat(26), null]) }, null],
    () => [{ ...clip, args: { ...args, cameras: ['yard'] } }, 'DENIED'],
    () => [{ ...clip, args: { ...args, cameras: ['../gate'] } }, 'UNSUPPORTED'],
    () => [{ ...clip, args: { ...args, from: args.to, to: args.from } }, 'DENIED'],
    () => [{ ...clip, args: { ...args, from: '2026-02-31T99:00:00.000Z' } }, 'DENIED'],
    () => [{ ...clip, args: random.pick([null, [], 'x', 5, { cameras: 'gate' }]) }, 'UNSUPPORTED'],
    () => [{ ...base, name: 'live.start', args: { camera: 'gate', target: 'rtsp://x/y', stream: 'main' } }, 'DENIED'],
    () => [{ ...base, name: 'still.request', args: { camera: 'gate', at: iso(now - 60_000) } }, 'DENIED'],
    () => [{ ...base, name: 'sighting.query', args: { from: args.from, to: args.to, cameras: ['gate'] } }, 'DENIED'],
  ])();
  return { command, code };
}
