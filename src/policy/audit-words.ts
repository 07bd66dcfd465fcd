import { formatBytes } from '../base/units.js';
import type { LinkedAuditRow } from '../store/audit-chain.js';
import { SOCKET_NAME } from './audit-note.js';
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
  if (row.kind !== 'access') return `${at}: ${eventWords(row, names, when)}`;
  const what = `${WHAT[row.action] ?? row.action} of ${cameraOf(row, names)}${rangeWords(row, when)}`;
  const why = `Reason given: ${row.reason === '' ? 'none' : row.reason}${caseWords(row)}.`;
  switch (row.outcome) {
    case 'granted':
      return `${at}: ${who(row)} got ${what}. ${why}`;
    case 'refused':
      return `${at}: ${who(row)} asked for ${what} and was refused (${textOf(row, 'why') ?? row.code ?? 'no'}). ${why}`;
    case 'done':
      return `${at}: ${what} went to ${who(row)}, ${formatBytes(row.bytes ?? 0)}. ${row.reason}`;
    case 'failed':
      return `${at}: ${what} did not go to ${who(row)} as a whole, ${formatBytes(row.bytes ?? 0)} did: ${row.reason}`;
  }
}

function cameraOf(row: LinkedAuditRow, names: CameraNames): string {
  return row.camera === null ? 'the box' : (names[row.camera] ?? row.camera);
}

function who(row: LinkedAuditRow): string {
  if (row.party === 'agent' && row.agency === null) return 'the city (unasked, as you agreed)';
  const role = row.role === null || row.role === row.party ? '' : `, ${row.role}`;
  return row.agency === null ? `${personOf(row)}${role} (at the box)` : `${row.party} of ${row.agency}${role}`;
}

function personOf({ party }: LinkedAuditRow): string {
  return party === SOCKET_NAME ? 'somebody on the command line' : party;
}

/** Row and who did it, to a sentence without its full stop. */
type Sentence = (row: LinkedAuditRow, who: string, camera: string, when: When) => string;

const until = (row: LinkedAuditRow, when: When): string => {
  const ms = valueOf(row, 'untilMs');
  return typeof ms === 'number' ? `until ${when(ms)}` : 'until it is resumed';
};
const because = (row: LinkedAuditRow): string => (row.reason === '' ? '' : `: ${row.reason}`);
const refused = (row: LinkedAuditRow): string => (row.outcome === 'refused' ? ' was not let in' : ' came in');

const EVENTS: Record<string, Sentence> = {
  'policy.terms': (row) =>
    row.outcome === 'failed'
      ? `the terms cannot be read, so nothing is shared: ${row.reason}`
      : `${row.reason} counts from now on`,
  'policy.pause': (row, by, _camera, when) => `${by} paused sharing ${until(row, when)}${because(row)}`,
  'policy.resume': (row, by) => `${by} let sharing go on${because(row)}`,
  'policy.emergency.open': (row, by, _camera, when) =>
    `${by} ${valueOf(row, 'test') === true ? 'tested the alarm' : 'declared an emergency'} ${until(row, when)}${because(row)}`,
  'policy.emergency.close': (row, by) => `${by} ended the emergency${because(row)}`,
  'policy.technician': (row, by, _camera, when) =>
    valueOf(row, 'untilMs') === null
      ? `${by} no longer lets the technician see pictures`
      : `${by} lets the technician see pictures ${until(row, when)}`,
  'policy.enrolment.active': (row, by) => `${by} consented: ${row.reason}`,
  'policy.exit.cleared': (row) => row.reason ?? '',
  'policy.enrolment.ended': (row, by) => `${by} ended the sharing with the city for good${because(row)}`,
  'policy.ask': (row, by, camera) =>
    `${by} asks for ${WHAT[textOf(row, 'kind') ?? ''] ?? 'a look'} of ${camera} and waits for the owner's answer. Reason given: ${row.reason}${caseWords(row)}`,
  'policy.ask.approved': (row, by, camera) => `${by} said yes to ${askedBy(row)} about ${camera}`,
  'policy.ask.declined': (row, by, camera) => `${by} said no to ${askedBy(row)} about ${camera}`,
  'policy.ask.expired': (row, _by, camera) => `nobody answered ${askedBy(row)} about ${camera}, so the answer is no`,
  'policy.proposed': (row, by) =>
    row.outcome === 'refused'
      ? `a proposal of new terms was refused${because(row)}`
      : `${by} proposed new terms (${row.reason.replace(/: $/, '')}); nothing changes before the owner signs`,
  'policy.declined': (row, by) => `${by} put a proposal of new terms aside`,
  'hold.set': (row, by, camera) => `${by} keeps footage of ${camera} from being overwritten${because(row)}`,
  'hold.release': (row, by, camera) =>
    `${by} no longer keeps footage of ${camera} from being overwritten${because(row)}`,
  'key.box.new': (row) => `the box made itself a new signing key (${row.reason})`,
  'key.owner.new': (row) => `the owner's signing key was made (${row.reason})`,
  'key.center.new': (row) => `the box listens to a center from now on (${row.reason})`,
  'key.city.new': (row) => `terms signed by the city count from now on (${row.reason})`,
  'key.owner.revoked': (row) => `the owner's signing key was given up (${row.reason})`,
  'key.center.revoked': (row) => `the box no longer listens to the center (${row.reason})`,
  'key.passphrase': () => "the owner's passphrase was changed",
  'login.login': (row, by) =>
    row.outcome === 'refused' ? `${by} tried to log in with a wrong code${many(row)}` : `${by} logged in`,
  'login.logout': (_row, by) => `${by} logged out`,
  'login.enter': (row, by) => `${by}${refused(row)}${because(row)}${many(row)}`,
  'login.set': (row) => `a login was made or changed: ${row.reason}`,
  'login.removed': (row) => `a login was taken away: ${row.reason}`,
  'config.camera.add': (_row, by, camera) => `${by} added ${camera}`,
  'config.camera.replace': (_row, by, camera) => `${by} put another device in the place of ${camera}`,
  'config.camera.remove': (_row, by, camera) => `${by} removed ${camera}`,
  'config.camera.password': (_row, by, camera) => `${by} gave the box another password for ${camera}`,
  'config.camera.zones': (_row, by, camera) => `${by} changed where motion counts at ${camera}`,
  'config.settings': (row) => `settings were changed: ${row.reason}`,
  'config.operators': (row) => `the center sent its list of operators: ${row.reason}`,
  'box.start': (row) => row.reason,
  'box.stop': (row) => `the box ${row.reason}`,
  'box.backup': (_row, by) => `${by} made a backup of this box`,
  'box.restored': (row) => row.reason,
  'box.audit.fault': (row) => row.reason,
  'audit.export': (_row, by) => `${by} took a copy of this list`,
};

function eventWords(row: LinkedAuditRow, names: CameraNames, when: When): string {
  const person = row.party === 'agent' ? 'the box' : who(row);
  const known = EVENTS[`${row.kind}.${row.action}`];
  if (known !== undefined) return known(row, person, cameraOf(row, names), when);
  const camera = row.camera === null ? '' : ` of ${cameraOf(row, names)}`;
  const what =
    row.kind === 'command' ? `the command ${row.action}` : (IDENTITY[row.action] ?? `${row.kind} ${row.action}`);
  const code = row.code === null ? '' : ` (${row.code})`;
  return `${what}${camera} by ${person}: ${OUTCOME[row.outcome]}${code}${because(row)}${caseWords(row)}${many(row)}`;
}

const IDENTITY: Record<string, string> = {
  claim: 'joining a center',
  'claim.cancel': 'taking back a claim',
  'key.rotate': 'a new signing key of the box',
  'key.center': 'a new key of the center',
  enrolment: 'a word of the center on keys or membership',
};

const OUTCOME = { granted: 'accepted', refused: 'refused', done: 'done', failed: 'failed' } as const;

function rangeWords(row: LinkedAuditRow, when: When): string {
  if (row.fromMs === null || row.toMs === null || row.action === 'live') return '';
  return `, ${when(row.fromMs)} to ${when(row.toMs)}`;
}

function caseWords({ caseNo }: LinkedAuditRow): string {
  return caseNo === null ? '' : ` (case ${caseNo})`;
}

/** Beyond the first of a minute, refusals are one row with their number. */
function many(row: LinkedAuditRow): string {
  const count = valueOf(row, 'count');
  return typeof count === 'number' ? ` (${count} times)` : '';
}

function askedBy(row: LinkedAuditRow): string {
  return `the request of ${textOf(row, 'operator') ?? 'an operator'} of ${textOf(row, 'agency') ?? 'the center'}`;
}

function textOf(row: LinkedAuditRow, key: string): string | null {
  const value = valueOf(row, key);
  return typeof value === 'string' ? value : null;
}

/** `detail` is whatever was written, also by an older version. */
function valueOf({ detail }: LinkedAuditRow, key: string): unknown {
  return typeof detail === 'object' && detail !== null ? (detail as Record<string, unknown>)[key] : undefined;
}
