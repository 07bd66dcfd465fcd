import type { AuditEntry } from '../contract/audit.js';
import type { AccessRequest, Door, Party } from '../contract/policy.js';
import { toUtc } from '../contract/primitives.js';
import type { LinkedAuditRow } from '../store/audit-chain.js';
import type { AuditNote } from '../store/audit.js';

/** Who, in the columns of the audit log. */
export function partyColumns(party: Party): Pick<AuditNote, 'party' | 'agency' | 'role'> {
  switch (party.kind) {
    case 'agent':
      return { party: 'agent', agency: null, role: null };
    case 'local':
      return { party: party.name, agency: null, role: party.role };
    case 'operator':
      return { party: party.operator, agency: party.agency, role: party.role };
  }
}

/** Who has the agent's own socket open has no other name. */
export const SOCKET_NAME = 'socket';

/** Through which door somebody came who is known by name only. */
export function doorOf(party: Party): Door {
  if (party.kind === 'agent') return 'auto';
  if (party.kind === 'operator') return 'mqtt';
  return party.name === SOCKET_NAME ? 'socket' : 'page';
}

/** What an access or its refusal leaves in the audit log. */
export function accessNote(
  request: AccessRequest,
  row: { id: string; atMs: number; outcome: 'granted' | 'refused' | 'failed'; code?: string; why: string },
): AuditNote {
  return {
    id: row.id,
    atMs: row.atMs,
    kind: 'access',
    outcome: row.outcome,
    ...partyColumns(request.party),
    door: request.door,
    action: request.kind,
    camera: request.camera,
    fromMs: Number.isSafeInteger(request.range.fromMs) ? request.range.fromMs : null,
    toMs: Number.isSafeInteger(request.range.toMs) ? request.range.toMs : null,
    code: row.code ?? null,
    reason: request.reason,
    caseNo: request.case ?? null,
    detail: { why: row.why, ...ofJob(request.job) },
  };
}

/** Rows of one command are known by its job. */
export function ofJob(job: string | undefined): { job?: string } {
  return job === undefined ? {} : { job };
}

/** A row as pages and commands show it. @param words see audit-words */
export function toAuditEntry(words: (row: LinkedAuditRow) => string): (row: LinkedAuditRow) => AuditEntry {
  return (row) => ({
    seq: row.seq,
    id: row.id,
    at: toUtc(row.atMs),
    kind: row.kind === 'access' ? row.action : `${row.kind}.${row.action}`,
    outcome: row.outcome,
    party: row.party,
    agency: row.agency,
    role: row.role,
    door: row.door,
    camera: row.camera,
    from: row.fromMs === null ? null : toUtc(row.fromMs),
    to: row.toMs === null ? null : toUtc(row.toMs),
    code: row.code,
    reason: row.reason,
    case: row.caseNo,
    bytes: row.bytes,
    ref: row.ref,
    words: words(row),
    link: row.link,
  });
}
