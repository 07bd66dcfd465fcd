import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import type { GrantKind } from '../../src/contract/grant.js';
import {
  policyDocument,
  type AccessRequest,
  type Door,
  type Party,
  type PolicyDocument,
} from '../../src/contract/policy.js';
import { decide } from '../../src/policy/decide.js';
import { Gate } from '../../src/policy/gate.js';
import type { PolicyState } from '../../src/policy/state.js';
import { localStore } from '../../src/store/local.js';
import { StateDb } from '../../src/store/state-db.js';
import { requestsOf, waysOut } from '../lib/doors.js';
import { mayBeSeen } from '../lib/policy-oracle.js';
import { seeded, type Random } from '../lib/random.js';
import type { CampaignOptions } from './main.js';

const HOUR = 3_600_000;
const KINDS: GrantKind[] = ['clip', 'still', 'live', 'playback', 'timeline', 'export', 'motion', 'sighting'];
const DOORS: Door[] = ['page', 'socket', 'http', 'mqtt', 'courier', 'auto'];
const MODES = ['registry', 'ask', 'clips', 'emergency', 'live'] as const;
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const PARTIES: Party[] = [
  { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' },
  { kind: 'operator', operator: 'asmith', agency: 'FBI', role: 'agent' },
  { kind: 'agent' },
  { kind: 'local', role: 'technician', name: 't' },
  { kind: 'local', role: 'owner', name: 'o' },
  { kind: 'local', role: 'viewer', name: 'v' },
];
/** Where the clock of the site changes, by day and by night, in both hemispheres; and where it never does. */
const PLACES: [zone: string, day: string][] = [
  ['America/Chicago', '2026-03-08'],
  ['America/Chicago', '2026-11-01'],
  ['America/Chicago', '2026-07-04'],
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['America/St_Johns', '2026-03-08'],
  ['UTC', '2026-12-31'],
];

const MASK: [number, number][] = [
  [0, 0],
  [9, 0],
  [0, 9],
];

/** The first minute of each of these places at which its clock on the wall does not go on by a minute; null: none. */
const CHANGES = PLACES.map(([zone, day]) => changeOf(zone, Date.parse(`${day}T00:00:00Z`) - 12 * HOUR));

function changeOf(timeZone: string, fromMs: number): number | null {
  const wall = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const minuteOf = (ms: number): number => {
    const [hour, minute] = wall.format(ms).split(':');
    return Number(hour) * 60 + Number(minute);
  };
  for (let ms = fromMs; ms < fromMs + 48 * HOUR; ms += 60_000) {
    if ((minuteOf(ms) + 1) % 1440 !== minuteOf(ms + 60_000)) return ms + 60_000;
  }
  return null;
}

interface Case {
  document: PolicyDocument | null;
  state: PolicyState;
  ask: AccessRequest;
  now: number;
}

/** The gate against a second opinion that shares no code with it, and every refusal against the audit log. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const n = options.n ?? (options.short ? 5_000 : 100_000);
  const random = seeded(options.seed);
  const tally = { asked: 0, granted: 0, refused: 0, wrong: 0 };
  const check = (one: Case): void => {
    const allowed = decide(one.document, one.state, one.ask, one.now).allow;
    tally.asked++;
    tally[allowed ? 'granted' : 'refused']++;
    if (allowed === mayBeSeen(one.document, one.state, one.ask, one.now)) return;
    tally.wrong++;
    console.log(`WRONG (${allowed ? 'granted' : 'refused'}): ${JSON.stringify(one)}`);
    console.log(`repeat: scripts/prove policy --n ${n} --seed ${options.seed}`);
  };
  for (const one of matrix()) check(one);
  for (const one of doors()) check(one);
  for (const one of clockChanges()) check(one);
  for (let i = 0; i < n; i++) check(randomCase(random));
  const through = await throughTheGate(random, Math.max(300, Math.round(n / 50)));
  const ok = tally.wrong === 0 && through.wrong === 0;
  const summary =
    `${tally.asked} requests decided (${tally.granted} granted, ${tally.refused} refused), ${tally.wrong} against the terms; ` +
    `${through.asked} through the gate, ${through.refused} refused, ${through.wrong} without their row in the audit log`;
  return { ok, summary };
}

/** Every door x person x camera x mode x kind at every hour of a day on which the clock changes. */
function* matrix(): Generator<Case> {
  const night = [{ days: [...DAYS], from: '22:00', to: '06:00' }];
  for (const [timeZone, day] of PLACES.slice(0, 2)) {
    for (const mode of MODES) {
      const cameras = [{ camera: 'gate', mode, hours: night, stills: true, sightings: true, autoClips: true }];
      const document = policyDocument.parse({ version: 1, authority: 'owner', timeZone, cameras });
      for (let hour = 0; hour < 25; hour++) {
        const now = Date.parse(`${day}T05:00:00Z`) + hour * HOUR;
        const range = { fromMs: now - 20 * 60_000, toMs: now - 5 * 60_000 };
        for (const party of PARTIES)
          for (const door of DOORS)
            for (const kind of KINDS)
              for (const camera of ['gate', 'back-room']) {
                yield { document, state: sharing(now), ask: { party, door, kind, camera, range, reason: 'x' }, now };
              }
      }
    }
  }
}

/** Every way out that the product has, in every mode, by day and by night, shared, paused and left. */
function* doors(): Generator<Case> {
  const hours = [{ days: [...DAYS], from: '22:00', to: '06:00' }];
  for (const mode of MODES)
    for (const authority of ['owner', 'city'] as const)
      for (const masks of [[], [MASK]]) {
        const terms = { camera: 'gate', mode, hours, stills: true, sightings: true, autoClips: true, masks };
        const document = policyDocument.parse({ version: 1, authority, timeZone: 'America/Chicago', cameras: [terms] });
        for (const at of ['2026-03-08T07:30:00Z', '2026-03-08T12:30:00Z']) {
          const now = Date.parse(at);
          const range = { fromMs: now - 20 * 60_000, toMs: now - 5 * 60_000 };
          const states = [
            sharing(now),
            { ...sharing(now), pausedNow: true },
            { ...sharing(now), enrolment: 'ended' as const },
            { ...sharing(now), clockTrusted: false },
          ];
          for (const state of states)
            for (const way of waysOut())
              for (const camera of ['gate', 'back-room'])
                for (const ask of requestsOf(way, camera, range)) yield { document, state, ask, now };
        }
      }
}

/** Hours that begin or end around a change of the clock, asked for ranges across it. */
function* clockChanges(): Generator<Case> {
  const minutes = 60_000;
  const wall = (half: number): string => `${String(half >> 1).padStart(2, '0')}:${half % 2 === 0 ? '00' : '30'}`;
  for (const [i, [timeZone]] of PLACES.entries()) {
    const change = CHANGES[i]!;
    if (change === null) continue;
    for (let edge = 0; edge < 10; edge++)
      for (const [from, to] of [
        [wall(edge), '12:00'],
        ['18:00', wall(edge)],
      ]) {
        const terms = { camera: 'gate', mode: 'clips', hours: [{ days: [...DAYS], from, to }] };
        const document = policyDocument.parse({ version: 1, authority: 'owner', timeZone, cameras: [terms] });
        const now = change + 12 * HOUR;
        for (let start = -150; start <= 60; start += 30)
          for (let length = 30; length <= 240; length += 30) {
            const fromMs = change + start * minutes;
            const range = { fromMs, toMs: fromMs + length * minutes };
            const ask: AccessRequest = {
              party: PARTIES[0]!,
              door: 'mqtt',
              kind: 'clip',
              camera: 'gate',
              range,
              reason: 'x',
            };
            yield { document, state: sharing(now), ask, now };
          }
      }
  }
}

function sharing(now: number): PolicyState {
  return {
    enrolment: 'active',
    pauses: [],
    pausedNow: false,
    emergencies: [{ fromMs: now - HOUR, toMs: now + HOUR }],
    approvals: [],
    clockTrusted: true,
    technicianUntilMs: null,
  };
}

function randomCase(random: Random): Case {
  const place = random.below(PLACES.length);
  const [timeZone, day] = PLACES[place]!;
  const change = random.chance(0.25) ? CHANGES[place]! : null;
  const now = change ?? Date.parse(`${day}T00:00:00Z`) + Math.floor((random.next() * 72 - 24) * HOUR);
  const around = change === null ? 0 : HOUR * 3 * random.next();
  const fromMs = now - around - Math.floor(random.next() ** 2 * (change === null ? 30 : 1) * HOUR);
  const late = random.chance(0.1) ? HOUR : 0;
  const range = { fromMs: fromMs + late, toMs: fromMs + late + 1 + around + Math.floor(random.next() ** 3 * 4 * HOUR) };
  const kind = random.pick(KINDS);
  const party = random.pick(PARTIES);
  const natural: Door = party.kind === 'local' ? 'page' : party.kind === 'agent' ? 'auto' : 'mqtt';
  const ask: AccessRequest = {
    party,
    door: random.chance(0.8) ? natural : random.pick(DOORS),
    kind,
    camera: random.pick(['gate', 'gate', 'yard', 'back-room']),
    range,
    reason: 'campaign',
    masksBurned: random.chance(0.3),
    sends: random.chance(0.2),
  };
  return {
    document: random.chance(0.03) ? null : randomTerms(random, timeZone),
    state: randomState(random, now, ask),
    ask,
    now,
  };
}

function randomTerms(random: Random, timeZone: string): PolicyDocument {
  const time = (): string => `${String(random.below(24)).padStart(2, '0')}:${random.pick(['00', '30', '59', '01'])}`;
  const line = () => ({
    camera: random.pick(['gate', 'yard']),
    mode: random.pick(MODES),
    hours: Array.from({ length: random.pick([0, 0, 1, 1, 2]) }, () => ({
      days: [random.pick(DAYS), ...DAYS.filter(() => random.chance(0.7))],
      from: time(),
      to: random.chance(0.1) ? '24:00' : time(),
    })),
    stills: random.chance(0.6),
    sightings: random.chance(0.6),
    autoClips: random.chance(0.6),
    retentionMaxDays: random.pick([null, null, 1, 30]),
    masks: random.chance(0.15)
      ? [
          [
            [0, 0],
            [9, 0],
            [0, 9],
          ],
        ]
      : [],
  });
  const cameras = Array.from({ length: random.below(4) }, line);
  return policyDocument.parse({ version: 1, authority: random.chance(0.8) ? 'owner' : 'city', timeZone, cameras });
}

function randomState(random: Random, now: number, ask: AccessRequest): PolicyState {
  const at = (): number => now + Math.floor((random.next() - 0.6) * 6 * HOUR);
  const span = () => {
    const fromMs = at();
    return { fromMs, toMs: random.chance(0.2) ? Infinity : fromMs + random.below(3 * HOUR) };
  };
  const { fromMs, toMs } = ask.range;
  const slack = random.below(60_000) - 10_000;
  return {
    enrolment: random.chance(0.9) ? 'active' : random.pick(['none', 'pending', 'ended'] as const),
    pauses: random.chance(0.2) ? [span()] : [],
    pausedNow: random.chance(0.05),
    emergencies: random.chance(0.5) ? [span()] : [],
    approvals: random.chance(0.5)
      ? [
          {
            id: 'A',
            camera: ask.camera,
            kind: random.chance(0.8) ? ask.kind : random.pick(KINDS),
            range: { fromMs: fromMs - slack, toMs: toMs + slack },
            operator: 'jdoe',
            agency: 'JPD',
            untilMs: at() + HOUR,
          },
        ]
      : [],
    clockTrusted: random.chance(0.95),
    technicianUntilMs: random.chance(0.5) ? at() : null,
  };
}

/** The same questions asked of the gate itself, with its database: each operator's refusal has its own row. */
async function throughTheGate(random: Random, n: number): Promise<{ asked: number; refused: number; wrong: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-prove-'));
  const db = new StateDb({ path: join(dir, 'state.db') });
  const tally = { asked: 0, refused: 0, wrong: 0 };
  try {
    for (let round = 0; tally.asked < n; round++) {
      const first = randomCase(random);
      const clock = new FakeClock(first.now);
      const text = JSON.stringify(
        first.document ?? policyDocument.parse({ version: 1, authority: 'owner', cameras: [] }),
      );
      const ports = {
        tables: localStore(db),
        readPolicyFile: async () => text,
        clockTrusted: () => true,
        clock,
        log: silentLog,
      };
      const gate = await Gate.open(ports);
      for (let i = 0; i < 10; i++) {
        const { ask } = randomCase(random);
        const before = db.tables.audit.head().seq;
        const granted = await gate.authorise(ask).then(
          () => true,
          () => false,
        );
        const row = db.tables.audit.list({ limit: 1 })[0];
        tally.asked++;
        if (!granted) tally.refused++;
        const fresh = db.tables.audit.head().seq === before + 1 && row?.outcome === (granted ? 'granted' : 'refused');
        // People at the box and the agent may be told by a row that already says the same.
        if (!fresh && ask.party.kind === 'operator') tally.wrong++;
      }
      gate.close();
    }
    if (db.tables.audit.verify(null).fault !== null) tally.wrong++;
    return tally;
  } finally {
    db.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
