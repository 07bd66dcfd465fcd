import { createHash } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Sql } from '../store/sql.js';
import { allocated } from './disk-io.js';
import { segmentId } from './layout.js';
import { Pruned } from './pruned.js';
import { toRanges } from './ranges.js';
import {
  CLOSED,
  DAMAGED,
  endMs,
  ticksToMs,
  type CandidateRow,
  type GapRow,
  type OutlineRow,
  type SegmentDetail,
  type SegmentRow,
  type StreamRow,
} from './rows.js';

const DETAIL = `select s.*, r.name as run, r.boot_id as boot, i.sha256 as init_sha256, length(i.bytes) as init_bytes
  from segments s join runs r on r.id = s.run_id join inits i on i.id = s.init_id`;

function addTo(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Typed access to the rows of ring.db. Whoever changes rows does so in a transaction. */
export class Tables {
  readonly sql: Sql;
  readonly pruned: Pruned;

  constructor(sql: Sql) {
    this.sql = sql;
    this.pruned = new Pruned(sql);
  }

  stream(name: string): StreamRow | undefined {
    return this.sql.one<StreamRow>('select * from streams where name = :name', { name });
  }

  streamById(id: number): StreamRow {
    const row = this.sql.one<StreamRow>('select * from streams where id = :id', { id });
    if (row === undefined) throw new BluelightError('INDEX_CORRUPT', `stream ${id} is missing in ring.db`);
    return row;
  }

  streams(): StreamRow[] {
    return this.sql.all<StreamRow>('select * from streams order by name');
  }

  ensureStream(name: string): StreamRow {
    this.sql.run('insert into streams (name, head_link) values (:name, zeroblob(32)) on conflict do nothing', { name });
    return this.stream(name)!;
  }

  ensureRun(name: string, boot: string): number {
    this.sql.run('insert into runs (name, boot_id) values (:name, :boot) on conflict do nothing', { name, boot });
    return this.runId(name)!;
  }

  runId(name: string): number | undefined {
    return this.sql.one<{ id: number }>('select id from runs where name = :name', { name })?.id;
  }

  initId(sha256: Uint8Array): number | undefined {
    return this.sql.one<{ id: number }>('select id from inits where sha256 = :sha256', { sha256 })?.id;
  }

  ensureInit(sha256: Uint8Array, bytes: Uint8Array): number {
    this.sql.run('insert into inits (sha256, bytes) values (:sha256, :bytes) on conflict do nothing', {
      sha256,
      bytes,
    });
    return this.initId(sha256)!;
  }

  initBytes(sha256: Uint8Array): Buffer | undefined {
    return this.sql.one<{ bytes: Buffer }>('select bytes from inits where sha256 = :sha256', { sha256 })?.bytes;
  }

  segment(id: number): SegmentRow | undefined {
    return this.sql.one<SegmentRow>('select * from segments where id = :id', { id });
  }

  detail(id: number): SegmentDetail | undefined {
    return this.sql.one<SegmentDetail>(`${DETAIL} where s.id = :id`, { id });
  }

  /** Open rows and garbage: a handful, by a partial index. */
  unsettled(): SegmentRow[] {
    return this.sql.all<SegmentRow>('select * from segments where state <> 1 and state in (0, 2) order by id');
  }

  /** Closed and damaged rows of a stream that overlap [from, to), by start. */
  overlapping(stream: StreamRow, fromMs: number, toMs: number): SegmentRow[] {
    const rows = this.sql.all<SegmentRow>(
      `select * from segments where stream_id = :stream and start_ms > :after and start_ms < :to and state in (1, 3)
       order by start_ms, id`,
      { stream: stream.id, after: fromMs - stream.longest_ms - 1, to: toMs },
    );
    return rows.filter((row) => endMs(row) > fromMs);
  }

  /** Closed rows of a stream that overlap [from, to) with their texts, in order of recording. */
  closedIn(stream: StreamRow, fromMs: number, toMs: number): SegmentDetail[] {
    return this.#closedIn<SegmentDetail>(DETAIL, stream, fromMs, toMs);
  }

  /** The same rows with the few columns that a file is laid out by: a tenth of the time. */
  outlineIn(stream: StreamRow, fromMs: number, toMs: number): OutlineRow[] {
    const columns = 'id, run_id, init_id, start_ms, decode_ticks, duration_ticks, body_bytes';
    return this.#closedIn<OutlineRow>(`select ${columns} from segments s`, stream, fromMs, toMs);
  }

  #closedIn<R extends OutlineRow>(select: string, stream: StreamRow, fromMs: number, toMs: number): R[] {
    return (
      this.sql
        .all<R>(`${select} where s.stream_id = :stream and s.start_ms > :after and s.start_ms < :to and s.state = 1`, {
          stream: stream.id,
          after: fromMs - stream.longest_ms - 1,
          to: toMs,
        })
        .filter((row) => endMs(row) > fromMs)
        // After a step of the clock a later segment may carry an earlier time.
        .sort((a, b) => a.id - b.id)
    );
  }

  /** Ids of the closed and damaged rows of a stream that overlap [from, to). */
  idsIn(stream: StreamRow, fromMs: number, toMs: number): number[] {
    return this.sql
      .all<Pick<SegmentRow, 'id' | 'start_ms' | 'duration_ticks'>>(
        `select id, start_ms, duration_ticks from segments
         where stream_id = :stream and start_ms > :after and start_ms < :to and state in (1, 3)`,
        { stream: stream.id, after: fromMs - stream.longest_ms - 1, to: toMs },
      )
      .flatMap((row) => (endMs(row) > fromMs ? [row.id] : []));
  }

  /** Closed and damaged rows of a stream from an id on, oldest first. */
  settledFrom(streamNumber: number, fromId: number, limit: number): SegmentRow[] {
    return this.sql.all<SegmentRow>(
      `select * from segments where id >= :from and id < :end and state in (1, 3) order by id limit :limit`,
      { from: Math.max(fromId, segmentId(streamNumber, 0)), end: segmentId(streamNumber + 1, 0), limit },
    );
  }

  /** The row of the segment that is being written. */
  openSegment(streamId: number): SegmentRow | undefined {
    return this.sql.one<SegmentRow>('select * from segments where state <> 1 and state = 0 and stream_id = :streamId', {
      streamId,
    });
  }

  /** Can the row be found by its time? */
  inTimeIndex(row: SegmentRow): boolean {
    const found = this.sql.one(
      `select 1 from segments indexed by segments_by_time where stream_id = :stream and start_ms = :start and id = :id`,
      { stream: row.stream_id, start: row.start_ms, id: row.id },
    );
    return found !== undefined;
  }

  byTimeAfter(streamNumber: number, after: { start_ms: number; id: number }, limit: number): SegmentRow[] {
    return this.sql.all<SegmentRow>(
      `select * from segments indexed by segments_by_time where stream_id = :stream and (start_ms, id) > (:start, :id)
       order by start_ms, id limit :limit`,
      { stream: streamNumber, start: after.start_ms, id: after.id, limit },
    );
  }

  /** What SQLite finds wrong in the pages of a table and its indexes; undefined: nothing. */
  problemOf(table: string): string | undefined {
    const first = this.sql.db.pragma(`integrity_check('${table}')`, { simple: true });
    return first === 'ok' ? undefined : String(first);
  }

  /** Counts what the running totals claim; reads every row of the stream. */
  countRows(streamNumber: number): { segments: number; durationMs: number } {
    const sum = this.sql.one<{ n: number; ms: number | null }>(
      `select count(*) as n, sum(cast(round(duration_ticks / 90.0) as integer)) as ms from segments
       where id >= :from and id < :end and state <> 0`,
      { from: segmentId(streamNumber, 0), end: segmentId(streamNumber + 1, 0) },
    )!;
    return { segments: sum.n, durationMs: sum.ms ?? 0 };
  }

  /** How many segments are not served any more: by a partial index. */
  damaged(): number {
    const sql = `select count(*) as n from segments where state <> 1 and state = ${DAMAGED}`;
    return this.sql.one<{ n: number }>(sql)?.n ?? 0;
  }

  /** Its file no longer fits its hash: it is not served any more. */
  markDamaged(id: number): void {
    this.sql.transaction(() =>
      this.sql.run('update segments set state = :damaged where id = :id and state = :closed', {
        damaged: DAMAGED,
        closed: CLOSED,
        id,
      }),
    );
  }

  /** The newest closed or damaged row before a sequence number. */
  settledBefore(streamNumber: number, seq: number): SegmentRow | undefined {
    return this.sql.one<SegmentRow>(
      'select * from segments where id >= :from and id < :before and state in (1, 3) order by id desc limit 1',
      { from: segmentId(streamNumber, 0), before: segmentId(streamNumber, seq) },
    );
  }

  /** `settledFrom` with the few columns that retention looks at. */
  candidates(streamNumber: number, fromId: number, limit: number): CandidateRow[] {
    return this.sql.all<CandidateRow>(
      `select id, stream_id, ordinal, run_id, init_id, start_ms, mono_ms, clock, duration_ticks, body_bytes, has_motion
       from segments where id >= :from and id < :end and state in (1, 3) order by id limit :limit`,
      { from: Math.max(fromId, segmentId(streamNumber, 0)), end: segmentId(streamNumber + 1, 0), limit },
    );
  }

  /** Start of the first settled segment behind an id that was recorded by a trusted clock. */
  trustedAfter(streamNumber: number, id: number): number | undefined {
    return this.sql.one<{ start_ms: number }>(
      `select start_ms from segments where id > :id and id < :end and state in (1, 3) and clock = 2 order by id limit 1`,
      { id, end: segmentId(streamNumber + 1, 0) },
    )?.start_ms;
  }

  /** Share of the newest settled rows of a stream that have motion; undefined when there are fewer than `least`. */
  motionShare(stream: StreamRow, least: number, most: number): number | undefined {
    const sum = this.sql.one<{ n: number; motion: number | null }>(
      `select count(*) as n, sum(has_motion) as motion from segments
       where id >= :from and id < :end and state in (1, 3)`,
      { from: segmentId(stream.id, Math.max(0, stream.next_seq - most)), end: segmentId(stream.id + 1, 0) },
    )!;
    return sum.n < least ? undefined : (sum.motion ?? 0) / sum.n;
  }

  newest(streamNumber: number): SegmentRow | undefined {
    return this.sql.one<SegmentRow>(
      `select * from segments where id >= :from and id < :end and state in (1, 3) order by id desc limit 1`,
      { from: segmentId(streamNumber, 0), end: segmentId(streamNumber + 1, 0) },
    );
  }

  /** The link of a record whose row or prune range is still there. */
  linkOf(streamNumber: number, seq: number): Buffer | undefined {
    if (seq === 0) return Buffer.alloc(32);
    const row = this.segment(segmentId(streamNumber, seq));
    if (row?.link) return row.link;
    return this.pruned.linkAt(streamNumber, seq);
  }

  setLive(journal: number, change: number): void {
    this.sql.run(
      `insert into journals (number, live_records) values (:journal, :change)
       on conflict do update set live_records = live_records + :change`,
      { journal, change },
    );
  }

  openGap(streamId: number): GapRow | undefined {
    return this.sql.one<GapRow>('select * from gaps where stream_id = :streamId and to_ms is null', { streamId });
  }

  gaps(streamId: number, fromMs: number, toMs: number): GapRow[] {
    return this.sql.all<GapRow>(
      // Gaps of a stream follow each other, so of those that begin before the range only the last can reach into it.
      `select * from gaps where stream_id = :streamId and from_ms < :toMs and (to_ms is null or to_ms > :fromMs)
         and from_ms >= coalesce((select max(from_ms) from gaps where stream_id = :streamId and from_ms <= :fromMs), :fromMs)
       order by from_ms`,
      { streamId, fromMs, toMs },
    );
  }

  runName(id: number): string {
    const row = this.sql.one<{ name: string }>('select name from runs where id = :id', { id });
    if (row === undefined) throw new BluelightError('INDEX_CORRUPT', `run ${id} is missing in ring.db`);
    return row.name;
  }

  /** Is the gap that began then, wherever a corrected clock has put it, still remembered? */
  hasGap(streamId: number, { boot, monoMs, reason }: { boot: string; monoMs: number; reason: string }): boolean {
    return (
      this.sql.one(
        'select 1 from gaps where stream_id = :streamId and boot_id = :boot and mono_ms = :monoMs and reason = :reason',
        { streamId, boot, monoMs, reason },
      ) !== undefined
    );
  }

  bootOf(run: number): string {
    const row = this.sql.one<{ boot_id: string }>('select boot_id from runs where id = :run', { run });
    if (row === undefined) throw new BluelightError('INDEX_CORRUPT', `run ${run} is missing in ring.db`);
    return row.boot_id;
  }

  initHash(id: number): Buffer {
    const row = this.sql.one<{ sha256: Buffer }>('select sha256 from inits where id = :id', { id });
    if (row === undefined) throw new BluelightError('INDEX_CORRUPT', `init ${id} is missing in ring.db`);
    return row.sha256;
  }

  initLength(id: number): number {
    return this.sql.one<{ n: number }>('select length(bytes) as n from inits where id = :id', { id })?.n ?? 0;
  }

  /** Takes rows out with everything that was counted for them. */
  drop(rows: readonly SegmentRow[]): void {
    const inits = new Map<number, number>();
    const streams = new Map<number, { segments: number; bytes: number; ms: number }>();
    const journals = new Map<number, number>();
    const users = { runs: new Map<number, number>(), inits: new Map<number, number>() };
    for (const row of rows) {
      addTo(users.runs, row.run_id);
      addTo(users.inits, row.init_id);
      if (row.duration_ticks === null) continue;
      const init = inits.get(row.init_id) ?? this.initLength(row.init_id);
      inits.set(row.init_id, init);
      const sum = streams.get(row.stream_id) ?? { segments: 0, bytes: 0, ms: 0 };
      sum.segments++;
      sum.bytes += allocated(init + (row.body_bytes ?? 0));
      sum.ms += ticksToMs(row.duration_ticks);
      streams.set(row.stream_id, sum);
      if (row.journal_number !== null) addTo(journals, row.journal_number);
    }
    for (const [from, to] of toRanges(rows.map((row) => row.id).sort((a, b) => a - b))) {
      this.sql.run('delete from segments where id between :from and :to', { from, to });
      this.sql.run('delete from fragments where segment_id between :from and :to', { from, to });
    }
    for (const [id, sum] of streams) this.count(id, -sum.segments, -sum.bytes, -sum.ms);
    for (const [number, count] of journals) this.setLive(number, -count);
    for (const table of ['runs', 'inits'] as const) {
      for (const [id, count] of users[table]) {
        this.sql.run(`update ${table} set segments = segments - :count where id = :id`, { id, count });
      }
    }
  }

  count(streamId: number, segments: number, storedBytes: number, durationMs: number): void {
    this.sql.run(
      `update streams set segments = segments + :segments, stored_bytes = stored_bytes + :storedBytes,
         duration_ms = duration_ms + :durationMs where id = :streamId`,
      { streamId, segments, storedBytes, durationMs },
    );
  }

  /** Is this the record of deleted footage that is still needed? */
  isSpent(record: { stream: string; seq: number }): boolean {
    const stream = this.stream(record.stream);
    if (stream === undefined) return false;
    const id = segmentId(stream.id, record.seq);
    return this.sql.one('select 1 from spent_records where segment_id = :id', { id }) !== undefined;
  }

  /** Is the checkpoint with this payload (base64) still kept? */
  hasCheckpoint(payload: string): boolean {
    const sha256 = createHash('sha256').update(Buffer.from(payload, 'base64')).digest();
    return this.sql.one('select 1 from checkpoints where sha256 = :sha256', { sha256 }) !== undefined;
  }
}
