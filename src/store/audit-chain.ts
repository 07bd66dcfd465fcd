import { createHash } from 'node:crypto';
import { canonicalBytes } from '../proof/canonical.js';

/** One row of the audit log without its link. Times in ms since 1970. */
export interface AuditRow {
  seq: number;
  /** ULID; for an access, the id of its grant. */
  id: string;
  atMs: number;
  kind: string;
  outcome: 'granted' | 'refused' | 'done' | 'failed';
  /** Person, or the part of the box that acted. */
  party: string;
  agency: string | null;
  role: string | null;
  door: string;
  action: string;
  camera: string | null;
  fromMs: number | null;
  toMs: number | null;
  code: string | null;
  reason: string;
  caseNo: string | null;
  bytes: number | null;
  /** The row that this one completes. */
  ref: string | null;
  detail: unknown;
}

export interface LinkedAuditRow extends AuditRow {
  link: string;
}

export const AUDIT_TYPE = 'bluelight/audit/v1';
/** What the first row is chained to. */
export const AUDIT_START = '0'.repeat(64);

/** SHA-256 over the canonical form of the row together with the link before it. */
export function auditLink(previous: string, row: AuditRow): string {
  const fields = {
    type: AUDIT_TYPE,
    previous,
    seq: row.seq,
    id: row.id,
    atMs: row.atMs,
    kind: row.kind,
    outcome: row.outcome,
    party: row.party,
    agency: row.agency,
    role: row.role,
    door: row.door,
    action: row.action,
    camera: row.camera,
    fromMs: row.fromMs,
    toMs: row.toMs,
    code: row.code,
    reason: row.reason,
    caseNo: row.caseNo,
    bytes: row.bytes,
    ref: row.ref,
    detail: row.detail,
  };
  return createHash('sha256').update(canonicalBytes(fields)).digest('hex');
}

export type AuditFault = { seq: number; code: 'ROW_MISSING' | 'ROW_CHANGED' | 'HEAD_CHANGED'; why: string };

/**
 * Checks rows in order of `seq`. Gives the first row at which the chain does not hold, or null.
 * @param head the newest row known from elsewhere (a checkpoint, a copy): finds rows cut off at the end
 */
export function checkAuditChain(
  rows: Iterable<LinkedAuditRow>,
  head?: { seq: number; link: string },
): { rows: number; link: string; fault: AuditFault | null } {
  let link = AUDIT_START;
  let seq = 0;
  for (const row of rows) {
    if (row.seq !== seq + 1) {
      const why = `row ${seq + 1} is missing: after ${seq} comes ${row.seq}`;
      return { rows: seq, link, fault: { seq: seq + 1, code: 'ROW_MISSING', why } };
    }
    const expected = linkOrNull(link, row);
    if (expected !== row.link) {
      const why = `row ${row.seq} was changed after it was written, or one before it was replaced`;
      return { rows: seq, link, fault: { seq: row.seq, code: 'ROW_CHANGED', why } };
    }
    link = row.link;
    seq = row.seq;
    if (head !== undefined && head.seq === seq && head.link !== link) {
      const why = `row ${seq} is not the one that was published`;
      return { rows: seq, link, fault: { seq, code: 'HEAD_CHANGED', why } };
    }
  }
  if (head !== undefined && head.seq > seq) {
    const why = `row ${seq + 1} is missing: rows up to ${head.seq} were published`;
    return { rows: seq, link, fault: { seq: seq + 1, code: 'ROW_MISSING', why } };
  }
  return { rows: seq, link, fault: null };
}

/** A row that has no canonical form any more was changed. */
function linkOrNull(previous: string, row: AuditRow): string | null {
  try {
    return auditLink(previous, row);
  } catch {
    return null;
  }
}

/** Text from outside, made fit to be chained: NFC, no lone surrogates, bounded. */
export function auditText(text: string, limit = 500): string {
  const whole = text.replace(/\p{Surrogate}/gu, '\ufffd').normalize('NFC');
  return whole.length > limit ? `${whole.slice(0, limit).replace(/\p{Surrogate}/gu, '')}…` : whole;
}
