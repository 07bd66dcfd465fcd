import { expect, test } from 'vitest';
import type { Party } from '../../src/contract/policy.js';
import { Holds } from '../../src/holds.js';
import { NOW, policyBox } from './helpers.js';

const owner: Extract<Party, { kind: 'local' }> = { kind: 'local', role: 'owner', name: 'Ms Lee' };
const technician: typeof owner = { kind: 'local', role: 'technician', name: 'socket' };
const HOUR = 3_600_000;
/** Of each stream, whatever the time. */
const BYTES_PER_HOUR = 1e9;

async function box(quota: number, trusted = () => true) {
  const { tables, gate, clock } = await policyBox({ trusted });
  const told: string[][] = [];
  const holds = new Holds({
    clock,
    gate,
    store: tables as never,
    settings: { 'recording.quota': quota } as never,
    ring: {
      coverage: async ({ fromMs, toMs }) => {
        const ms = Math.max(0, Math.min(toMs, clock.now()) - fromMs);
        return { spans: [{ fromMs, toMs: fromMs + ms, bytes: 0 }], gaps: [], bytes: (ms / HOUR) * BYTES_PER_HOUR };
      },
    },
    outside: {
      holdsChanged: async () => void told.push((await tables.holds.active()).map((hold) => hold.id)),
    } as never,
  });
  const hour = (hours: number): { fromMs: number; toMs: number } => ({
    fromMs: clock.now() - hours * HOUR,
    toMs: clock.now(),
  });
  return { tables, gate, clock, holds, told, hour };
}

test('what is accepted is told to the ring before the answer, stands in the log and is listed with its size', async () => {
  const { holds, told, tables, hour } = await box(20e9);
  const held = await holds.add({ camera: 'gate', range: hour(1), reason: 'theft on Monday', expiresMs: null }, owner);
  expect(told).toEqual([[held.id]]);
  expect(held).toMatchObject({ camera: 'gate', by: 'Ms Lee', center: false, expiresAt: null, bytes: 2e9 });
  expect(await holds.list()).toEqual({ holds: [held], bytes: 2e9, limitBytes: 10e9 });
  const [entry] = await tables.audit.list({ limit: 1 });
  expect(entry).toMatchObject({
    kind: 'hold',
    action: 'set',
    party: 'Ms Lee',
    camera: 'gate',
    reason: 'theft on Monday',
  });
});

test('holds that would crowd out the recording are refused, those of the future by the present rate', async () => {
  const { holds, hour, told, clock } = await box(20e9);
  const add = (range: { fromMs: number; toMs: number }): Promise<unknown> =>
    holds.add({ camera: 'gate', range, reason: 'the whole day', expiresMs: null }, owner);
  await expect(add(hour(6))).rejects.toMatchObject({
    code: 'HOLD_LIMIT',
    message: expect.stringContaining('10000 MB') as string,
  });
  await add(hour(4));
  await expect(add({ fromMs: clock.now(), toMs: clock.now() + 2 * HOUR })).rejects.toMatchObject({
    code: 'HOLD_LIMIT',
  });
  await add({ fromMs: clock.now(), toMs: clock.now() + HOUR / 2 });
  expect(told).toHaveLength(2);
  // The center may fill a quarter only.
  await expect(holds.fits([{ camera: 'gate', range: hour(3) }], { center: true })).rejects.toMatchObject({
    code: 'HOLD_LIMIT',
  });
});

test('a hold ends by the clock only while that is trusted', async () => {
  let trusted = false;
  const { holds, told, clock, hour, tables } = await box(20e9, () => trusted);
  await holds.add({ camera: 'gate', range: hour(1), reason: 'for a day', expiresMs: NOW + 24 * HOUR }, owner);
  await expect(
    holds.add({ camera: 'gate', range: hour(1), reason: 'yesterday', expiresMs: NOW - 1 }, owner),
  ).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  await clock.advance(48 * HOUR);
  await holds.expire();
  expect(told).toHaveLength(1);
  trusted = true;
  await clock.advance(2_000);
  await holds.expire();
  expect(told.at(-1)).toEqual([]);
  expect((await holds.list()).holds).toEqual([]);
  const log = await tables.audit.list({ limit: 5 });
  expect(log.filter((row) => row.kind === 'hold').map((row) => row.action)).toEqual(['release', 'set']);
});

test('a hold does not end because the clock was stepped, but when its time has passed', async () => {
  const { holds, told, clock, hour } = await box(20e9);
  await holds.expire();
  await holds.add({ camera: 'gate', range: hour(1), reason: 'for a day', expiresMs: NOW + 24 * HOUR }, owner);
  for (const step of [48, -96, 72]) {
    clock.stepWall(step * HOUR);
    for (let minute = 0; minute < 10; minute++) {
      await clock.advance(60_000);
      await holds.expire();
    }
    expect(told, `${step} hours`).toHaveLength(1);
  }
  clock.stepWall(-24 * HOUR);
  await clock.advance(24 * HOUR);
  await holds.expire();
  expect(told.at(-1)).toEqual([]);
});

test('what the center holds the owner releases, and nobody else on the box', async () => {
  const { holds, tables, hour } = await box(20e9);
  const id = 'job-1:gate';
  const by = 'sgt-7, police';
  await tables.holds.set({
    id,
    camera: 'gate',
    ...hour(1),
    reason: 'case',
    by,
    job: 'job-1',
    createdMs: NOW,
    expiresMs: null,
  });
  expect((await holds.list()).holds).toMatchObject([{ id, center: true, by }]);
  await expect(holds.release(id, 'no more needed', technician)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await holds.release(id, 'no more needed', owner);
  expect((await holds.list()).holds).toEqual([]);
  await expect(holds.release(id, 'twice', owner)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
