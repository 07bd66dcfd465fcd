import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { ulid } from '../base/ids.js';
import { AUDIT_START, auditLink, auditText, checkAuditChain, type AuditFault, type AuditRow } from './audit-chain.js';
import type { LinkedAuditRow } from './audit-chain.js';
import type { AuditNumbers } from '../contract/audit.js';
import { auditNumbers, type CountedRow } from './audit-numbers.js';
import { kvTable } from './kv.js';
import type { Sql } from './sql.js';

/** What the caller tells; seq and link are given by the log. Fields left out are null. */
export type AuditNote = Pick<AuditRow, 'id' | 'atMs' | 'kind' | 'outcome' | 'party' | 'door' | 'action' | 'reason'> &
  Partial<AuditRow>;

export interface AuditQuery {
  fromMs?: number;
  toMs?: number;
  camera?: string;
  kind?: string;
  outcome?: AuditRow['outcome'];
  /** Only what was looked at, given out or refused; not policy, keys, logins, configuration. */
  looks?: boolean;
  /** Only what people outside the box got or asked for. */
  outside?: boolean;
  /** Without the rows of these jobs: their look is told later. */
  without?: readonly string[];
  /** Only rows before this one: the next page. */
  beforeSeq?: number;
  limit: number;
}

interface Columns {
  seq: number;
  id: string;
  at_ms: number;
  kind: string;
  outcome: AuditRow['outcome'];
  party: string;
  agency: string | null;
  role: string | null;
  door: string;
  action: string;
  camera: string | null;
  from_ms: number | null;
  to_ms: number | null;
  code: string | null;
  reason: string;
  case_no: string | null;
  bytes: number | null;
  ref: string | null;
  detail: string | null;
  link: string;
}

/** Of a row: whether it belongs to one of the jobs in the parameter `without`, a JSON list. */
const OF_JOBS = `(detail is not null and coalesce(json_extract(detail, '$.job'), '') in (select value from json_each(:without)))`;
const jobList = (jobs: readonly string[] | undefined): string | null =>
  jobs === undefined || jobs.length === 0 ? null : JSON.stringify(jobs);

interface Head {
  seq: number;
  link: string;
}

/**
 * The audit log: append-only and hash-chained. A chain alone does not tell that its end was cut off, so its newest row
 * is kept beside it under a key that is not in the database: who changes only the database is found at the row.
 */
export function auditTable(sql: Sql, headKey: Uint8Array) {
  const kept = keptHead(sql, headKey);
  const head = (): Head =>
    sql.one<Head>('select seq, link from audit order by seq desc limit 1') ?? { seq: 0, link: AUDIT_START };
  return {
    /** On disk and chained when it returns. */
    append(note: AuditNote): LinkedAuditRow {
      return sql.transaction(() => {
        const last = head();
        const cut = kept.fault(last);
        // What was found wrong stays in the log, or the next row would cover it.
        const from = cut === null ? last : insert(sql, last, cutNote(cut, note.atMs));
        const row = insert(sql, from, note);
        kept.set(row);
        return row;
      });
    },
    head,
    /** Is this the link of some row: of a checkpoint or a receipt that was given out. */
    holds(link: string): boolean {
      return link === AUDIT_START || sql.one('select 1 from audit where link = :link', { link }) !== undefined;
    },
    /** Newest first. */
    list(query: AuditQuery): LinkedAuditRow[] {
      const rows = sql.all<Columns>(
        `select * from audit
         where (:from is null or at_ms >= :from) and (:to is null or at_ms < :to)
           and (:camera is null or camera = :camera) and (:kind is null or kind = :kind)
           and (:outcome is null or outcome = :outcome)
           and (:outside = 0 or (kind = 'access' and ref is null and agency is not null))
           and (:without is null or not ${OF_JOBS})
           and (:looks = 0 or kind = 'access') and (:before is null or seq < :before)
         order by seq desc limit :limit`,
        {
          from: query.fromMs ?? null,
          to: query.toMs ?? null,
          camera: query.camera ?? null,
          kind: query.kind ?? null,
          outcome: query.outcome ?? null,
          outside: query.outside === true ? 1 : 0,
          looks: query.looks === true ? 1 : 0,
          before: query.beforeSeq ?? null,
          without: jobList(query.without),
          limit: query.limit,
        },
      );
      return rows.map(fromColumns);
    },
    /** Oldest first, for export: rows after `seq`. */
    after(page: { seq: number; limit: number }): LinkedAuditRow[] {
      return sql.all<Columns>('select * from audit where seq > :seq order by seq limit :limit', page).map(fromColumns);
    },
    /** Adds up the rows of a stretch of time. */
    numbers({ fromMs, toMs, without }: { fromMs: number; toMs: number; without?: readonly string[] }): AuditNumbers {
      const rows = sql.db
        .prepare<
          { fromMs: number; toMs: number; without: string | null },
          Omit<CountedRow, 'detail'> & { detail: string | null }
        >(
          `select kind, outcome, party, agency, role, action, camera, code, reason, case_no as caseNo, bytes, ref,
             case when kind in ('command', 'policy', 'login') or (kind = 'access' and agency is not null) then detail end as detail
           from audit where at_ms >= :fromMs and at_ms < :toMs and (:without is null or not ${OF_JOBS})
           order by seq`,
        )
        .iterate({ fromMs, toMs, without: jobList(without) });
      return auditNumbers(parsed(rows));
    },
    /** Number of the first row of these jobs; null: there is none. */
    firstOf(jobs: readonly string[]): number | null {
      const found = sql.one<{ seq: number }>(`select seq from audit where ${OF_JOBS} order by seq limit 1`, {
        without: jobList(jobs),
      });
      return found?.seq ?? null;
    },
    /** Recomputes the whole chain. `published`: a head known from elsewhere. */
    verify(published: { seq: number; link: string } | null): {
      rows: number;
      link: string;
      fault: AuditFault | null;
    } {
      const rows = sql.db.prepare<[], Columns>('select * from audit order by seq').iterate();
      const checked = checkAuditChain(mapped(rows), published ?? undefined);
      if (checked.fault !== null) return checked;
      return { ...checked, fault: kept.fault({ seq: checked.rows, link: checked.link }) ?? foundBefore(sql) };
    },
  };
}

/** RFC 5869, so that the key that seals does not also sign. */
export function auditHeadKey(sealKey: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', sealKey, '', 'bluelight/audit/head', 32));
}

const HEAD = 'audit.head';

/** HMAC-SHA-256 over number and link of the newest row, written with it in one transaction. */
function keptHead(sql: Sql, key: Uint8Array) {
  const kv = kvTable(sql);
  const mac = ({ seq, link }: Head): Buffer => createHmac('sha256', key).update(`${seq} ${link}`).digest();
  return {
    set: ({ seq, link }: Head): void =>
      kv.put({ key: HEAD, value: { seq, link, mac: mac({ seq, link }).toString('hex') } }),
    /** What does not fit between the log and what was kept of it; null: nothing. */
    fault(last: Head): AuditFault | null {
      const value = kv.get(HEAD) as (Head & { mac: string }) | null;
      if (value === null && last.seq === 0) return null;
      const given = Buffer.from(value?.mac ?? '', 'hex');
      if (value === null || given.length !== 32 || !timingSafeEqual(given, mac(value))) {
        return {
          seq: last.seq + 1,
          code: 'HEAD_CHANGED',
          why: 'what was kept of the newest row is missing or changed',
        };
      }
      if (value.seq > last.seq) {
        const why = `row ${last.seq + 1} is missing: ${value.seq} rows were written`;
        return { seq: last.seq + 1, code: 'ROW_MISSING', why };
      }
      if (value.seq < last.seq) {
        const why = `row ${value.seq + 1} was not written by the box`;
        return { seq: value.seq + 1, code: 'HEAD_CHANGED', why };
      }
      if (value.link === last.link) return null;
      return { seq: last.seq, code: 'HEAD_CHANGED', why: `row ${last.seq} is not the one that was written` };
    },
  };
}

const CUT = 'audit.fault';

function cutNote(fault: AuditFault, atMs: number): AuditNote {
  const { seq, code, why } = fault;
  const reason = `the log was changed from outside: ${why}`;
  const base = { party: 'agent', door: 'auto', kind: 'box', outcome: 'failed', action: CUT } as const;
  return { ...base, id: ulid(atMs), atMs, code, reason, detail: { seq, code, why } };
}

/** A change from outside that was found while the log was being written. */
function foundBefore(sql: Sql): AuditFault | null {
  const row = sql.one<{ detail: string }>(`select detail from audit where kind = 'box' and action = :cut limit 1`, {
    cut: CUT,
  });
  return row === undefined ? null : (JSON.parse(row.detail) as AuditFault);
}

export type AuditTable = ReturnType<typeof auditTable>;

function* parsed(rows: Iterable<Omit<CountedRow, 'detail'> & { detail: string | null }>): Generator<CountedRow> {
  for (const row of rows) yield { ...row, detail: row.detail === null ? null : (JSON.parse(row.detail) as unknown) };
}

function* mapped(rows: Iterable<Columns>): Generator<LinkedAuditRow> {
  for (const row of rows) yield fromColumns(row);
}

function insert(sql: Sql, head: { seq: number; link: string }, note: AuditNote): LinkedAuditRow {
  const row: AuditRow = {
    seq: head.seq + 1,
    id: note.id,
    atMs: Math.round(note.atMs),
    kind: note.kind,
    outcome: note.outcome,
    party: auditText(note.party),
    agency: clean(note.agency),
    role: clean(note.role),
    door: note.door,
    action: note.action,
    camera: clean(note.camera),
    fromMs: note.fromMs ?? null,
    toMs: note.toMs ?? null,
    code: note.code ?? null,
    reason: auditText(note.reason),
    caseNo: clean(note.caseNo),
    bytes: note.bytes ?? null,
    ref: note.ref ?? null,
    detail: note.detail ?? null,
  };
  const linked = { ...row, link: auditLink(head.link, row) };
  sql.run(
    `insert into audit (seq, id, at_ms, kind, outcome, party, agency, role, door, action, camera, from_ms, to_ms,
       code, reason, case_no, bytes, ref, detail, link)
     values (:seq, :id, :atMs, :kind, :outcome, :party, :agency, :role, :door, :action, :camera, :fromMs, :toMs,
       :code, :reason, :caseNo, :bytes, :ref, :detail, :link)`,
    { ...linked, detail: row.detail === null ? null : JSON.stringify(row.detail) },
  );
  return linked;
}

function clean(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : auditText(text);
}

function fromColumns(row: Columns): LinkedAuditRow {
  return {
    seq: row.seq,
    id: row.id,
    atMs: row.at_ms,
    kind: row.kind,
    outcome: row.outcome,
    party: row.party,
    agency: row.agency,
    role: row.role,
    door: row.door,
    action: row.action,
    camera: row.camera,
    fromMs: row.from_ms,
    toMs: row.to_ms,
    code: row.code,
    reason: row.reason,
    caseNo: row.case_no,
    bytes: row.bytes,
    ref: row.ref,
    detail: row.detail === null ? null : (JSON.parse(row.detail) as unknown),
    link: row.link,
  };
}
