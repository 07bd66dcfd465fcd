import type { AuditNumbers } from '../contract/audit.js';
import type { AuditRow } from './audit-chain.js';

/** What counting needs of a row. */
export type CountedRow = Pick<
  AuditRow,
  | 'kind'
  | 'outcome'
  | 'party'
  | 'agency'
  | 'role'
  | 'action'
  | 'camera'
  | 'code'
  | 'reason'
  | 'caseNo'
  | 'bytes'
  | 'ref'
  | 'detail'
>;

/** So many reasons are named, and so many are told apart at all: they are free text, and a year is long. */
const NAMED_REASONS = 30;
const MOST_REASONS = 5_000;

function noNumbers(): AuditNumbers {
  return {
    granted: {},
    refused: {},
    refusedByCode: {},
    byAgency: {},
    byReason: [],
    otherReasons: 0,
    persons: 0,
    cases: 0,
    withoutCase: 0,
    byCamera: {},
    clipsUnasked: 0,
    bytesOut: 0,
    localLooks: {},
    commands: { carriedOut: 0, refused: 0, failed: 0 },
    logins: { done: 0, refused: 0 },
    policyChanges: 0,
    pauses: 0,
    emergencies: 0,
    emergencyLooks: 0,
  };
}

/** Adds up rows as ordinances on public oversight of surveillance ask for them once a year. */
export function auditNumbers(rows: Iterable<CountedRow>): AuditNumbers {
  const total = noNumbers();
  const seen: Seen = { persons: new Set(), cases: new Set(), reasons: new Map() };
  for (const row of rows) {
    if (row.kind === 'access') countAccess(total, row, seen);
    else if (row.kind === 'command') countCommand(total, row);
    else if (row.kind === 'policy') countPolicy(total, row);
    else if (row.kind === 'login') countLogin(total, row);
  }
  total.persons = seen.persons.size;
  total.cases = seen.cases.size;
  const sum = (one: Reason): number => one.granted + one.refused;
  const reasons = [...seen.reasons.values()].sort((a, b) => sum(b) - sum(a));
  total.byReason = reasons.slice(0, NAMED_REASONS);
  total.otherReasons += reasons.slice(NAMED_REASONS).reduce((all, one) => all + sum(one), 0);
  return total;
}

type Reason = AuditNumbers['byReason'][number];

interface Seen {
  persons: Set<string>;
  cases: Set<string>;
  reasons: Map<string, Reason>;
}

function countAccess(total: AuditNumbers, row: CountedRow, seen: Seen): void {
  if (row.ref !== null) {
    if (!isOutside(row)) return;
    total.bytesOut += row.bytes ?? 0;
    if (row.agency !== null) agencyOf(total, row.agency).bytes += row.bytes ?? 0;
    return;
  }
  if (!isOutside(row)) return add(total.localLooks, row.role ?? row.party);
  if (row.agency === null) {
    if (row.outcome === 'granted' && row.action === 'clip') total.clipsUnasked++;
    return;
  }
  seen.persons.add(`${row.agency}/${row.party}`);
  if (row.caseNo === null) total.withoutCase++;
  else seen.cases.add(row.caseNo);
  const agency = agencyOf(total, row.agency);
  countReason(total, row, seen.reasons);
  if (row.outcome === 'granted') {
    if (whyOf(row) === BY_EMERGENCY) total.emergencyLooks++;
    agency.granted++;
    add(total.granted, row.action);
    add(total.byCamera, row.camera ?? '-');
  } else {
    agency.refused++;
    add(total.refused, row.action);
    add(total.refusedByCode, row.code ?? '-');
  }
}

/** What the gate says when nothing but the emergency allows it. */
export const BY_EMERGENCY = 'an emergency window is open';

function whyOf(row: CountedRow): unknown {
  return (row.detail as { why?: unknown } | null)?.why;
}

function agencyOf(total: AuditNumbers, agency: string): AuditNumbers['byAgency'][string] {
  return (total.byAgency[agency] ??= { granted: 0, refused: 0, bytes: 0 });
}

function countReason(total: AuditNumbers, row: CountedRow, reasons: Map<string, Reason>): void {
  const key = row.reason.trim().toLowerCase();
  const known = reasons.get(key);
  if (known === undefined && reasons.size >= MOST_REASONS) {
    total.otherReasons++;
    return;
  }
  const one = known ?? { reason: row.reason.trim(), granted: 0, refused: 0 };
  if (row.outcome === 'granted') one.granted++;
  else one.refused++;
  reasons.set(key, one);
}

function countLogin(total: AuditNumbers, row: CountedRow): void {
  if (row.action === 'login' && row.outcome === 'done') total.logins.done++;
  if (row.outcome === 'refused') total.logins.refused += 1 + counted(row);
}

function countCommand(total: AuditNumbers, row: CountedRow): void {
  if (row.outcome === 'done') total.commands.carriedOut++;
  if (row.outcome === 'failed') total.commands.failed++;
  if (row.outcome === 'refused') total.commands.refused += 1 + counted(row);
}

function countPolicy(total: AuditNumbers, row: CountedRow): void {
  if (row.action === 'terms' && row.outcome === 'done') total.policyChanges++;
  if (row.action === 'pause') total.pauses++;
  const test = (row.detail as { test?: unknown } | null)?.test === true;
  if (row.action === 'emergency.open' && !test) total.emergencies++;
}

/** Beyond the first of a minute, refusals are one row with their number; that row stands for itself too. */
function counted(row: CountedRow): number {
  const detail = row.detail as { count?: unknown } | null;
  return typeof detail?.count === 'number' ? detail.count - 1 : 0;
}

/** For the city or its agencies, whoever triggered it; not the people at the box. */
function isOutside(row: CountedRow): boolean {
  return row.agency !== null || row.party === 'agent';
}

function add(table: Record<string, number>, key: string): void {
  table[key] = (table[key] ?? 0) + 1;
}
