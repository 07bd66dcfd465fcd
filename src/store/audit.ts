import { AUDIT_START, auditLink, auditText, checkAuditChain, type AuditFault, type AuditRow } from './audit-chain.js';
import type { LinkedAuditRow } from './audit-chain.js';
import { auditNumbers, type AuditNumbers, type CountedRow } from './audit-numbers.js';
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
  /** Only what people outside the box got or asked for. */
  outside?: boolean;
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

/** The audit log: append-only and hash-chained. */
export function auditTable(sql: Sql) {
  const head = (): { seq: number; link: string } =>
    sql.one<{ seq: number; link: string }>('select seq, link from audit order by seq desc limit 1') ?? {
      seq: 0,
      link: AUDIT_START,
    };
  return {
    /** On disk and chained when it returns. */
    append(note: AuditNote): LinkedAuditRow {
      return sql.transaction(() => insert(sql, head(), note));
    },
    head,
    /** Newest first. */
    list(query: AuditQuery): LinkedAuditRow[] {
      const rows = sql.all<Columns>(
        `select * from audit
         where (:from is null or at_ms >= :from) and (:to is null or at_ms < :to)
           and (:camera is null or camera = :camera) and (:kind is null or kind = :kind)
           and (:outcome is null or outcome = :outcome)
           and (:outside = 0 or (kind = 'access' and ref is null and agency is not null)) and (:before is null or seq < :before)
         order by seq desc limit :limit`,
        {
          from: query.fromMs ?? null,
          to: query.toMs ?? null,
          camera: query.camera ?? null,
          kind: query.kind ?? null,
          outcome: query.outcome ?? null,
          outside: query.outside === true ? 1 : 0,
          before: query.beforeSeq ?? null,
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
    numbers(range: { fromMs: number; toMs: number }): AuditNumbers {
      const rows = sql.db
        .prepare<{ fromMs: number; toMs: number }, Omit<CountedRow, 'detail'> & { detail: string | null }>(
          `select kind, outcome, party, agency, role, action, camera, code, case_no as caseNo, bytes, ref,
             case when kind = 'command' then detail end as detail
           from audit where at_ms >= :fromMs and at_ms < :toMs order by seq`,
        )
        .iterate(range);
      return auditNumbers(parsed(rows));
    },
    /** Recomputes the whole chain. `published`: a head known from elsewhere. */
    verify(published: { seq: number; link: string } | null): {
      rows: number;
      link: string;
      fault: AuditFault | null;
    } {
      const rows = sql.db.prepare<[], Columns>('select * from audit order by seq').iterate();
      return checkAuditChain(mapped(rows), published ?? undefined);
    },
  };
}

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
