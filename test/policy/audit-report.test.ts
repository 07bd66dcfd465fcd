import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { auditNumbers, BY_EMERGENCY } from '../../src/store/audit-numbers.js';
import { auditDigest, auditOfRows, yearOf } from '../../src/policy/audit-report.js';
import { exportAudit, readAuditExport, verifyAuditExport } from '../../src/policy/audit-export.js';
import { toAuditEntry } from '../../src/policy/audit-note.js';
import { auditWords } from '../../src/policy/audit-words.js';
import { canonical } from '../../src/proof/canonical.js';
import { auditHeadKey, auditTable } from '../../src/store/audit.js';
import { sealKey } from '../../src/store/secret-files.js';
import { localStore } from '../../src/store/local.js';
import { Sql } from '../../src/store/sql.js';
import { note, openState, temporaryDir } from '../store/helpers.js';
import { newSigner, NOW } from './helpers.js';

const operator = { party: 'jdoe', agency: 'JPD', role: 'detective', caseNo: 'C-1', camera: 'gate' };
const names = { gate: 'Front gate' };

function log(count = 0) {
  const db = openState();
  const store = localStore(db);
  for (let i = 0; i < count; i++) db.tables.audit.append(note({ ...operator, atMs: NOW + i, reason: `reason ${i} é` }));
  return { db, audit: db.tables.audit, store };
}

async function exported(rows: number) {
  const { store } = log(rows);
  const signer = newSigner();
  let text = '';
  for await (const line of exportAudit(store.audit, signer, { site: 's', box: 'b', at: 'now' })) text += line;
  return { text, signer };
}

test('sentences that an owner understands', () => {
  const { audit } = log();
  const say = auditWords(names, 'America/Chicago');
  const fromMs = NOW - 60_000;
  const granted = audit.append(note({ ...operator, atMs: NOW, fromMs, toMs: NOW, reason: 'robbery' }));
  expect(say(granted)).toBe(
    '2026-06-03 10:00:00: jdoe of JPD, detective got a recorded clip of Front gate, 2026-06-03 09:59:00 to 2026-06-03 10:00:00. Reason given: robbery (case C-1).',
  );
  const refused = audit.append(
    note({
      ...operator,
      atMs: NOW,
      outcome: 'refused',
      action: 'live',
      code: 'OUTSIDE_HOURS',
      detail: { why: 'not within the hours' },
    }),
  );
  expect(say(refused)).toContain('asked for the live picture of Front gate and was refused (not within the hours)');
  const unasked = audit.append(note({ party: 'agent', door: 'auto', camera: 'gate', atMs: NOW, reason: 'motion' }));
  expect(say(unasked)).toContain('the city (unasked, as you agreed) got a recorded clip of Front gate');
  const paused = audit.append(
    note({
      kind: 'policy',
      party: 'Ms Lee',
      role: 'owner',
      door: 'page',
      action: 'pause',
      outcome: 'done',
      reason: 'party',
      atMs: NOW,
    }),
  );
  expect(say(paused)).toBe('2026-06-03 10:00:00: Ms Lee, owner (at the box) paused sharing until it is resumed: party');
});

test('the numbers of a year: by kind, agency, case and code; what went out in bytes; counted floods included', () => {
  const { audit } = log();
  for (const row of [
    note({ ...operator, outcome: 'granted' }),
    note({ ...operator, outcome: 'granted', action: 'live', caseNo: null, detail: { why: BY_EMERGENCY } }),
    note({ ...operator, outcome: 'done', ref: 'X', bytes: 500 }),
    note({ ...operator, party: 'other', outcome: 'refused', code: 'PAUSED_BY_OWNER', caseNo: 'C-2' }),
    note({ party: 'agent', door: 'auto', camera: 'gate' }),
    note({ party: 'agent', door: 'auto', camera: 'gate', outcome: 'done', ref: 'Y', bytes: 70 }),
    note({ party: 'Ms Lee', role: 'owner', door: 'page', action: 'playback', camera: 'gate' }),
    note({ party: 'Ms Lee', role: 'owner', door: 'page', action: 'export', ref: 'Z', outcome: 'done', bytes: 9_999 }),
    note({ kind: 'command', outcome: 'done', ...operator }),
    note({ kind: 'command', outcome: 'refused', ...operator }),
    note({ kind: 'command', outcome: 'refused', ...operator, detail: { count: 470 } }),
    note({ kind: 'policy', action: 'pause', outcome: 'done' }),
    note({ kind: 'policy', action: 'emergency.open', outcome: 'done', detail: { test: false } }),
    note({ kind: 'policy', action: 'emergency.open', outcome: 'done', detail: { test: true } }),
    note({ kind: 'login', action: 'login', outcome: 'done' }),
    note({ kind: 'login', action: 'login', outcome: 'refused' }),
    note({ kind: 'login', action: 'enter', outcome: 'refused', detail: { count: 41 } }),
    note({ kind: 'policy', action: 'terms', outcome: 'done' }),
  ]) {
    audit.append(row);
  }
  expect(audit.numbers({ fromMs: 0, toMs: NOW })).toEqual({
    granted: { clip: 1, live: 1 },
    refused: { clip: 1 },
    refusedByCode: { PAUSED_BY_OWNER: 1 },
    byAgency: { JPD: { granted: 2, refused: 1, bytes: 500 } },
    byReason: [{ reason: 'robbery', granted: 2, refused: 1 }],
    otherReasons: 0,
    persons: 2,
    cases: 2,
    withoutCase: 1,
    byCamera: { gate: 2 },
    clipsUnasked: 1,
    bytesOut: 570,
    localLooks: { owner: 1 },
    commands: { carriedOut: 1, refused: 471, failed: 0 },
    logins: { done: 1, refused: 42 },
    policyChanges: 1,
    pauses: 1,
    emergencies: 1,
    emergencyLooks: 1,
  });
});

test('an exported log verifies offline; the author only if his key is known', async () => {
  const { text, signer } = await exported(5);
  expect(verifyAuditExport(text, [signer.keyId])).toMatchObject({ rows: 5, fault: null, trusted: true });
  expect(verifyAuditExport(text, [])).toMatchObject({ rows: 5, fault: null, trusted: false });
  expect(verifyAuditExport(text, [newSigner().keyId])).toMatchObject({ fault: null, trusted: false });
  expect(verifyAuditExport('', [])).toMatchObject({ fault: { code: 'NO_HEAD' } });
  const empty = await exported(0);
  expect(verifyAuditExport(empty.text, [empty.signer.keyId])).toMatchObject({ rows: 0, fault: null, trusted: true });
});

test('the chain can be recomputed with sha256sum alone', async () => {
  const { text } = await exported(2);
  const [, second] = text.split('\n').map((line) => JSON.parse(line || '{}') as { link: string });
  const first = JSON.parse(text.split('\n')[0]!) as { link: string };
  const { link, ...row } = second!;
  const bytes = canonical({ type: 'bluelight/audit/v1', previous: first.link, ...row });
  expect(execFileSync('sha256sum', { input: bytes }).toString().slice(0, 64)).toBe(link);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(link);
});

test('every changed byte, every removed, moved or repeated line of an export is found', async () => {
  const { text, signer } = await exported(4);
  const trusted = [signer.keyId];
  for (let at = 0; at < text.length; at++) {
    const changed = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
    expect(verifyAuditExport(changed, trusted).trusted, `byte ${at}`).toBe(false);
  }
  const lines = text.trimEnd().split('\n');
  for (let i = 0; i < lines.length; i++) {
    const without = lines.filter((_, at) => at !== i).join('\n');
    const twice = [...lines.slice(0, i), lines[i], ...lines.slice(i)].join('\n');
    expect(verifyAuditExport(without, trusted).fault, `without ${i}`).toMatchObject({
      seq: i < 4 ? Math.min(i + 1, 4) : expect.any(Number),
    });
    expect(verifyAuditExport(twice, trusted).fault, `twice ${i}`).not.toBeNull();
  }
  fc.assert(
    fc.property(fc.nat(3), fc.nat(3), (a, b) => {
      const moved = [...lines];
      [moved[a], moved[b]] = [lines[b]!, lines[a]!];
      const { fault } = verifyAuditExport(moved.join('\n'), trusted);
      return a === b ? fault === null : fault?.seq === Math.min(a, b) + 1;
    }),
  );
});

const YEAR_MS = 365 * 86_400_000;
/** Some 110 a day: clips of motion and what they took, operators who look and are refused, the owner on his page. */
function yearRow(i: number, rows: number): ReturnType<typeof note> {
  const atMs = NOW - YEAR_MS + Math.floor((i * YEAR_MS) / rows);
  const seen = { camera: `cam-${i % 8}`, atMs, fromMs: atMs - 60_000, toMs: atMs };
  const asked = { ...operator, ...seen, party: `op-${i % 40}`, caseNo: `C-${i % 500}`, reason: `reason ${i % 700}` };
  switch (i % 10) {
    case 0:
      return note({ ...asked, detail: { why: 'shared in clips' } });
    case 1:
      return note({ ...asked, outcome: 'done', ref: 'X', bytes: 9_000_000, reason: 'clip delivered' });
    case 2:
      return note({ ...asked, outcome: 'refused', code: 'OUTSIDE_HOURS', detail: { why: 'not within the hours' } });
    case 3:
      return note({ kind: 'login', action: 'login', outcome: 'done', party: 'Ms Lee', role: 'owner', atMs });
    case 4:
    case 5:
      return note({ ...seen, party: 'Ms Lee', role: 'owner', door: 'page', action: 'live' });
    default:
      return note({ ...seen, party: 'agent', door: 'auto', reason: 'motion', detail: { why: 'shared in clips' } });
  }
}

test('a year of rows is shown in less than a second', async () => {
  const dir = temporaryDir();
  const store = localStore(openState({ dir }));
  const rows = 40_000;
  // Written in one go: live, each row is committed by itself, which is not what is measured here.
  const raw = new Database(join(dir, 'state.db'));
  raw.pragma('synchronous = OFF');
  const sql = new Sql(raw);
  const bulk = auditTable(sql, auditHeadKey(sealKey(dir)));
  sql.transaction(() => {
    for (let i = 0; i < rows; i++) bulk.append(yearRow(i, rows));
  });
  raw.close();
  // Time of the processor, not of the wall: other tests run on the same cores.
  const cpuMs = async <T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> => {
    const started = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(started);
    return { ms: (user + system) / 1000, result };
  };
  const site = { names, timeZone: 'America/Chicago' };
  const shown = await cpuMs(async () => {
    const digest = await auditDigest(store.audit, { fromMs: NOW - YEAR_MS, toMs: NOW }, site);
    const entries = (await store.audit.list({ limit: 500 })).map(toAuditEntry(auditWords(names, site.timeZone)));
    return { digest, entries };
  });
  const verified = await cpuMs(() => store.audit.verify(null));
  const { digest, entries } = shown.result;
  expect(verified.result).toMatchObject({ rows, fault: null });
  expect(entries).toHaveLength(500);
  expect(digest.numbers).toMatchObject({
    granted: { clip: rows / 10 },
    refused: { clip: rows / 10 },
    clipsUnasked: (rows * 4) / 10,
    byAgency: { JPD: { granted: rows / 10, refused: rows / 10, bytes: (9_000_000 * rows) / 10 } },
    localLooks: { owner: rows / 5 },
  });
  expect(digest.numbers.byReason).toHaveLength(30);
  const named = digest.numbers.byReason.reduce((sum, one) => sum + one.granted + one.refused, 0);
  expect(named + digest.numbers.otherReasons).toBe(rows / 5);
  expect(digest.lines).toHaveLength(200);
  expect(digest.more).toBe(rows / 5 - 200);
  console.log(`a year of ${rows} rows: shown in ${shown.ms.toFixed(0)} ms, verified in ${verified.ms.toFixed(0)} ms`);
  expect(shown.ms).toBeLessThan(1_000);
  // On any machine: to show it costs a part of hashing it once.
  expect(shown.ms / verified.ms).toBeLessThan(0.6);
});

test.each([
  ['America/Chicago', '2026-01-01T06:00:00.000Z', '2027-01-01T06:00:00.000Z'],
  ['Pacific/Auckland', '2025-12-31T11:00:00.000Z', '2026-12-31T11:00:00.000Z'],
  ['Asia/Kolkata', '2025-12-31T18:30:00.000Z', '2026-12-31T18:30:00.000Z'],
  ['UTC', '2026-01-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
])('the year of a site in %s', (zone, from, to) => {
  expect(yearOf(2026, zone)).toEqual({ fromMs: Date.parse(from), toMs: Date.parse(to) });
});

test('a copy of the log tells the same numbers and words as the box', async () => {
  const { audit, store } = log();
  for (let i = 0; i < 60; i++) audit.append(yearRow(i, 60));
  let text = '';
  const place = { site: 's', box: 'b', at: 'now', timeZone: 'America/Chicago', cameras: names };
  for await (const line of exportAudit(store.audit, newSigner(), place)) text += line;
  const { rows, head } = readAuditExport(text);
  expect(head).toMatchObject({ timeZone: 'America/Chicago', cameras: names });
  const site = { names, timeZone: 'America/Chicago' };
  const range = { fromMs: NOW - YEAR_MS / 2, toMs: NOW };
  const here = await auditDigest(store.audit, range, site);
  expect(await auditDigest(auditOfRows(rows, auditNumbers), range, site)).toEqual(here);
  expect(here.lines.length).toBeGreaterThan(3);
});

test('a receipt finds what was cut off before the copy was signed', async () => {
  const { text, signer } = await exported(5);
  const { rows } = readAuditExport(text);
  const receipt = { seq: 5, link: rows[4]!.link };
  expect(verifyAuditExport(text, [signer.keyId], receipt)).toMatchObject({ fault: null, trusted: true });
  let cut = '';
  const short = { after: async (page: { seq: number }) => (page.seq === 0 ? rows.slice(0, 3) : []) };
  for await (const line of exportAudit(short, signer, { site: 's', box: 'b', at: 'now' })) cut += line;
  expect(verifyAuditExport(cut, [signer.keyId])).toMatchObject({ rows: 3, fault: null });
  expect(verifyAuditExport(cut, [signer.keyId], receipt)).toMatchObject({ fault: { seq: 4, code: 'ROW_MISSING' } });
});
