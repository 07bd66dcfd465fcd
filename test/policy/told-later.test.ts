import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { auditDesk } from '../../src/audit-desk.js';
import { auditQuery } from '../../src/contract/audit.js';
import type { Party } from '../../src/contract/policy.js';
import type { Handlers } from '../../src/policy/command-desk.js';
import { verifyAuditExport } from '../../src/policy/audit-export.js';
import { commandText, enrolOperators, NOW, ownerParty, policyBox, technician, termsText } from './helpers.js';
import type { BoxOptions } from './helpers.js';

const MINUTE = 60_000;
const LIMIT_S = 600;
const file = termsText(1, {}, { notifyDelaySeconds: LIMIT_S });
const viewer: Party = { kind: 'local', role: 'viewer', name: 'clerk' };

/** A box with the log as the page reads it. */
async function box(options: BoxOptions = {}) {
  const made = await policyBox({ file, ...options });
  const { gate, tables, signer, clock, place } = made;
  const audit = auditDesk({
    store: tables as never,
    gate,
    signer,
    clock,
    place: () => place,
    timeZone: () => 'UTC',
    ring: { newestCheckpoint: async () => null },
  });
  await enrolOperators(made);
  /** Whether this person finds the look anywhere in what the page shows. */
  const sees = async (by: Party): Promise<boolean> => {
    const rows = await audit.list(auditQuery.parse({}), by);
    const week = await audit.digest({ to: new Date(clock.now() + 1).toISOString() }, by);
    const found = rows.some((row) => row.words.includes('jdoe'));
    expect(week.lines.some((words) => words.includes('jdoe'))).toBe(found);
    expect(Object.keys(week.numbers.byAgency)).toEqual(found ? ['JPD'] : []);
    expect(week.summary.join().includes('JPD')).toBe(found);
    return found;
  };
  const copy = async (by: Party): Promise<string> => {
    let text = '';
    for await (const line of audit.export(by)) text += line;
    return text;
  };
  return { ...made, audit, sees, copy };
}

async function looked(delay = LIMIT_S, options: BoxOptions = {}) {
  const handlers: Handlers = {
    'clip.request': async ({ grants }) =>
      made.gate.finished(grants[0]!, { outcome: 'done', bytes: 7, why: 'clip sent to jdoe' }),
  };
  const made: Awaited<ReturnType<typeof box>> = await box({ handlers, ...options });
  await made.desk.take(commandText(made, { notifyDelaySeconds: delay }));
  expect(made.jobs.at(-1)).toMatchObject({ state: 'SUCCEEDED' });
  return made;
}

test('a look is told later within the limit of the terms: withheld from owner and viewer, then shown whole', async () => {
  const made = await looked();
  expect(await made.sees(technician)).toBe(true);
  const whole = made.db.tables.audit.numbers({ fromMs: 0, toMs: NOW + 1 });
  expect(whole, 'at once in the log').toMatchObject({ granted: { clip: 1 }, bytesOut: 7 });
  for (const by of [ownerParty, viewer]) {
    expect(await made.sees(by)).toBe(false);
    await made.clock.advance(5 * MINUTE - 1);
  }
  const { summary } = await made.audit.digest({}, ownerParty);
  expect(summary.join(' ')).toContain('told of a look up to 10 minutes later');
  expect((await made.audit.numbers(2026, ownerParty)).numbers.bytesOut).toBe(0);
  expect(await made.sees(ownerParty)).toBe(false);
  await made.clock.advance(2);
  expect(await made.sees(ownerParty)).toBe(true);
  expect(await made.sees(viewer)).toBe(true);
  expect((await made.audit.numbers(2026, ownerParty)).numbers).toMatchObject(whole);
  expect(await made.audit.verify()).toMatchObject({ fault: null });
});

test('a delay beyond the terms, or for what is no look, is refused with its code and told at once', async () => {
  const made = await box();
  const open = { name: 'camera.rescan', args: {}, notifyDelaySeconds: 1 };
  for (const more of [{ notifyDelaySeconds: LIMIT_S + 1 }, open]) {
    await made.desk.take(commandText(made, more));
    expect(made.jobs.at(-1)).toMatchObject({ state: 'REJECTED', error: { code: 'NOTIFY_DELAY' } });
  }
  const [row] = await made.audit.list(auditQuery.parse({}), ownerParty);
  expect(row).toMatchObject({ kind: 'command.camera.rescan', code: 'NOTIFY_DELAY', party: 'jdoe' });
  made.file.text = termsText(2);
  await made.gate.reload();
  await made.desk.take(commandText(made, { notifyDelaySeconds: 1 }));
  expect(made.jobs.at(-1), 'terms that say nothing of it allow none').toMatchObject({
    error: { code: 'NOTIFY_DELAY' },
  });
  expect(made.db.tables.audit.list({ limit: 9, kind: 'access' })).toEqual([]);
});

test("the owner's copy during the delay ends before the look, says so and is verified; the later one is whole", async () => {
  const made = await looked();
  const key = [made.signer.keyId];
  const early = await made.copy(ownerParty);
  expect(early).not.toContain('jdoe');
  const verdict = verifyAuditExport(early, key);
  expect(verdict).toMatchObject({ fault: null, trusted: true, head: { toldLater: true } });
  expect(verdict.rows).toBeGreaterThan(0);
  const head = made.db.tables.audit.head();
  expect(verifyAuditExport(early, key, head).fault).toMatchObject({ code: 'TOLD_LATER' });
  const path = join(made.dir, 'copy.ndjson');
  writeFileSync(path, early);
  const printed = execFileSync(
    process.execPath,
    ['--import', 'tsx', 'src/cli/main.ts', 'audit', 'verify', path, '--key', made.signer.keyId],
    { encoding: 'utf8' },
  );
  expect(printed).toContain('ends before a look of which the owner is told later');
  expect(verifyAuditExport(await made.copy(technician), key)).toMatchObject({ fault: null, trusted: true });
  await made.clock.advance(LIMIT_S * 1_000);
  const late = await made.copy(ownerParty);
  expect(late).toContain('jdoe');
  expect(verifyAuditExport(late, key, head)).toMatchObject({ fault: null, trusted: true });
});

test('a restart neither tells earlier nor later', async () => {
  const first = await looked();
  await first.clock.advance(4 * MINUTE);
  first.gate.close();
  const second = await box({ dir: first.dir, clock: first.clock });
  expect(await second.sees(ownerParty)).toBe(false);
  await second.clock.advance(6 * MINUTE - 1);
  expect(await second.sees(ownerParty)).toBe(false);
  await second.clock.advance(1);
  expect(await second.sees(ownerParty)).toBe(true);
});

test('wherever the time is not certain the owner is told: jumps of the clock, a clock that is not trusted', async () => {
  const slow = await looked();
  await slow.clock.advance(9 * MINUTE);
  slow.clock.stepWall(-8 * MINUTE);
  expect(await slow.sees(ownerParty)).toBe(false);
  await slow.clock.advance(MINUTE);
  expect(await slow.sees(ownerParty), 'a clock set back makes it no later').toBe(true);

  const back = await looked();
  back.clock.stepWall(-24 * 60 * MINUTE);
  const restarted = await box({ dir: back.dir, clock: back.clock });
  expect(restarted.gate.later.jobs(), 'from before the look').toEqual([]);

  let trusted = true;
  const lost = await looked(7_200, {
    trusted: () => trusted,
    file: termsText(1, {}, { notifyDelaySeconds: 7_200 }),
  });
  trusted = false;
  await lost.clock.advance(59 * MINUTE);
  expect(await lost.sees(ownerParty), 'while its lease runs').toBe(false);
  await lost.clock.advance(2 * MINUTE);
  expect(await lost.sees(ownerParty)).toBe(true);
});

test('who takes the delay back or ends the sharing is told at once; who is asked knows already', async () => {
  const made = await looked();
  made.file.text = termsText(2);
  await made.gate.reload();
  expect(await made.sees(ownerParty)).toBe(true);

  const left = await looked();
  await left.gate.setEnrolment('ended', ownerParty, 'I leave');
  expect(await left.sees(ownerParty)).toBe(true);

  const asked = await box({
    handlers: { 'clip.request': async () => ({}) },
    file: termsText(1, { mode: 'ask' }, { notifyDelaySeconds: LIMIT_S }),
  });
  await asked.desk.take(commandText(asked, { notifyDelaySeconds: LIMIT_S }));
  expect(await asked.asks.waiting()).toHaveLength(1);
  expect(asked.gate.later.jobs()).toEqual([]);
});
