import { errorMessage } from '../base/errors.js';
import { toUtc } from '../contract/primitives.js';
import type { Party } from '../contract/policy.js';
import type { Receipt } from '../contract/receipt.js';
import type { TableCalls } from '../store/calls.js';
import type { LinkedAuditRow } from '../store/audit-chain.js';
import { partyColumns } from './audit-note.js';
import type { Gate } from './gate.js';
import { issueReceipt, type IssuedReceipt, type ReceiptPorts } from './receipts.js';

const PAGE = 1_000;

export interface ExitPorts extends ReceiptPorts {
  tables: ReceiptPorts['tables'] & Pick<TableCalls, 'clips' | 'policies' | 'outbox' | 'operators'>;
  gate: Gate;
  /** Ends every command that is being carried out or waits for the owner. */
  endJobs(): Promise<void>;
  /** Name of the center that has the copies; null: the box never belonged to one. */
  centerId(): string | null;
  /**
   * Clears what the broker keeps for this box and drops the connection. Best effort within its own deadline: leaving
   * must not wait for a network. False: the broker was not reached, and keeps the last known state.
   */
  leaveCenter(): Promise<boolean>;
  /** Forgets the center's key and the claim; what its broker keeps is taken back later if it was not `cleared`. */
  endClaim(why: string, cleared: boolean): Promise<void>;
  /** Erases all recordings of the box. `erasing`: nothing of them is found any more, the space is still being freed. */
  eraseRecordings(): Promise<'erased' | 'erasing'>;
}

/** Stops sharing at once and gives a receipt for it. @param until ms since 1970; null: until resumed */
export async function pauseSharing(
  ports: ReceiptPorts & { gate: Gate },
  until: number | null,
  by: Party,
  reason: string,
): Promise<IssuedReceipt> {
  await ports.gate.pause(until, by, reason);
  const end = until === null ? 'until it is resumed here' : `until ${toUtc(until)}`;
  return issueReceipt(ports, {
    kind: 'pause',
    by: partyColumns(by).party,
    policy: policyOf(ports.gate),
    words: [`Sharing is paused ${end}. Recording goes on. What is recorded meanwhile is not given out later either.`],
  });
}

export async function resumeSharing(
  ports: ReceiptPorts & { gate: Gate },
  by: Party,
  reason: string,
): Promise<IssuedReceipt> {
  await ports.gate.resume(by, reason);
  const words = ['Sharing goes on under the terms in force.'];
  return issueReceipt(ports, { kind: 'resume', by: partyColumns(by).party, policy: policyOf(ports.gate), words });
}

/**
 * Leaves the program: sharing ends at once, then everything that the box keeps for the center goes, and the receipt
 * lists everything ever delivered and what remains where. Can be repeated after a power cut.
 */
export async function optOut(
  ports: ExitPorts,
  by: Party,
  choice: { reason: string; recordings: 'keep' | 'erase'; ended?: 'opt-out' | 'revoked' | 'owner-lost' },
): Promise<IssuedReceipt> {
  const { gate, tables, clock } = ports;
  const policy = policyOf(gate);
  const center = ports.centerId();
  // First of all, and in memory before on disk: nothing leaves any more.
  await gate.setEnrolment('ended', by, choice.reason);
  await tables.clips.withholdAll({ detail: 'the owner left the program' });
  await tables.outbox.clear();
  await tables.policies.withdraw({ atMs: clock.now() });
  await gate.reload();
  await ports.endJobs();
  const cleared = choice.ended === 'owner-lost' || (await ports.leaveCenter());
  if (choice.ended !== 'owner-lost') await ports.endClaim(choice.ended ?? 'opt-out', cleared);
  await tables.operators.replace({ atMs: clock.now(), operators: [] });
  // The receipt is given whatever the disk does: it says what is.
  const remains =
    choice.recordings === 'keep'
      ? 'kept'
      : await ports.eraseRecordings().catch((error: unknown) => errorMessage(error));
  return issueReceipt(ports, {
    kind: 'exit',
    by: partyColumns(by).party,
    policy,
    delivered: await deliveredClips(ports, center),
    looks: await liveLooks(ports),
    words: exitWords(choice.ended ?? 'opt-out', remains, cleared),
  });
}

/** The center's broker was reached at last: it keeps nothing of this box any more. */
export async function addToExit(
  ports: ReceiptPorts,
  left: { site: string; box: string; center: string; sinceMs: number },
): Promise<IssuedReceipt> {
  const exit = (await ports.tables.receipts.list()).find(({ kind }) => kind === 'exit');
  return issueReceipt(ports, {
    kind: 'addendum',
    by: 'agent',
    policy: null,
    site: left.site,
    box: left.box,
    ...(exit === undefined ? {} : { adds: exit.id }),
    words: [
      `Nothing of this box is kept at the broker of ${left.center} any more. It could not be reached when the box left, on ${toUtc(left.sinceMs)}.`,
      'The login for it was kept sealed to take that back and for nothing else, and is erased now.',
    ],
  });
}

const ENDED = {
  'opt-out': 'This box has left the program. The city sees nothing of it any more, and its commands are refused.',
  revoked: 'The center let this box go. It sees nothing of it any more, and its commands are refused.',
  'owner-lost':
    'The key of the owner was given up. Nothing is shared any more until a new owner consents to terms of his own.',
};

const RECORDINGS: Record<string, string> = {
  kept: 'The recordings on this box are yours and stay on it.',
  erased: 'The recordings on this box were erased, as you chose.',
  erasing: 'The recordings on this box are erased, as you chose; the disk is still freeing their space.',
};

/** @param remains what became of the recordings; anything else is why they could not be erased */
function exitWords(ended: keyof typeof ENDED, remains: string, cleared: boolean): string[] {
  return [
    ENDED[ended],
    RECORDINGS[remains] ?? `The recordings on this box could not be erased and stay on it: ${remains}.`,
    'The copies listed here were delivered before. They stay with the city, under its own rules of retention.',
    ...(ended === 'owner-lost' ? [] : [brokerWords(cleared)]),
  ];
}

function brokerWords(cleared: boolean): string {
  return cleared
    ? "Nothing of this box is kept at the center's broker."
    : "Pending: the center's broker still shows the last known state of this box, without pictures; it could not be " +
        'reached. The login for it is kept sealed to take that back and for nothing else, then it is erased, and an ' +
        'addendum to this receipt says so.';
}

async function deliveredClips(ports: ExitPorts, center: string | null): Promise<Receipt['delivered']> {
  const clips = await ports.tables.clips.list({ states: ['delivered'], limit: 1_000_000 });
  return clips.map((clip) => ({
    clip: clip.id,
    camera: clip.camera,
    from: clip.covers === null ? clip.from : toUtc(clip.covers.fromMs),
    to: clip.covers === null ? clip.to : toUtc(clip.covers.toMs),
    sha256: clip.sha256,
    bytes: clip.bytes,
    to_center: center ?? '-',
    requester: clip.requester,
    reason: clip.reason,
    at: clip.deliveredAt ?? clip.createdAt,
  }));
}

/** Looks that leave no file: what somebody outside saw as it happened. */
async function liveLooks(ports: ExitPorts): Promise<Receipt['looks']> {
  const looks: Receipt['looks'] = [];
  for (let seq = 0; ;) {
    const rows = await ports.tables.audit.after({ seq, limit: PAGE });
    for (const row of rows) if (isOutsideLook(row)) looks.push(look(row));
    if (rows.length < PAGE) return looks;
    seq = rows.at(-1)!.seq;
  }
}

/** What leaves a file is listed as delivered. */
const FILES = ['clip', 'still'];

function isOutsideLook(row: LinkedAuditRow): boolean {
  return row.kind === 'access' && row.outcome === 'granted' && row.agency !== null && !FILES.includes(row.action);
}

function look(row: LinkedAuditRow): Receipt['looks'][number] {
  const party = [row.party, row.agency].filter((part) => part !== null).join(', ');
  return { audit: row.id, camera: row.camera ?? '-', kind: row.action, at: toUtc(row.atMs), party };
}

function policyOf(gate: Gate): Receipt['policy'] {
  const { document, sha256 } = gate.terms;
  return document === null || sha256 === null ? null : { version: document.version, sha256 };
}
