import { createHash } from 'node:crypto';
import {
  checkpoint as checkpointSchema,
  CHECKPOINT_TYPE,
  MAX_FOLLOWING,
  segmentRecord,
  type Anchor,
  type Checkpoint,
} from '../contract/evidence.js';
import { toUtc } from '../contract/primitives.js';
import { canonical, canonicalBytes, parseCanonical } from '../proof/canonical.js';
import { GENESIS, type SegmentRecord } from '../proof/chain.js';
import { signEnvelope, type Envelope } from '../proof/dsse.js';
import type { Signer } from '../proof/keys.js';
import type { Core } from './core.js';
import { segmentId, seqOf } from './layout.js';
import { checkedRecord } from './records.js';
import { GARBAGE, OPEN, type StreamRow } from './rows.js';
import type { Tables } from './tables.js';
import type { ClockTrust } from './types.js';

const KEEP_MS = 90 * 86_400_000;

/** Signs the heads of all chains. Committed when it returns; the envelope goes to the center. */
export function makeCheckpoint(
  core: Core,
  about: { site: string; box: string; audit: string | null; nowMs: number; clock: ClockTrust },
  signer: Signer,
): Envelope {
  const last = core.tables.sql.one<{ n: number; sha256: Buffer }>(
    'select n, sha256 from checkpoints order by n desc limit 1',
  );
  const heads: Checkpoint['heads'] = {};
  for (const stream of core.tables.streams()) {
    heads[stream.name] = { seq: stream.next_seq - 1, link: stream.head_link.toString('hex') };
  }
  const document: Checkpoint = {
    v: 1,
    site: about.site,
    box: about.box,
    disk: core.diskId,
    n: (last?.n ?? 0) + 1,
    prev: last?.sha256.toString('hex') ?? GENESIS,
    at: toUtc(about.nowMs),
    clock: about.clock,
    heads,
    audit: about.audit,
  };
  const envelope = signEnvelope(CHECKPOINT_TYPE, canonicalBytes(document), signer);
  core.commit([{ k: 'checkpoint', payload: envelope.payload, signatures: envelope.signatures }]);
  return envelope;
}

/** Applies a checkpoint entry: live, after a crash and while rebuilding. */
export function applyCheckpoint(
  tables: Tables,
  entry: { payload: string; signatures: { keyid: string; sig: string }[] },
): void {
  const payload = Buffer.from(entry.payload, 'base64');
  const document = checkpointSchema.parse(parseCanonical(payload.toString('utf8')));
  const envelope: Envelope = {
    payloadType: CHECKPOINT_TYPE,
    ...{ payload: entry.payload, signatures: entry.signatures },
  };
  const changes = tables.sql.run(
    'insert into checkpoints (n, at_ms, sha256, envelope) values (:n, :atMs, :sha256, :envelope) on conflict do nothing',
    {
      n: document.n,
      atMs: Date.parse(document.at),
      sha256: createHash('sha256').update(payload).digest(),
      envelope: JSON.stringify(envelope),
    },
  );
  if (changes === 0) return;
  for (const [name, head] of Object.entries(document.heads)) {
    const stream = head.seq === 0 ? undefined : tables.ensureStream(name);
    if (stream === undefined) continue;
    tables.sql.run(
      'insert into checkpoint_heads (stream_id, seq, n) values (:stream, :seq, :n) on conflict do nothing',
      { stream: stream.id, seq: head.seq, n: document.n },
    );
  }
}

/** Checkpoints after the n-th, oldest first: what the center may not have yet. */
export function checkpointsAfter(tables: Tables, ask: { n: number; limit: number }): Envelope[] {
  return tables.sql
    .all<{ envelope: string }>('select envelope from checkpoints where n > :n order by n limit :limit', ask)
    .map((row) => JSON.parse(row.envelope) as Envelope);
}

/** The one that was signed last; undefined: none yet. */
export function newestCheckpoint(tables: Tables): Envelope | undefined {
  const row = tables.sql.one<{ envelope: string }>('select envelope from checkpoints order by n desc limit 1');
  return row === undefined ? undefined : (JSON.parse(row.envelope) as Envelope);
}

/** The first published head at or behind a segment. */
function headBehind(tables: Tables, streamId: number, seq: number): { seq: number; n: number } | undefined {
  return tables.sql.one<{ seq: number; n: number }>(
    'select seq, n from checkpoint_heads where stream_id = :streamId and seq >= :seq order by seq limit 1',
    { streamId, seq },
  );
}

/** What ties a segment to the next checkpoint: the records between them and the checkpoint itself. */
export function anchorOf(tables: Tables, stream: StreamRow, seq: number): Anchor | undefined {
  const head = headBehind(tables, stream.id, seq);
  if (head === undefined || head.seq - seq > MAX_FOLLOWING) return undefined;
  const envelope = tables.sql.one<{ envelope: string }>('select envelope from checkpoints where n = :n', { n: head.n });
  if (envelope === undefined) return undefined;
  const records: SegmentRecord[] = [];
  for (let next = seq + 1; next <= head.seq; next++) {
    const record = anyRecord(tables, stream, next);
    if (record === undefined) return undefined;
    records.push(record);
  }
  return { records, checkpoint: JSON.parse(envelope.envelope) as Envelope };
}

/** The record of a segment whose media may be gone. */
function anyRecord(tables: Tables, stream: StreamRow, seq: number): SegmentRecord | undefined {
  const id = segmentId(stream.id, seq);
  const row = tables.detail(id);
  if (row !== undefined && row.state !== OPEN && row.state !== GARBAGE) return checkedRecord(stream, row);
  const spent = tables.sql.one<{ record: string }>('select record from spent_records where segment_id = :id', { id });
  return spent === undefined ? undefined : segmentRecord.parse(parseCanonical(spent.record));
}

/**
 * Before the rows of a deleted range go: keeps the records that older footage needs to reach its checkpoint. The caller
 * has a transaction open.
 */
export function keepNeededRecords(tables: Tables, stream: StreamRow, fromSeq: number, toSeq: number): void {
  const before = tables.settledBefore(stream.id, fromSeq);
  if (before === undefined) return;
  const until = headBehind(tables, stream.id, seqOf(before.id))?.seq ?? seqOf(before.id) + MAX_FOLLOWING;
  for (let seq = fromSeq; seq <= Math.min(toSeq, until); seq++) {
    const row = tables.detail(segmentId(stream.id, seq));
    if (row === undefined || row.link === null) continue;
    keepRecord(tables, row.id, checkedRecord(stream, row));
  }
}

export function keepRecord(tables: Tables, id: number, record: SegmentRecord): void {
  tables.sql.run('insert into spent_records (segment_id, record) values (:id, :record) on conflict do nothing', {
    id,
    record: canonical(record),
  });
}

/** Checkpoints of more than 90 days ago that no footage needs, and records behind which no older footage is left. */
export function forgetOldProof(tables: Tables, nowMs: number): void {
  for (const stream of tables.streams()) {
    const oldest = tables.settledFrom(stream.id, 0, 1)[0]?.id ?? segmentId(stream.id, stream.next_seq);
    tables.sql.run('delete from spent_records where segment_id >= :first and segment_id < :oldest', {
      first: segmentId(stream.id, 0),
      oldest,
    });
    tables.sql.run(
      `delete from checkpoint_heads where stream_id = :stream and seq < :oldest
         and n in (select n from checkpoints where at_ms < :before)`,
      { stream: stream.id, oldest: seqOf(oldest), before: nowMs - KEEP_MS },
    );
  }
  tables.sql.run(
    'delete from checkpoints where at_ms < :before and n not in (select n from checkpoint_heads) and n < (select max(n) from checkpoints)',
    { before: nowMs - KEEP_MS },
  );
}
