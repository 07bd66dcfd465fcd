import { expect, onTestFinished, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import type { AccessRequest, Party } from '../../src/contract/policy.js';
import { Gate, type GatePorts } from '../../src/policy/gate.js';
import { localStore } from '../../src/store/local.js';
import type { StateDb } from '../../src/store/state-db.js';
import { openState, temporaryDir } from '../store/helpers.js';

const owner: Party = { kind: 'local', role: 'owner', name: 'Ms Lee' };
const operator: Party = { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' };
const document = (more: object = {}, camera: object = {}): string =>
  JSON.stringify({
    version: 1,
    authority: 'owner',
    timeZone: 'America/Chicago',
    cameras: [{ camera: 'gate', mode: 'live', autoClips: true, ...camera }],
    ...more,
  });

async function box(options: { dir?: string; file?: string | null; trusted?: () => boolean; clock?: FakeClock } = {}) {
  const clock = options.clock ?? new FakeClock(Date.parse('2026-06-03T15:00:00Z'));
  const db: StateDb = openState({ dir: options.dir });
  const file = { text: options.file === undefined ? document() : options.file };
  const ports: GatePorts = {
    tables: localStore(db),
    readPolicyFile: async () => file.text,
    clockTrusted: options.trusted ?? (() => true),
    clock,
    log: silentLog,
  };
  const gate = await Gate.open(ports);
  onTestFinished(() => gate.close());
  const ask = (more: Partial<AccessRequest> = {}): AccessRequest => ({
    party: operator,
    door: 'mqtt',
    kind: 'clip',
    camera: 'gate',
    range: { fromMs: clock.now() - 60_000, toMs: clock.now() - 30_000 },
    reason: 'robbery',
    case: 'C-17',
    ...more,
  });
  const audit = () => db.tables.audit.list({ limit: 100 }).filter((row) => row.kind === 'access');
  return { gate, clock, db, file, ask, audit, ports };
}

test('a grant and a refusal both stand in the audit log, with who, why and what', async () => {
  const { gate, ask, audit } = await box();
  const grant = await gate.authorise(ask());
  expect(grant).toMatchObject({ camera: 'gate', kind: 'clip', range: ask().range });
  expect(grant.signal.aborted).toBe(false);
  await expect(gate.authorise(ask({ camera: 'back-room' }))).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  expect(audit()).toMatchObject([
    { outcome: 'refused', code: 'POLICY_DENIED', camera: 'back-room', party: 'jdoe', agency: 'JPD' },
    {
      id: grant.id,
      outcome: 'granted',
      action: 'clip',
      reason: 'robbery',
      caseNo: 'C-17',
      role: 'detective',
      ...ask().range,
    },
  ]);
});

test('what came of a grant is told by a second row that names the first', async () => {
  const { gate, ask, audit } = await box();
  const grant = await gate.authorise(ask());
  await gate.finished(grant, { outcome: 'done', bytes: 4711, why: 'delivered' });
  expect(audit()[0]).toMatchObject({ outcome: 'done', ref: grant.id, bytes: 4711, party: 'jdoe', caseNo: 'C-17' });
});

test('no terms, no grant: without a file, with a broken one, and after it is gone', async () => {
  const none = await box({ file: null });
  await expect(none.gate.authorise(none.ask())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
  const broken = await box({ file: '{"version": 1, "authority": "king", "cameras": []}' });
  await expect(broken.gate.authorise(broken.ask())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
  expect(broken.gate.terms.error).toMatchObject({
    code: 'POLICY_INVALID',
    message: expect.stringContaining('authority'),
  });
  const gone = await box();
  const grant = await gone.gate.authorise(gone.ask());
  gone.file.text = null;
  await gone.clock.advance(3_000);
  expect(grant.signal.aborted).toBe(true);
  await expect(gone.gate.authorise(gone.ask())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
});

test('a file that became invalid leaves the last good terms in force and says so', async () => {
  const { gate, clock, file, ask } = await box();
  const grant = await gate.authorise(ask());
  file.text = document({}, { mode: 'live', hours: [{ days: ['mon'], from: '25:00', to: '06:00' }] });
  await clock.advance(3_000);
  expect(gate.terms.error?.message).toMatch(/cameras\.0\.hours\.0\.from/);
  expect(grant.signal.aborted).toBe(false);
  await gate.authorise(ask());
  file.text = document({}, { autoclips: true });
  await clock.advance(3_000);
  expect(gate.terms.error?.message).toMatch(/autoclips/);
  file.text = document({ version: 2 }, { mode: 'registry' });
  await clock.advance(3_000);
  expect(gate.terms).toMatchObject({ error: null, document: { version: 2 } });
  expect(grant.signal.aborted).toBe(true);
});

test('a pause aborts what runs before it returns, and refuses until it ends', async () => {
  const { gate, clock, ask, audit } = await box();
  const clip = await gate.authorise(ask());
  const live = await gate.authorise(ask({ kind: 'live' }));
  const own = await gate.authorise(ask({ party: owner, door: 'page', kind: 'live' }));
  const paused = gate.pause(clock.now() + 900_000, owner, 'closing time');
  expect([clip, live, own].map((g) => g.signal.aborted)).toEqual([true, true, false]);
  expect(clip.signal.reason).toMatchObject({ code: 'PAUSED_BY_OWNER' });
  await paused;
  await expect(gate.authorise(ask())).rejects.toMatchObject({ code: 'PAUSED_BY_OWNER' });
  expect(audit()[0]).toMatchObject({ outcome: 'refused', code: 'PAUSED_BY_OWNER' });
  await clock.advance(900_000);
  const after = { fromMs: clock.now(), toMs: clock.now() + 10 };
  await gate.authorise(ask({ range: after }));
});

test('a jump of the wall clock does not end a pause early', async () => {
  const { gate, clock, ask } = await box();
  await gate.pause(clock.now() + 900_000, owner, 'x');
  clock.stepWall(86_400_000);
  await expect(gate.authorise(ask())).rejects.toMatchObject({ code: 'PAUSED_BY_OWNER' });
});

test('a pause survives a restart; resuming ends it, and what was recorded in it stays withheld', async () => {
  const dir = temporaryDir();
  const first = await box({ dir });
  await first.gate.pause(null, owner, 'x');
  first.gate.close();
  await first.clock.advance(60_000);
  const again = await box({ dir, clock: first.clock });
  expect(again.gate.pausedUntil()).toBe(Infinity);
  await expect(again.gate.authorise(again.ask())).rejects.toMatchObject({ code: 'PAUSED_BY_OWNER' });
  await again.gate.resume(owner, 'open again');
  expect(again.gate.pausedUntil()).toBeNull();
  await expect(again.gate.authorise(again.ask())).rejects.toMatchObject({ code: 'PAUSED_BY_OWNER' });
  const now = again.clock.now();
  await again.gate.authorise(again.ask({ range: { fromMs: now, toMs: now + 5 } }));
});

test('the end of the hours ends a live session by itself', async () => {
  const hours = [{ days: ['wed'], from: '09:00', to: '10:05' }];
  const { gate, clock, ask } = await box({ file: document({}, { hours }) });
  const live = await gate.authorise(ask({ kind: 'live' }));
  expect(live.expiresAtMono).toBe(5 * 60_000);
  await clock.advance(5 * 60_000 - 1_000);
  expect(live.signal.aborted).toBe(false);
  await clock.advance(2_000);
  expect(live.signal.aborted).toBe(true);
  await expect(gate.authorise(ask({ kind: 'live' }))).rejects.toMatchObject({ code: 'OUTSIDE_HOURS' });
});

test('a grant expires by monotonic time, whatever the wall clock does', async () => {
  const { gate, clock, ask } = await box();
  const live = await gate.authorise(ask({ kind: 'live' }));
  clock.stepWall(-86_400_000);
  await clock.advance(10 * 60_000 + 1_000);
  expect(live.signal.reason).toMatchObject({ code: 'EXPIRED' });
});

test('an untrusted clock shares nothing; a trusted one is lent trust for an hour', async () => {
  const never = await box({ trusted: () => false });
  await expect(never.gate.authorise(never.ask())).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  let trusted = true;
  const lost = await box({ trusted: () => trusted });
  const grant = await lost.gate.authorise(lost.ask());
  trusted = false;
  await lost.clock.advance(59 * 60_000);
  expect(grant.signal.aborted).toBe(false);
  await lost.clock.advance(2 * 60_000);
  expect(grant.signal.reason).toMatchObject({ code: 'POLICY_DENIED' });
});

test('no trust is lent to a clock that was stepped since it was trusted', async () => {
  let trusted = true;
  const { gate, clock, ask } = await box({ trusted: () => trusted });
  const grant = await gate.authorise(ask());
  trusted = false;
  const held: boolean[] = [];
  for (const step of [86_400_000, -86_400_000, -86_400_000]) {
    clock.stepWall(step);
    await clock.advance(2_000);
    held.push(gate.clockHolds());
  }
  // A day ahead, right again, a day behind.
  expect(held).toEqual([false, true, false]);
  expect(grant.signal.reason).toMatchObject({ code: 'POLICY_DENIED' });
});

test('without an audit row there is no grant', async () => {
  const { ports, ask } = await box();
  const late = await lateBreaking(ports);
  onTestFinished(() => late.gate.close());
  late.break();
  await expect(late.gate.authorise(ask())).rejects.toMatchObject({ code: 'AUDIT_FAILED', retryable: true });
  await expect(late.gate.authorise(ask({ camera: 'other' }))).rejects.toMatchObject({ code: 'AUDIT_FAILED' });
});

function proxied(ports: GatePorts) {
  const { audit, policies, keys, pauses, emergencies, approvals, kv } = ports.tables;
  return { audit, policies, keys, pauses, emergencies, approvals, kv };
}

async function lateBreaking(ports: GatePorts) {
  let broken = false;
  const tables = proxied(ports);
  const append: typeof tables.audit.append = (note) =>
    broken ? Promise.reject(new Error('disk full')) : ports.tables.audit.append(note);
  const audit = {
    append,
    head: tables.audit.head,
    holds: tables.audit.holds,
    list: tables.audit.list,
    after: tables.audit.after,
    verify: tables.audit.verify,
    numbers: tables.audit.numbers,
    firstOf: tables.audit.firstOf,
  };
  const gate = await Gate.open({ ...ports, tables: { ...tables, audit } });
  return { gate, break: () => (broken = true) };
}

test('a pause that comes while the audit row is written still refuses', async () => {
  const { ports, ask } = await box();
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let hold = false;
  const tables = proxied(ports);
  const append: typeof tables.audit.append = async (note) => {
    const row = await ports.tables.audit.append(note);
    if (hold && note.outcome === 'granted') await held;
    return row;
  };
  const audit = {
    append,
    head: tables.audit.head,
    holds: tables.audit.holds,
    list: tables.audit.list,
    after: tables.audit.after,
    verify: tables.audit.verify,
    numbers: tables.audit.numbers,
    firstOf: tables.audit.firstOf,
  };
  const gate = await Gate.open({ ...ports, tables: { ...tables, audit } });
  onTestFinished(() => gate.close());
  hold = true;
  const asked = gate.authorise(ask());
  const refused = expect(asked).rejects.toMatchObject({ code: 'PAUSED_BY_OWNER' });
  await gate.pause(null, owner, 'x');
  release();
  await refused;
});

test('a page that asks again and again is one row; new footage, another person or another answer is a new one', async () => {
  const { gate, clock, ask, audit } = await box();
  const look = (more: Partial<AccessRequest> = {}) => ask({ party: owner, door: 'page', kind: 'timeline', ...more });
  for (let i = 0; i < 20; i++) {
    await gate.authorise(look());
    await clock.advance(1_000);
  }
  expect(audit()).toHaveLength(1);
  await gate.authorise(look({ range: { fromMs: 0, toMs: clock.now() } }));
  expect(audit()).toHaveLength(2);
  await gate.authorise(look({ party: { ...owner, name: 'Mr Kim' } as Party }));
  expect(audit()).toHaveLength(3);
  const playback = { fromMs: clock.now() - 60_000, toMs: clock.now() };
  await gate.authorise(look({ kind: 'playback', range: playback }));
  await gate.authorise(look({ kind: 'playback', range: { ...playback, fromMs: playback.fromMs + 1 } }));
  expect(audit()).toHaveLength(4);
  await gate.authorise(look({ kind: 'playback', range: { ...playback, toMs: playback.toMs + 1 } }));
  expect(audit()).toHaveLength(5);
  for (let i = 0; i < 3; i++) await gate.authorise(ask());
  expect(audit()).toHaveLength(8);
});

test('an emergency window opens and closes; a test of the button opens nothing', async () => {
  const { gate, clock, ask } = await box({ file: document({}, { mode: 'emergency' }) });
  await expect(gate.authorise(ask())).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  await gate.openEmergency(clock.now() + 60_000, owner, 'test', true);
  await expect(gate.authorise(ask())).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  await gate.openEmergency(clock.now() + 60_000, owner, 'robbery');
  const grant = await gate.authorise(ask({ kind: 'live' }));
  await gate.closeEmergency(owner, 'over');
  expect(grant.signal.aborted).toBe(true);
});

test('the technician looks only while the owner lets him', async () => {
  const { gate, clock, ask } = await box();
  const look = ask({ party: { kind: 'local', role: 'technician', name: 'tech' }, door: 'page', kind: 'live' });
  await expect(gate.authorise(look)).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  await gate.letTechnicianLook(clock.now() + 60_000, owner);
  const grant = await gate.authorise(look);
  await clock.advance(62_000);
  expect(grant.signal.aborted).toBe(true);
});

test('the chain of the audit log stays whole through all of it', async () => {
  const { gate, clock, ask, db } = await box();
  await gate.authorise(ask());
  await gate.pause(clock.now() + 1_000, owner, 'x');
  await gate.resume(owner, 'y');
  await gate.authorise(ask({ camera: 'nope' })).catch(() => undefined);
  expect(db.tables.audit.verify(null).fault).toBeNull();
});

test('after every change of what is shared, a look is a row of its own again', async () => {
  const { gate, clock, ask, audit } = await box();
  const look = () =>
    ask({ party: { kind: 'local', role: 'technician', name: 'tech' }, door: 'page', kind: 'timeline' });
  await gate.letTechnicianLook(clock.now() + 600_000, owner);
  await gate.authorise(look());
  await gate.authorise(look());
  expect(audit()).toHaveLength(1);
  await gate.letTechnicianLook(null, owner);
  await gate.letTechnicianLook(clock.now() + 600_000, owner);
  await gate.authorise(look());
  expect(audit()).toHaveLength(2);
});
