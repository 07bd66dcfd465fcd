import { expect, onTestFinished, test } from 'vitest';
import type { AccessRequest } from '../../src/contract/policy.js';
import { Rig } from '../ring/support/rig.js';
import { commandText, enrolOperators, iso, ownerParty, policyBox, technician, termsText } from './helpers.js';

/** Terms of the city that open everything, and a box that records: one trust of the clock for both. */
async function box(trust: Rig['trust']) {
  const rig = new Rig().open();
  onTestFinished(() => rig.remove());
  rig.trust = trust;
  const terms = termsText(1, { mode: 'live', stills: true, autoClips: true }, { authority: 'city' });
  const handlers = { 'clip.request': async () => ({}), 'still.request': async () => ({}) };
  const made = await policyBox({ file: terms, trusted: () => rig.trust !== 'none', handlers });
  await enrolOperators(made);
  rig.begin('gate.main');
  const { desk, jobs, gate, clock } = made;
  const commands = async (): Promise<string[]> => {
    const still = { name: 'still.request', args: { camera: 'gate', at: iso(clock.now() - 30_000) } };
    const answers: string[] = [];
    for (const more of [{}, still]) {
      await desk.take(commandText(made, more));
      answers.push(jobs.at(-1)!.error?.code ?? jobs.at(-1)!.state);
    }
    return answers;
  };
  const ask = (more: Partial<AccessRequest>): AccessRequest => ({
    party: { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' },
    door: 'mqtt',
    kind: 'clip',
    camera: 'gate',
    range: { fromMs: clock.now() - 60_000, toMs: clock.now() - 30_000 },
    reason: 'robbery',
    ...more,
  });
  const open = (more: Partial<AccessRequest> = {}): Promise<string> =>
    gate.authorise(ask(more)).then(
      () => 'given',
      (error: { code: string }) => error.code,
    );
  const auto = { party: { kind: 'agent' }, door: 'auto' } as const;
  /** Every way out of the box. */
  const ways = async (): Promise<string[]> => [
    ...(await commands()),
    await open(auto),
    await open({ kind: 'live', range: { fromMs: clock.now(), toMs: Infinity } }),
    await open({ door: 'http', kind: 'playback' }),
    await open({ door: 'courier' }),
  ];
  /** Half a minute goes by: how many files of footage it left. */
  const recorded = (): number => {
    const before = rig.files().length;
    rig.record(30);
    return rig.files().length - before;
  };
  return { ...made, rig, ways, open, ask, recorded };
}

const REFUSED = Array.from({ length: 6 }, () => 'POLICY_DENIED');
const GIVEN = ['SUCCEEDED', 'SUCCEEDED', 'given', 'given', 'given', 'given'];

test('a clock that was never right: nothing is shared by any door, recording goes on; with the time comes sharing', async () => {
  const made = await box('none');
  expect(made.recorded()).toBeGreaterThanOrEqual(3);
  expect(await made.ways()).toEqual(REFUSED);
  expect(await made.open({ party: ownerParty, door: 'page', kind: 'playback' }), 'what is recorded is his').toBe(
    'given',
  );
  expect(await made.open({ party: technician, door: 'page', kind: 'still' })).toBe('given');
  const refused = made.db.tables.audit.list({ limit: 50, kind: 'access', outcome: 'refused' });
  expect(refused).toHaveLength(6);
  for (const row of refused)
    expect(row.detail).toMatchObject({ why: 'the clock is not trusted, so hours and ends cannot be told' });
  made.rig.trust = 'ntp';
  expect(await made.ways()).toEqual(GIVEN);
});

test('a clock that is trusted no longer: an hour later what runs is cut off and all is refused, until it is trusted again', async () => {
  const made = await box('ntp');
  expect(await made.ways()).toEqual(GIVEN);
  made.rig.trust = 'none';
  await made.clock.advance(55 * 60_000);
  const running = await made.gate.authorise(
    made.ask({ kind: 'live', range: { fromMs: made.clock.now(), toMs: Infinity } }),
  );
  expect(await made.ways(), 'lent trust').toEqual(GIVEN);
  // No jump of the wall clock makes the lease longer.
  made.clock.stepWall(30 * 60_000);
  await made.clock.advance(5 * 60_000 + 1_000);
  expect(running.signal.reason).toMatchObject({ code: 'POLICY_DENIED' });
  expect(await made.ways()).toEqual(REFUSED);
  expect(made.recorded()).toBeGreaterThanOrEqual(3);
  expect(await made.open({ party: ownerParty, door: 'page', kind: 'playback' })).toBe('given');
  made.rig.trust = 'ntp';
  expect(await made.ways()).toEqual(GIVEN);
});
