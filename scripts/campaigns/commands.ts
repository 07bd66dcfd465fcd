import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

/** A message and whether it may have an effect: `once` the first time, never otherwise. */
type Shot = { text: string; jobId: string | null; may: 'once' | 'never'; how: string };

interface Site {
  db: StateDb;
  desk: CommandDesk;
  clock: FakeClock;
  /** What was really done: job id to how often. */
  effects: Map<string, number>;
  /** Cameras that were opened, by job. */
  opened: string[];
  answers: JobMessage[];
  stop(): Promise<void>;
}

/** Hostile, broken, repeated and good commands on the real desk, gate and database, over restarts. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const n = options.n ?? (options.short ? 4_000 : 100_000);
  const random = seeded(options.seed);
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-prove-'));
  const center = newSigner();
  const clock = new FakeClock(START);
  const effects = new Map<string, number>();
  let site = await start(dir, center, clock, effects);
  const good: Sent[] = [];
  const expected = new Set<string>();
  const tally = { sent: 0, good: 0, duplicates: 0, refused: 0, crashes: 0, restarts: 0 };
  const wrong: string[] = [];
  try {
    for (; tally.sent < n; tally.sent++) {
      const shot = nextShot(random, center, clock, good);
      if (shot.may === 'once') {
        if (expected.has(shot.jobId!)) tally.duplicates++;
        else tally.good++;
        expected.add(shot.jobId!);
      } else tally.refused++;
      const before = total(effects);
      const due = shot.may === 'once' && !effects.has(shot.jobId!) ? 1 : 0;
      try {
        await site.desk.take(shot.text);
      } catch (error) {
        tally.crashes++;
        wrong.push(`crash: ${shot.how}: ${String(error)}`);
      }
      if (total(effects) - before !== due)
        wrong.push(`${total(effects) - before} effects instead of ${due}: ${shot.how}`);
      if (tally.sent % 50 === 49) await clock.advance(1_000);
      if (tally.sent % Math.ceil(n / 5) === Math.ceil(n / 5) - 1) {
        tally.restarts++;
        await site.stop();
        site = await start(dir, center, clock, effects);
      }
    }
    for (const jobId of expected)
      if (effects.get(jobId) !== 1) wrong.push(`job ${jobId} was done ${effects.get(jobId) ?? 0} times`);
    if (site.opened.some((camera) => camera !== 'gate')) wrong.push('a camera was opened that the terms do not share');
    const chain = site.db.tables.audit.verify(null);
    if (chain.fault !== null) wrong.push(`audit log: ${chain.fault.why}`);
    const rows = site.db.tables.audit.head().seq;
    for (const line of wrong.slice(0, 10)) console.log(`WRONG: ${line}`);
    if (wrong.length > 0) console.log(`repeat: scripts/prove commands --n ${n} --seed ${options.seed}`);
    const summary =
      `${tally.sent} commands over ${tally.restarts} restarts: ${tally.good} good ones done once each, ${tally.duplicates} repeated, ` +
      `${tally.refused} refused; ${wrong.length} unauthorised, missing or double effects, ${tally.crashes} crashes, ${rows} audit rows`;
    return { ok: wrong.length === 0, summary };
  } finally {
    await site.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function total(effects: Map<string, number>): number {
  let sum = 0;
  for (const times of effects.values()) sum += times;
  return sum;
}

async function start(dir: string, center: Signer, clock: FakeClock, effects: Map<string, number>): Promise<Site> {
  const db = new StateDb({ path: join(dir, 'state.db') });
  const tables = localStore(db);
  const ports = { tables, readPolicyFile: async () => TERMS, clockTrusted: () => true, clock, log: silentLog };
  const gate = await Gate.open(ports);
  const answers: JobMessage[] = [];
  const opened: string[] = [];
  const count = async (call: { job: { id: string }; grants?: readonly { camera: string }[] }): Promise<object> => {
    effects.set(call.job.id, (effects.get(call.job.id) ?? 0) + 1);
    opened.push(...(call.grants ?? []).map((grant) => grant.camera));
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
    publish: (message) => void answers.push(message),
  });
  const operators = [{ operator: 'jdoe', agency: 'JPD', name: 'J. Doe', role: 'detective' }];
  await desk.takeOperators(signJws(OPERATORS_TYPE, { schema: 1, ...SITE, version: 1, operators }, center));
  await desk.resume();
  const stop = async (): Promise<void> => {
    asks.close();
    await desk.close();
    gate.close();
    db.close();
  };
  return { db, desk, clock, effects, opened, answers, stop };
}

function nextShot(random: Random, center: Signer, clock: FakeClock, good: Sent[]): Shot {
  const now = clock.now();
  const old = good.length > 0 ? random.pick(good) : null;
  if (random.chance(0.02) || old === null) {
    const payload = goodCommand(random, now);
    const text = signJws(COMMAND_TYPE, payload, center);
    good.push({ text, jobId: payload.jobId, issuedMs: now, expiresMs: Date.parse(payload.expiresAt) });
    return { text, jobId: payload.jobId, may: 'once', how: 'good' };
  }
  if (random.chance(0.03)) {
    const alive = old.expiresMs > now;
    return {
      text: old.text,
      jobId: old.jobId,
      may: alive ? 'once' : 'never',
      how: alive ? 'repeated' : 'replayed late',
    };
  }
  const never = (text: string, how: string): Shot => ({ text, jobId: null, may: 'never', how });
  switch (random.below(6)) {
    case 0:
      return never(damaged(random, old.text), 'damaged');
    case 1:
      return never(signJws(COMMAND_TYPE, goodCommand(random, now), newSigner()), 'signed by another key');
    case 2:
      return never(
        signJws(random.pick(['', 'JWT', OPERATORS_TYPE, 'bluelight-ack+jws']), goodCommand(random, now), center),
        'another purpose',
      );
    case 3:
      return never(headerTrick(random, old.text), 'header changed');
    case 4:
      return never(garbage(random), 'garbage');
    default:
      return never(signJws(COMMAND_TYPE, spoiled(random, now, old), center), 'signed by the center, but wrong');
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

/** A good command with one thing wrong, under a new job id: only the checks behind the signature stand against it. */
function spoiled(random: Random, now: number, old: Sent): object {
  const base: Record<string, unknown> & { by: object } = goodCommand(random, now);
  const args = { from: iso(now - 60_000), to: iso(now - 30_000), cameras: ['gate'], renditions: ['proxy'] };
  return random.pick<() => object>([
    () => ({ ...base, box: 'box-2' }),
    () => ({ ...base, site: 'store-8' }),
    () => ({ ...base, issuedAt: iso(now - 7_200_000), expiresAt: iso(now - random.below(3_600_000)) }),
    () => ({ ...base, issuedAt: iso(now + 600_000), expiresAt: iso(now + 700_000) }),
    () => ({ ...base, expiresAt: iso(now + 30 * 86_400_000) }),
    () => ({ ...base, issuedAt: '9999-99-99T99:99:99.999Z' }),
    () => ({ ...base, by: { ...base.by, operator: 'ghost' } }),
    () => ({ ...base, by: { ...base.by, agency: 'FBI' } }),
    () => ({ ...base, by: { ...base.by, role: 'chief' } }),
    () => ({ ...base, by: null }),
    () => ({ ...base, reason: '' }),
    () => ({ ...base, reason: 'x'.repeat(10_000) }),
    () => ({ ...base, schema: random.pick([0, 2, '1', null]) }),
    () => ({
      ...base,
      name: random.pick(['', 'constructor', '__proto__', 'toString', 'agent.format', 'a'.repeat(5_000)]),
    }),
    () => ({ ...base, extra: true }),
    () => ({ ...base, jobId: old.jobId }),
    () => ({ ...base, jobId: random.pick(['', '../x', 'a'.repeat(26), null]) }),
    () => ({ ...base, name: 'clip.request', args: { ...args, cameras: ['yard'] } }),
    () => ({ ...base, name: 'clip.request', args: { ...args, cameras: ['../gate'] } }),
    () => ({ ...base, name: 'clip.request', args: { ...args, from: args.to, to: args.from } }),
    () => ({ ...base, name: 'clip.request', args: { ...args, from: '2026-02-31T99:00:00.000Z' } }),
    () => ({ ...base, name: 'clip.request', args: random.pick([null, [], 'x', 5, { cameras: 'gate' }]) }),
    () => ({ ...base, name: 'live.start', args: { camera: 'gate', target: 'rtsp://x/y', stream: 'main' } }),
    () => ({ ...base, name: 'still.request', args: { camera: 'gate', at: iso(now - 60_000) } }),
    () => ({ ...base, name: 'sighting.query', args: { from: args.from, to: args.to, cameras: ['gate'] } }),
  ])();
}
