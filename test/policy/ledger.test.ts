import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { Ledger } from '../../src/ledger.js';
import { decodeSettings } from '../../src/settings/load.js';
import { temporaryDir } from '../store/helpers.js';
import { NOW, ownerParty, policyBox, termsText } from './helpers.js';

const settingsOf = (text = ''): ReturnType<typeof decodeSettings> =>
  decodeSettings(`${text}\n[recording]\ndir = "/tmp/ring"`, 'test.toml');

async function box(dir = temporaryDir()) {
  const made = await policyBox({ dir, file: termsText(1, { mode: 'live' }), clock: new FakeClock(NOW) });
  const ledger = new Ledger({ gate: made.gate, store: made.tables, clock: made.clock });
  const rows = (kind: string) =>
    made.db.tables.audit
      .after({ seq: 0, limit: 500 })
      .filter((row) => row.kind === kind)
      .map(({ action, outcome, party, reason, detail }) => ({ action, outcome, party, reason, detail }));
  return { ...made, ledger, rows };
}

test('starts, good and bad ends, and what was changed in the settings meanwhile stand in the log', async () => {
  const dir = temporaryDir();
  const first = await box(dir);
  await first.ledger.started(settingsOf());
  await first.ledger.stopped();
  await first.ledger.started(settingsOf());
  await first.ledger.started(settingsOf('[log]\nlevel = "debug"'));
  expect(first.rows('config').map(({ reason }) => reason)).toEqual(['log.level from "info" to "debug"']);
  expect(first.rows('box').map(({ action, reason }) => [action, /without warning/.test(reason)])).toEqual([
    ['start', false],
    ['stop', false],
    ['start', false],
    ['start', true],
  ]);
});

test('a flood at the door is counted to the last knock and takes few rows', async () => {
  const { ledger, rows, clock } = await box();
  const knock = {
    action: 'login',
    outcome: 'refused',
    who: null,
    door: 'page',
    remote: '10.0.0.9',
    code: 'BAD_LOGIN',
    reason: 'This code is not right.',
  } as const;
  for (let i = 0; i < 1_000; i++) await ledger.atDoor(knock);
  await clock.advance(61_000);
  const found = rows('login').filter(({ party }) => party === 'somebody at 10.0.0.9');
  expect(found.length).toBeLessThan(10);
  const counted = found.reduce((sum, { detail }) => sum + ((detail as { count?: number } | null)?.count ?? 1), 0);
  expect(counted).toBe(1_000);
  await ledger.atDoor({ ...knock, outcome: 'done', who: ownerParty, code: null });
  expect(rows('login').at(-1)).toMatchObject({ action: 'login', outcome: 'done', party: 'Ms Lee' });
});

test('what people at the box watched is summed up in bytes, and nothing is lost at the stop', async () => {
  const { gate, ledger, clock, db } = await box();
  const look = async (bytes: number): Promise<void> => {
    const grant = await gate.authorise({
      party: ownerParty,
      door: 'page',
      kind: 'live',
      camera: 'gate',
      range: { fromMs: NOW, toMs: Number.MAX_SAFE_INTEGER },
      reason: 'own use',
    });
    await gate.finished(grant, { outcome: 'done', bytes, why: 'the viewer went' });
  };
  const ends = () => db.tables.audit.after({ seq: 0, limit: 99 }).filter((row) => row.ref !== null);
  await look(100);
  await look(20);
  expect(ends()).toEqual([]);
  await clock.advance(6 * 60_000);
  await expect.poll(ends).toMatchObject([{ outcome: 'done', bytes: 120, party: 'Ms Lee', action: 'live' }]);
  await look(3);
  await ledger.stopped();
  expect(ends().map(({ bytes }) => bytes)).toEqual([120, 3]);
});
