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
  | 'caseNo'
  | 'bytes'
  | 'ref'
  | 'detail'
>;

/** The numbers of one stretch of time. */
export interface AuditNumbers {
  /** What people outside the box got, by kind. */
  granted: Record<string, number>;
  refused: Record<string, number>;
  refusedByCode: Record<string, number>;
  byAgency: Record<string, { granted: number; refused: number }>;
  /** Named persons outside who got or asked for anything. */
  persons: number;
  /** Distinct case numbers given; and requests without one. */
  cases: number;
  withoutCase: number;
  byCamera: Record<string, number>;
  clipsUnasked: number;
  bytesOut: number;
  /** Looks by people at the box: owner, viewers, technician. */
  localLooks: Record<string, number>;
  commands: { carriedOut: number; refused: number; failed: number };
  policyChanges: number;
  pauses: number;
  emergencies: number;
}

function noNumbers(): AuditNumbers {
  return {
    granted: {},
    refused: {},
    refusedByCode: {},
    byAgency: {},
    persons: 0,
    cases: 0,
    withoutCase: 0,
    byCamera: {},
    clipsUnasked: 0,
    bytesOut: 0,
    localLooks: {},
    commands: { carriedOut: 0, refused: 0, failed: 0 },
    policyChanges: 0,
    pauses: 0,
    emergencies: 0,
  };
}

/** Adds up rows as ordinances on public oversight of surveillance ask for them once a year. */
export function auditNumbers(rows: Iterable<CountedRow>): AuditNumbers {
  const total = noNumbers();
  const persons = new Set<string>();
  const cases = new Set<string>();
  for (const row of rows) {
    if (row.kind === 'access') countAccess(total, row, persons, cases);
    else if (row.kind === 'command') countCommand(total, row);
    else if (row.kind === 'policy') countPolicy(total, row);
  }
  total.persons = persons.size;
  total.cases = cases.size;
  return total;
}

function countAccess(total: AuditNumbers, row: CountedRow, persons: Set<string>, cases: Set<string>): void {
  if (row.ref !== null) {
    if (isOutside(row)) total.bytesOut += row.bytes ?? 0;
    return;
  }
  if (!isOutside(row)) return add(total.localLooks, row.role ?? row.party);
  if (row.agency === null) {
    if (row.outcome === 'granted' && row.action === 'clip') total.clipsUnasked++;
    return;
  }
  persons.add(`${row.agency}/${row.party}`);
  if (row.caseNo === null) total.withoutCase++;
  else cases.add(row.caseNo);
  const agency = (total.byAgency[row.agency] ??= { granted: 0, refused: 0 });
  if (row.outcome === 'granted') {
    agency.granted++;
    add(total.granted, row.action);
    add(total.byCamera, row.camera ?? '-');
  } else {
    agency.refused++;
    add(total.refused, row.action);
    add(total.refusedByCode, row.code ?? '-');
  }
}

function countCommand(total: AuditNumbers, row: CountedRow): void {
  if (row.outcome === 'done') total.commands.carriedOut++;
  if (row.outcome === 'failed') total.commands.failed++;
  if (row.outcome === 'refused') total.commands.refused += 1 + counted(row);
}

function countPolicy(total: AuditNumbers, row: CountedRow): void {
  if (row.action === 'terms' && row.outcome === 'done') total.policyChanges++;
  if (row.action === 'pause') total.pauses++;
  if (row.action === 'emergency.open') total.emergencies++;
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
