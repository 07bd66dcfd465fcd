import { expect, test } from 'vitest';
import { ulid } from '../../src/base/ids.js';
import type { Handlers } from '../../src/policy/command-desk.js';
import { signJws } from '../../src/proof/jws.js';
import {
  commandText,
  enrolOperators,
  iso,
  newSigner,
  NOW,
  ownerParty,
  policyBox,
  termsText,
  type BoxOptions,
} from './helpers.js';

/** A box whose center asks for clips; counts what was really done. */
async function counting(options: BoxOptions = {}) {
  const done: { name: string; job: string; cameras: string[] }[] = [];
  const handlers: Handlers = {
    'clip.request': async (call) => {
      done.push({ name: 'clip.request', job: call.job.id, cameras: call.grants.map((grant) => grant.camera) });
      return { clips: call.grants.length, refused: call.refused };
    },
    'camera.rescan': async (call) => void done.push({ name: 'camera.rescan', job: call.job.id, cameras: [] }),
    ...options.handlers,
  };
  const box = await policyBox({ file: termsText(1), ...options, handlers });
  await enrolOperators(box);
  const last = () => box.jobs.at(-1);
  const refusals = () => box.db.tables.audit.list({ limit: 1_000, kind: 'command', outcome: 'refused' });
  return { ...box, done, last, refusals };
}

test('a good command is carried out once, with grants, and the center hears of it', async () => {
  const box = await counting();
  const text = commandText(box);
  await box.desk.take(text);
  expect(box.done).toMatchObject([{ cameras: ['gate'] }]);
  expect(box.jobs.map((job) => job.state)).toEqual(['IN_PROGRESS', 'SUCCEEDED']);
  expect(box.last()).toMatchObject({ result: { clips: 1, refused: [] }, error: null });
  const rows = box.db.tables.audit.list({ limit: 10 });
  expect(rows.filter((row) => row.kind === 'command').map((row) => row.outcome)).toEqual(['done', 'granted']);
  expect(rows.find((row) => row.kind === 'access')).toMatchObject({
    party: 'jdoe',
    agency: 'JPD',
    reason: 'robbery at the store',
    caseNo: 'C-17',
  });
});

test('the same command again gets the same answer and does nothing; also after a restart', async () => {
  const box = await counting();
  const text = commandText(box);
  await box.desk.take(text);
  const answer = box.last();
  for (let i = 0; i < 5; i++) await box.desk.take(text);
  expect(box.done).toHaveLength(1);
  expect(box.last()).toEqual(answer);
  box.gate.close();
  const again = await counting({ dir: box.dir, clock: box.clock });
  again.membership.now = box.membership.now;
  await again.desk.take(text);
  expect(again.done).toEqual([]);
  expect(again.last()).toMatchObject({ state: 'SUCCEEDED', result: { clips: 1 } });
});

test('two at the same time are one', async () => {
  const box = await counting();
  const text = commandText(box);
  await Promise.all([box.desk.take(text), box.desk.take(text), box.desk.take(text)]);
  expect(box.done).toHaveLength(1);
});

test('forged, unsigned, foreign, replayed, expired, from the future, unknown: refused with a stable code, audited', async () => {
  const box = await counting();
  const used = commandText(box);
  await box.desk.take(used);
  const jobId = box.last()!.jobId;
  const now = box.clock.now();
  const good = commandText(box);
  const [header, payload, signature] = good.split('.') as [string, string, string];
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const cases: [string, string, boolean][] = [
    ['forged', commandText(box, {}, newSigner()), false],
    ['unsigned', `${none}.${payload}.`, false],
    [
      'changed',
      `${header}.${Buffer.from(Buffer.from(payload, 'base64url').toString().replace('"gate"', '"back"')).toString('base64url')}.${signature}`,
      false,
    ],
    ['another kind of document', signJws('bluelight-ack+jws', {}, box.center), false],
    ['garbage', 'garbage', false],
    ['empty', '', false],
    ['other box', commandText(box, { box: 'box-2' }), true],
    ['other site', commandText(box, { site: 'store-8' }), true],
    ['expired', commandText(box, { issuedAt: iso(now - 120_000), expiresAt: iso(now) }), true],
    ['from the future', commandText(box, { issuedAt: iso(now + 600_000), expiresAt: iso(now + 700_000) }), true],
    ['ends before it begins', commandText(box, { issuedAt: iso(now + 10_000), expiresAt: iso(now + 5_000) }), true],
    ['lives too long', commandText(box, { expiresAt: iso(now + 8 * 86_400_000) }), true],
    ['no such day', commandText(box, { expiresAt: '2026-13-99T00:00:00.000Z' }), true],
    ['unknown operator', commandText(box, { by: { agency: 'JPD', operator: 'ghost', role: 'detective' } }), true],
    ['other agency', commandText(box, { by: { agency: 'FBI', operator: 'jdoe', role: 'detective' } }), true],
    ['other role', commandText(box, { by: { agency: 'JPD', operator: 'jdoe', role: 'chief' } }), true],
    ['unknown command', commandText(box, { name: 'format.disk', args: {} }), true],
    ['name of a prototype', commandText(box, { name: 'constructor', args: {} }), true],
    ['wrong arguments', commandText(box, { args: { cameras: [] } }), true],
    ['too many arguments', commandText(box, { name: 'camera.rescan', args: { shell: 'rm' } }), true],
    ['other content under a used job id', commandText(box, { jobId, reason: 'something else' }), true],
    ['no reason', commandText(box, { reason: ' ' }), false],
    ['unknown schema', commandText(box, { schema: 2 } as object), false],
  ];
  const codes: Record<string, string> = {};
  for (const [name, text, answered] of cases) {
    const before = { done: box.done.length, jobs: box.jobs.length, rows: box.refusals().length };
    await box.desk.take(text);
    expect(box.done, name).toHaveLength(before.done);
    expect(box.refusals(), name).toHaveLength(before.rows + 1);
    expect(box.jobs, name).toHaveLength(before.jobs + (answered ? 1 : 0));
    codes[name] = box.refusals()[0]!.code!;
    if (answered) expect(box.last(), name).toMatchObject({ state: 'REJECTED', error: { code: codes[name] } });
  }
  expect(codes).toMatchInlineSnapshot(`
    {
      "another kind of document": "BAD_SIGNATURE",
      "changed": "BAD_SIGNATURE",
      "empty": "BAD_SIGNATURE",
      "ends before it begins": "EXPIRED",
      "expired": "EXPIRED",
      "forged": "BAD_SIGNATURE",
      "from the future": "EXPIRED",
      "garbage": "BAD_SIGNATURE",
      "lives too long": "EXPIRED",
      "name of a prototype": "UNSUPPORTED",
      "no reason": "UNSUPPORTED",
      "no such day": "EXPIRED",
      "other agency": "UNKNOWN_OPERATOR",
      "other box": "WRONG_BOX",
      "other content under a used job id": "DUPLICATE",
      "other role": "UNKNOWN_OPERATOR",
      "other site": "WRONG_BOX",
      "too many arguments": "UNSUPPORTED",
      "unknown command": "UNSUPPORTED",
      "unknown operator": "UNKNOWN_OPERATOR",
      "unknown schema": "UNSUPPORTED",
      "unsigned": "BAD_SIGNATURE",
      "wrong arguments": "UNSUPPORTED",
    }
  `);
  expect(box.db.tables.audit.verify(null).fault).toBeNull();
});

test('an expired replay stays refused when its job has been forgotten', async () => {
  const box = await counting();
  const text = commandText(box);
  await box.desk.take(text);
  box.clock.stepWall(31 * 86_400_000);
  await box.desk.resume();
  expect(box.db.tables.jobs.list({ limit: 9 })).toEqual([]);
  await box.desk.take(text);
  expect(box.done).toHaveLength(1);
  expect(box.refusals()[0]).toMatchObject({ code: 'EXPIRED', party: 'jdoe' });
});

test('a clock that fell back does not bring expired commands to life again', async () => {
  let trusted = true;
  const box = await counting({ trusted: () => trusted });
  const old = commandText(box);
  box.clock.stepWall(3 * 3_600_000);
  await box.desk.take(commandText(box, { name: 'camera.rescan', args: {} }));
  trusted = false;
  await box.clock.advance(61 * 60_000);
  box.clock.stepWall(NOW - box.clock.now());
  await box.desk.take(old);
  expect(box.refusals()[0]).toMatchObject({ code: 'EXPIRED' });
});

test('the gate decides: what the terms refuse is rejected with its code; of several cameras those that may be seen are done', async () => {
  const box = await counting();
  const args = { cameras: ['back'], from: iso(NOW - 60_000), to: iso(NOW - 30_000), renditions: ['original'] };
  await box.desk.take(commandText(box, { args }));
  expect(box.last()).toMatchObject({ state: 'REJECTED', error: { code: 'POLICY_DENIED' } });
  await box.desk.take(commandText(box, { args: { ...args, cameras: ['back', 'gate', 'gate'] } }));
  expect(box.done).toMatchObject([{ cameras: ['gate'] }]);
  expect(box.last()).toMatchObject({
    state: 'SUCCEEDED',
    result: { refused: [{ camera: 'back', code: 'POLICY_DENIED' }] },
  });
  await box.gate.pause(null, ownerParty, 'x');
  await box.desk.take(commandText(box));
  expect(box.last()).toMatchObject({ state: 'REJECTED', error: { code: 'PAUSED_BY_OWNER' } });
  await box.desk.take(commandText(box, { args: { ...args, cameras: ['gate'], from: '2026-99-99T00:00:00.000Z' } }));
  expect(box.last()?.state).toBe('REJECTED');
});

test('what this box does not carry out is unsupported; what fails is failed with its code', async () => {
  const handlers: Handlers = {
    'agent.restart': async () => {
      throw Object.assign(new Error('no'), { code: 'DISK_FULL' });
    },
  };
  const box = await counting({ handlers });
  await box.desk.take(commandText(box, { name: 'light.test', args: {} }));
  expect(box.last()).toMatchObject({ state: 'REJECTED', error: { code: 'UNSUPPORTED' } });
  await box.desk.take(commandText(box, { name: 'agent.restart', args: {} }));
  expect(box.last()).toMatchObject({ state: 'FAILED', error: { code: 'DISK_FULL' } });
});

test('ask mode: the owner is asked; yes carries it out, no and silence reject it', async () => {
  const box = await counting({ file: termsText(1, { mode: 'ask' }) });
  await box.desk.take(commandText(box));
  expect(box.last()).toMatchObject({ state: 'QUEUED', progress: { waiting: 'owner' } });
  const [asked] = await box.asks.waiting();
  expect(asked).toMatchObject({
    operator: 'jdoe',
    agency: 'JPD',
    request: { reason: 'robbery at the store', case: 'C-17' },
  });
  await expect(
    box.asks.answer(asked!.id, true, { kind: 'local', role: 'technician', name: 't' }),
  ).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await box.asks.answer(asked!.id, true, ownerParty);
  expect(box.done).toHaveLength(1);
  expect(box.last()?.state).toBe('SUCCEEDED');
  await expect(box.asks.answer(asked!.id, true, ownerParty)).rejects.toMatchObject({ code: 'ASK_UNKNOWN' });

  await box.clock.advance(60_000);
  await box.desk.take(
    commandText(box, {
      args: { cameras: ['gate'], from: iso(NOW - 9_000_000), to: iso(NOW - 8_000_000), renditions: ['original'] },
    }),
  );
  await box.asks.answer((await box.asks.waiting())[0]!.id, false, ownerParty);
  expect(box.last()).toMatchObject({ state: 'REJECTED', error: { code: 'OWNER_APPROVAL_REQUIRED' } });

  await box.desk.take(
    commandText(box, {
      args: { cameras: ['gate'], from: iso(NOW - 7_000_000), to: iso(NOW - 6_000_000), renditions: ['original'] },
    }),
  );
  box.clock.stepWall(24 * 3_600_000);
  await box.clock.advance(20_000);
  expect(box.last()).toMatchObject({ state: 'REJECTED', error: { code: 'OWNER_APPROVAL_REQUIRED' } });
  expect(box.done).toHaveLength(1);
});

test('a yes opens what was asked, rounded out to whole segments, and no more; it survives a restart', async () => {
  const box = await counting({ file: termsText(1, { mode: 'ask' }) });
  await box.desk.take(commandText(box));
  await box.asks.answer((await box.asks.waiting())[0]!.id, true, ownerParty);
  box.gate.close();
  const again = await counting({ dir: box.dir, clock: box.clock, file: termsText(1, { mode: 'ask' }) });
  const party = { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' } as const;
  const ask = (fromMs: number, toMs: number) =>
    again.gate.authorise({ party, door: 'mqtt', kind: 'clip', camera: 'gate', range: { fromMs, toMs }, reason: 'x' });
  await ask(NOW - 69_000, NOW - 21_000);
  await expect(ask(NOW - 90_000, NOW - 30_000)).rejects.toMatchObject({ code: 'OWNER_APPROVAL_REQUIRED' });
});

test('a running job can be cancelled, by its own agency only', async () => {
  let aborted: unknown;
  const handlers: Handlers = {
    'live.start': (call) =>
      new Promise((_, reject) =>
        call.signal.addEventListener('abort', () => {
          aborted = call.signal.reason;
          reject(new Error('stopped'));
        }),
      ),
  };
  const box = await counting({ file: termsText(1, { mode: 'live' }), handlers });
  const live = box.desk.take(
    commandText(box, { name: 'live.start', args: { camera: 'gate', target: 'rtsp://c/1', stream: 'sub' } }),
  );
  await expect.poll(() => box.last()?.state).toBe('IN_PROGRESS');
  const job = box.last()!.jobId;
  await box.desk.take(commandText(box, { name: 'live.stop', args: { job: ulid(1) } }));
  expect(box.last()).toMatchObject({ state: 'FAILED', error: { code: 'JOB_UNKNOWN' } });
  await box.desk.take(commandText(box, { name: 'live.stop', args: { job } }));
  await live;
  expect(aborted).toMatchObject({ code: 'CANCELED' });
  expect(box.jobs.filter((one) => one.jobId === job).at(-1)).toMatchObject({ state: 'CANCELED' });
});

test('what a stop of the agent interrupted is taken up; what ran out of time meanwhile is not', async () => {
  const box = await counting({ handlers: { 'clip.request': () => new Promise(() => undefined) } });
  void box.desk.take(commandText(box));
  await expect.poll(() => box.last()?.state).toBe('IN_PROGRESS');
  box.db.tables.jobs.take({
    ...box.db.tables.jobs.open()[0]!,
    id: ulid(2),
    state: 'QUEUED',
    error: null,
  });
  box.gate.close();
  const again = await counting({ dir: box.dir, clock: box.clock });
  await box.clock.advance(120_000);
  await again.desk.resume();
  expect(again.done).toHaveLength(1);
  expect(again.jobs.map((job) => job.state).sort()).toEqual(['IN_PROGRESS', 'SUCCEEDED', 'TIMED_OUT']);
});

test('the list of operators is signed, only rises, and whoever it leaves out commands nothing any more', async () => {
  const box = await counting();
  await enrolOperators(box, 9, newSigner());
  expect(box.refusals()[0]).toMatchObject({ code: 'BAD_SIGNATURE' });
  const empty = { schema: 1, ...box.place, version: 5, operators: [] };
  await box.desk.takeOperators(signJws('bluelight-operators+jws', empty, box.center));
  await box.desk.take(commandText(box));
  expect(box.last()).toMatchObject({ error: { code: 'UNKNOWN_OPERATOR' } });
  await enrolOperators(box, 4);
  await box.desk.take(commandText(box));
  expect(box.last()).toMatchObject({ error: { code: 'UNKNOWN_OPERATOR' } });
  await enrolOperators(box, 6);
  await box.desk.take(commandText(box));
  expect(box.last()?.state).toBe('SUCCEEDED');
  await box.desk.takeOperators(signJws('bluelight-operators+jws', { ...empty, version: 7, box: 'box-2' }, box.center));
  expect(box.refusals()[0]).toMatchObject({ code: 'WRONG_BOX' });
});

test('a flood of forged commands is counted in the audit log, not written out', async () => {
  const box = await counting();
  const before = box.db.tables.audit.head().seq;
  for (let i = 0; i < 500; i++) await box.desk.take(`forged.${i}.x`);
  expect(box.db.tables.audit.head().seq - before).toBe(30);
  await box.desk.close();
  const [sum] = box.refusals();
  expect(sum).toMatchObject({ code: 'BAD_SIGNATURE', detail: { count: 470 } });
});
