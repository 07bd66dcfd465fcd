import { cpSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AUDIT_START, auditLink, auditText, checkAuditChain, type AuditRow } from '../../src/store/audit-chain.js';
import { note, openState, temporaryDir } from './helpers.js';

function filled(rows: number) {
  const dir = temporaryDir();
  const db = openState({ dir });
  for (let i = 0; i < rows; i++) {
    db.tables.audit.append(
      note({ atMs: 1_000 + i, camera: i % 2 ? 'gate' : 'yard', bytes: i, detail: { i, note: 'é' }, caseNo: `C-${i}` }),
    );
  }
  return { db, dir, audit: db.tables.audit };
}

/** What an attacker with the file can do: the triggers do not stop him. */
function tamper(dir: string, sql: string): void {
  const raw = new Database(join(dir, 'state.db'));
  raw.exec('drop trigger audit_is_append_only_update; drop trigger audit_is_append_only_delete;');
  raw.exec(sql);
  raw.close();
}

test('a chain that nobody touched is whole', () => {
  const { audit } = filled(20);
  expect(audit.verify(null)).toEqual({ rows: 20, link: audit.head().link, fault: null });
  expect(audit.verify(audit.head()).fault).toBeNull();
});

test('SQL alone cannot change or remove a row', () => {
  const { dir } = filled(3);
  const raw = new Database(join(dir, 'state.db'));
  expect(() => raw.exec(`update audit set reason = 'x' where seq = 2`)).toThrow(/append-only/);
  expect(() => raw.exec('delete from audit where seq = 2')).toThrow(/append-only/);
  raw.close();
});

const columns = [
  ['id', `'X'`],
  ['at_ms', 'at_ms + 1'],
  ['kind', `'policy'`],
  ['outcome', `'refused'`],
  ['party', `'Nobody'`],
  ['agency', `'XPD'`],
  ['role', `'chief'`],
  ['door', `'page'`],
  ['action', `'live'`],
  ['camera', `'other'`],
  ['camera', 'null'],
  ['from_ms', '5'],
  ['to_ms', '5'],
  ['code', `'PAUSED_BY_OWNER'`],
  ['reason', `reason || ' '`],
  ['case_no', 'null'],
  ['bytes', 'bytes + 1'],
  ['ref', `'R'`],
  ['detail', `'{"i":1}'`],
  ['link', `replace(link, substr(link, 1, 1), 'z')`],
] as const;

test.each(columns)('an edit of %s to %s is found at its row', (column, value) => {
  const { audit, dir } = filled(9);
  tamper(dir, `update audit set ${column} = ${value} where seq = 5`);
  expect(audit.verify(null).fault).toMatchObject({ seq: 5, code: 'ROW_CHANGED' });
});

test('a removed row is found where it is missing, the first and the last too; a copy of the head finds a cut end', () => {
  const inside = filled(9);
  tamper(inside.dir, 'delete from audit where seq = 4');
  expect(inside.audit.verify(null).fault).toMatchObject({ seq: 4, code: 'ROW_MISSING' });
  const end = filled(9);
  const head = end.audit.head();
  tamper(end.dir, 'delete from audit where seq > 7');
  expect(end.audit.verify(null).fault).toMatchObject({ seq: 8, code: 'ROW_MISSING' });
  expect(end.audit.verify(head).fault).toMatchObject({ seq: 8, code: 'ROW_MISSING' });
});

/** What somebody does who knows the format, but has only the database: every link is right again. */
function rechain(dir: string, from: number): void {
  const raw = new Database(join(dir, 'state.db'));
  const rows = raw.prepare('select * from audit where seq >= ? order by seq').all(from) as Record<string, never>[];
  let link = (raw.prepare('select link from audit where seq = ?').get(from - 1) as { link: string } | undefined)?.link;
  for (const row of rows) {
    const { at_ms, from_ms, to_ms, case_no, detail, ...same } = row as Record<string, unknown>;
    const whole = { ...same, atMs: at_ms, fromMs: from_ms, toMs: to_ms, caseNo: case_no } as unknown as AuditRow;
    const parsed: unknown = detail === null ? null : JSON.parse(detail as string);
    link = auditLink(link ?? AUDIT_START, { ...whole, detail: parsed });
    raw.prepare('update audit set link = ? where seq = ?').run(link, row['seq']);
  }
  raw.close();
}

const ROWS = 12;
test('whatever is changed, removed or cut off, at whatever row, is found at that row, also after more was written', () => {
  const template = filled(ROWS);
  template.db.close();
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const change = fc.record({
    at: fc.integer({ min: 1, max: ROWS }),
    how: fc.constantFrom('edit', 'remove', 'truncate', 'forge', 'add', 'no head'),
    column: fc.constantFrom(...columns.filter(([column]) => column !== 'camera')),
    more: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(
    fc.property(change, ({ at, how, column: [column, value], more }) => {
      const dir = temporaryDir();
      cpSync(template.dir, dir, { recursive: true });
      if (how === 'edit') tamper(dir, `update audit set ${column} = ${value} where seq = ${at}`);
      if (how === 'remove') tamper(dir, `delete from audit where seq = ${at}`);
      if (how === 'truncate') tamper(dir, `delete from audit where seq >= ${at}`);
      if (how === 'no head') tamper(dir, `delete from kv where key = 'audit.head'`);
      if (how === 'forge') {
        tamper(dir, `update audit set reason = 'nothing to see' where seq = ${at}`);
        rechain(dir, at);
      }
      if (how === 'add') {
        tamper(
          dir,
          `insert into audit select ${ROWS + 1}, 'N', at_ms, kind, outcome, party, agency, role, door, action,
          camera, from_ms, to_ms, code, reason, case_no, bytes, ref, detail, link from audit where seq = ${ROWS}`,
        );
        rechain(dir, ROWS + 1);
      }
      const db = openState({ dir });
      for (let i = 0; i < more; i++) db.tables.audit.append(note({ atMs: 9_000 + i }));
      const { fault } = db.tables.audit.verify(null);
      db.close();
      // Somebody who computes every link anew is found by the newest row, which he cannot sign.
      const where = how === 'forge' ? ROWS : how === 'add' || how === 'no head' ? ROWS + 1 : at;
      return fault?.seq === where;
    }),
    { seed, numRuns: 80 },
  );
});

test('a log that nobody touched stays whole over restarts', () => {
  const { db, dir } = filled(3);
  db.close();
  const again = openState({ dir });
  again.tables.audit.append(note());
  expect(again.tables.audit.verify(null)).toMatchObject({ rows: 4, fault: null });
  expect(again.tables.audit.holds(again.tables.audit.head().link)).toBe(true);
  expect(again.tables.audit.holds('f'.repeat(64))).toBe(false);
});

test('keys and logins come and go with a row each', () => {
  const { tables } = openState();
  tables.keys.install({ kid: 'A', role: 'box', atMs: 1 });
  tables.keys.install({ kid: 'A', role: 'box', atMs: 2 });
  tables.keys.install({ kid: 'B', role: 'owner', wrapped: { v: 1 }, atMs: 3 });
  tables.keys.rewrap({ kid: 'B', wrapped: { v: 2 }, atMs: 4 });
  tables.keys.revoke({ kid: 'B', atMs: 5 });
  tables.logins.put({ name: 'Ms Lee', role: 'owner', secretHash: 'x', expiresMs: null, createdMs: 6 });
  tables.logins.remove({ name: 'Ms Lee', atMs: 7 });
  tables.logins.remove({ name: 'Ms Lee', atMs: 8 });
  const rows = tables.audit.after({ seq: 0, limit: 99 });
  expect(rows.map(({ kind, action, atMs, reason }) => [kind, action, atMs, reason])).toEqual([
    ['key', 'box.new', 1, 'key A'],
    ['key', 'owner.new', 3, 'key B'],
    ['key', 'passphrase', 4, 'key B'],
    ['key', 'owner.revoked', 5, 'key B'],
    ['login', 'set', 6, 'Ms Lee, owner'],
    ['login', 'removed', 7, 'Ms Lee'],
  ]);
  expect(tables.audit.verify(null).fault).toBeNull();
});

test('a log written anew from some row on differs from the head that was published', () => {
  const { audit } = filled(4);
  const head = audit.head();
  const other = filled(4).audit;
  expect(other.verify(head).fault).toMatchObject({ seq: 4, code: 'HEAD_CHANGED' });
});

test('any swap, removal or change among exported rows is found at the first row that it touches', () => {
  const rows = filled(12).audit.after({ seq: 0, limit: 100 });
  fc.assert(
    fc.property(fc.nat(10), fc.nat(11), fc.constantFrom('swap', 'remove', 'repeat'), (a, b, how) => {
      const copy = [...rows];
      const at = Math.min(a, b);
      if (how === 'remove') copy.splice(a, 1);
      if (how === 'repeat') copy.splice(a, 0, rows[a]!);
      if (how === 'swap') [copy[a], copy[b]] = [rows[b]!, rows[a]!];
      const fault = checkAuditChain(copy).fault;
      if (how === 'swap' && a === b) return fault === null;
      const first = how === 'swap' ? at : how === 'remove' ? a : a + 1;
      return fault?.seq === first + 1;
    }),
  );
});

test('hostile text is taken, bounded and chained', () => {
  const { audit } = filled(0);
  for (const reason of [
    '\ud800',
    'e\u0301',
    'x'.repeat(100_000),
    '😀'.repeat(400),
    '\u0000',
    "'; drop table audit;--",
  ]) {
    audit.append(note({ reason, party: reason, caseNo: reason }));
  }
  expect(audit.verify(null)).toMatchObject({ rows: 6, fault: null });
  expect(auditText('😀'.repeat(400)).length).toBeLessThanOrEqual(501);
});

test('lists newest first, by camera, outcome and time, page by page', () => {
  const { audit } = filled(10);
  expect(audit.list({ limit: 3 }).map((r) => r.seq)).toEqual([10, 9, 8]);
  expect(audit.list({ limit: 2, beforeSeq: 8, camera: 'gate' }).map((r) => r.seq)).toEqual([6, 4]);
  expect(audit.list({ limit: 9, fromMs: 1_002, toMs: 1_004 }).map((r) => r.seq)).toEqual([4, 3]);
  expect(audit.list({ limit: 9, outcome: 'refused' })).toEqual([]);
});
