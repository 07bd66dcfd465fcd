import { z } from 'zod';
import { BluelightError } from '../base/errors.js';
import { canonical, canonicalBytes, parseCanonical } from '../proof/canonical.js';
import { openEnvelope, signEnvelope, type Envelope } from '../proof/dsse.js';
import type { Signer } from '../proof/keys.js';
import { checkAuditChain, type AuditFault, type LinkedAuditRow } from '../store/audit-chain.js';
import type { TableCalls } from '../store/calls.js';
import { signedManifest } from '../contract/clip.js';

/** DSSE payload type of the statement at the end of an export. */
export const AUDIT_HEAD_TYPE = 'application/vnd.bluelight.audit-head.v1+json';
const PAGE = 2_000;

const head = z.strictObject({
  type: z.literal('bluelight/audit-head/v1'),
  site: z.string(),
  box: z.string(),
  key: z.string(),
  seq: z.number().int(),
  link: z.string(),
  at: z.string(),
  /** So that a copy can be read in words without the box. */
  timeZone: z.string().optional(),
  cameras: z.record(z.string(), z.string()).optional(),
  /** The log goes on, with a look of which the reader is told later. */
  toldLater: z.literal(true).optional(),
});
export type AuditHead = z.infer<typeof head>;

const text = z.string().nullable();
const number = z.number().int().nullable();
const row = z.strictObject({
  seq: z.number().int(),
  id: z.string(),
  atMs: z.number().int(),
  kind: z.string(),
  outcome: z.enum(['granted', 'refused', 'done', 'failed']),
  party: z.string(),
  agency: text,
  role: text,
  door: z.string(),
  action: z.string(),
  camera: text,
  fromMs: number,
  toMs: number,
  code: text,
  reason: z.string(),
  caseNo: text,
  bytes: number,
  ref: text,
  detail: z.unknown(),
  link: z.string(),
});

/**
 * The whole audit log as lines of canonical JSON, oldest first; the last line is the head, signed by the box. Can be
 * checked anywhere without the box: `bluelight audit verify FILE`.
 * @param before it ends before this row, the first of a look that is told later; null: it does not
 */
export async function* exportAudit(
  audit: Pick<TableCalls['audit'], 'after'>,
  signer: Signer,
  place: { site: string; box: string; at: string; timeZone?: string; cameras?: Record<string, string> },
  before: number | null = null,
): AsyncGenerator<string> {
  let seq = 0;
  let link = '0'.repeat(64);
  for (;;) {
    const page = await audit.after({ seq, limit: PAGE });
    const rows = before === null ? page : page.filter((one) => one.seq < before);
    for (const one of rows) yield `${canonical(one)}\n`;
    const last = rows.at(-1);
    if (last !== undefined) ({ seq, link } = last);
    if (rows.length < PAGE) break;
  }
  const open = before === null ? {} : { toldLater: true as const };
  const statement: AuditHead = { type: 'bluelight/audit-head/v1', ...place, key: signer.keyId, seq, link, ...open };
  yield `${JSON.stringify(signEnvelope(AUDIT_HEAD_TYPE, canonicalBytes(statement), signer))}\n`;
}

export interface AuditVerdict {
  rows: number;
  head: AuditHead | null;
  /** Null: nothing was changed or left out. */
  fault:
    | (Omit<AuditFault, 'code'> & {
        code: AuditFault['code'] | 'TOLD_LATER' | 'BAD_LINE' | 'BAD_SIGNATURE' | 'NO_HEAD';
      })
    | null;
  /** Whether the head was signed by a key that the caller trusts; false with no fault: whole, but by whom is not known. */
  trusted: boolean;
}

/** Rows and head of an exported log as they stand there, up to the first line that is none. Checks nothing. */
export function readAuditExport(content: string): { rows: LinkedAuditRow[]; head: AuditHead | null; whole: boolean } {
  const lines = content.split('\n').filter((line) => line !== '');
  const last = lines.at(-1);
  const head = last === undefined ? null : (readHead(last, [])?.head ?? null);
  const rows: LinkedAuditRow[] = [];
  const all = lines.slice(0, -1);
  for (const line of all) {
    const read = readRow(line);
    if (read === null) break;
    rows.push(read);
  }
  return { rows, head, whole: rows.length === all.length };
}

type Fault = NonNullable<AuditVerdict['fault']>;

/**
 * Checks an exported log.
 * @param trusted public keys of the box that are known from elsewhere; empty: the chain is checked, its author is not
 * @param published a row that is known from elsewhere (a receipt): the log must hold it
 */
export function verifyAuditExport(
  content: string,
  trusted: readonly string[],
  published?: { seq: number; link: string },
): AuditVerdict {
  const { rows, whole } = readAuditExport(content);
  const last = content.trimEnd().split('\n').at(-1);
  const statement = last === undefined ? null : readHead(last, trusted);
  const verdict = (count: number, fault: Fault | null): AuditVerdict => ({
    rows: count,
    head: statement?.head ?? null,
    fault,
    trusted: fault === null && statement?.trusted === true,
  });
  const next = rows.length + 1;
  if (!whole) {
    return verdict(rows.length, { seq: next, code: 'BAD_LINE', why: `line ${next} is not a row of an audit log` });
  }
  if (statement === null) {
    return verdict(rows.length, { seq: next, code: 'NO_HEAD', why: 'the signed head at the end is missing' });
  }
  const { head, good } = statement;
  const checked = checkAuditChain(rows, head);
  const later = head.toldLater === true && published !== undefined && published.seq > head.seq;
  const before = published === undefined || later ? null : checkAuditChain(rows, published).fault;
  const fault =
    checked.fault ??
    before ??
    (rows.length > head.seq ? ADDED(head.seq) : good ? null : UNSIGNED(head.seq)) ??
    (later ? LATER(head.seq) : null);
  return verdict(checked.rows, fault);
}

const ADDED = (seq: number): Fault => ({
  seq: seq + 1,
  code: 'HEAD_CHANGED',
  why: 'there are rows after the signed head',
});
const LATER = (seq: number): Fault => ({
  seq: seq + 1,
  code: 'TOLD_LATER',
  why: `the copy ends at row ${seq}, before a look that is told later, and the receipt names a later row: take a new copy then`,
});
const UNSIGNED = (seq: number): Fault => ({ seq, code: 'BAD_SIGNATURE', why: 'the head is not signed by its key' });

function readRow(line: string): LinkedAuditRow | null {
  try {
    return row.parse(parseCanonical(line)) as LinkedAuditRow;
  } catch {
    return null;
  }
}

function readHead(
  line: string,
  trusted: readonly string[],
): { head: AuditHead; good: boolean; trusted: boolean } | null {
  let envelope: Envelope;
  let said: AuditHead;
  try {
    envelope = signedManifest.parse(JSON.parse(line));
    said = head.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8')));
  } catch {
    return null;
  }
  try {
    const { keyId } = openEnvelope(envelope, { payloadType: AUDIT_HEAD_TYPE, trusted: [said.key] });
    return { head: said, good: true, trusted: trusted.includes(keyId) };
  } catch (error) {
    if (error instanceof BluelightError) return { head: said, good: false, trusted: false };
    throw error;
  }
}
