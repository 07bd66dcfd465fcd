import { formatBytes } from '../base/units.js';
import type { LinkedAuditRow } from '../store/audit-chain.js';
import type { CameraNames } from './preview.js';

const WHAT: Record<string, string> = {
  clip: 'a recorded clip',
  still: 'a single picture',
  live: 'the live picture',
  playback: 'recordings on the page of the box',
  timeline: 'what is recorded when',
  export: 'a recording, to save it',
  motion: 'notes of motion',
  sighting: 'notes of passing vehicles',
};

type When = (ms: number) => string;

/** Puts rows of the audit log into sentences that a shop owner understands. Times are those of the site. */
export function auditWords(names: CameraNames, timeZone: string): (row: LinkedAuditRow) => string {
  // The Swedish form is the plain one: 2026-06-03 10:00:05.
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  return (row) => sentence(row, names, (ms) => format.format(ms));
}

function sentence(row: LinkedAuditRow, names: CameraNames, when: When): string {
  const at = when(row.atMs);
  if (row.kind !== 'access') return `${at}: ${eventWords(row)}`;
  const camera = row.camera === null ? 'the box' : (names[row.camera] ?? row.camera);
  const what = `${WHAT[row.action] ?? row.action} of ${camera}${rangeWords(row, when)}`;
  const why = `Reason given: ${row.reason}${row.caseNo === null ? '' : ` (case ${row.caseNo})`}.`;
  switch (row.outcome) {
    case 'granted':
      return `${at}: ${who(row)} got ${what}. ${why}`;
    case 'refused':
      return `${at}: ${who(row)} asked for ${what} and was refused (${detailWhy(row) ?? row.code ?? 'no'}). ${why}`;
    case 'done':
      return `${at}: ${what} went to ${who(row)}, ${formatBytes(row.bytes ?? 0)}. ${row.reason}`;
    case 'failed':
      return `${at}: ${what} did not go to ${who(row)} as a whole, ${formatBytes(row.bytes ?? 0)} did: ${row.reason}`;
  }
}

function who(row: LinkedAuditRow): string {
  if (row.party === 'agent' && row.agency === null) return 'the city, unasked as you agreed,';
  const role = row.role === null ? '' : `, ${row.role}`;
  return row.agency === null ? `${row.party}${role} (at the box)` : `${row.party} of ${row.agency}${role}`;
}

function eventWords(row: LinkedAuditRow): string {
  const person = row.party === 'agent' ? 'the box' : who(row);
  const result = row.outcome === 'refused' ? ' - refused' : row.outcome === 'failed' ? ' - failed' : '';
  const code = row.code === null ? '' : ` (${row.code})`;
  if (row.kind === 'hold') {
    const what = row.action === 'set' ? 'keeps' : 'no longer keeps';
    return `${person} ${what} footage of ${row.camera ?? 'the box'} from being overwritten: ${row.reason}`;
  }
  return `${row.kind} ${row.action} by ${person}${result}${code}: ${row.reason}`;
}

function rangeWords(row: LinkedAuditRow, when: When): string {
  if (row.fromMs === null || row.toMs === null || row.action === 'live') return '';
  return `, ${when(row.fromMs)} to ${when(row.toMs)}`;
}

function detailWhy(row: LinkedAuditRow): string | null {
  const detail = row.detail;
  if (typeof detail !== 'object' || detail === null || !('why' in detail)) return null;
  return typeof detail.why === 'string' ? detail.why : null;
}
