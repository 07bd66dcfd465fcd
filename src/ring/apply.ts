import { recordLink } from '../proof/chain.js';
import { applyCheckpoint, keepNeededRecords, keepRecord } from './checkpoints.js';
import { allocated } from './disk-io.js';
import type { EntryOf, JournalEntry } from './journal-entry.js';
import { segmentId } from './layout.js';
import { CLOSED, DAMAGED, GARBAGE, OPEN, type SegmentRow, type StreamRow } from './rows.js';
import type { Tables } from './tables.js';
import { CLOCK_TRUST } from './types.js';

/** What the media says of a segment that the index does not know yet. */
export interface MediaLookup {
  /** Size of the segment's file; undefined when there is none. */
  size(stream: string, seq: number): number | undefined;
  /** `ftyp` + `moov` of the segment's file if its hash is this one. */
  init(stream: string, seq: number, sha256: Uint8Array): Uint8Array | undefined;
}

/**
 * The index is what the journal says: every change is a journal entry first and is applied here, live, when the tail
 * is replayed after a crash, and when the whole index is rebuilt. Applying an entry twice changes nothing.
 * The caller has a transaction open.
 */
export class Applier {
  readonly #tables: Tables;
  readonly #media: MediaLookup;

  constructor(tables: Tables, media: MediaLookup) {
    this.#tables = tables;
    this.#media = media;
  }

  /** @param journalNumber the file of the journal that the entry stands in */
  apply(entry: JournalEntry, journalNumber: number): void {
    switch (entry.k) {
      case 'head':
        return this.#head(entry);
      case 'open':
        return this.#open(entry);
      case 'closed':
        return this.#closed(entry, journalNumber);
      case 'spent':
        return this.#spent(entry);
      case 'dropped':
        return this.#dropped(entry);
      case 'gap-open':
        return this.#gapOpen(entry);
      case 'gap':
        return this.#gap(entry);
      case 'prune':
        return this.#prune(entry);
      case 'deleted':
        return this.#deleted(entry);
      case 'motion':
        return this.#motion(entry);
      case 'correction':
        return this.#correction(entry);
      case 'checkpoint':
        return applyCheckpoint(this.#tables, entry);
      case 'start':
        return;
    }
  }

  #head(entry: EntryOf<'head'>): void {
    const stream = this.#tables.ensureStream(entry.stream);
    if (entry.nextSeq <= stream.next_seq) return;
    this.#tables.sql.run('update streams set next_seq = :nextSeq, head_link = :link where id = :id', {
      id: stream.id,
      nextSeq: entry.nextSeq,
      link: Buffer.from(entry.link, 'hex'),
    });
  }

  #open(entry: EntryOf<'open'>): void {
    const stream = this.#tables.ensureStream(entry.stream);
    const id = segmentId(stream.id, entry.seq);
    if (entry.seq < stream.next_seq || this.#tables.segment(id) !== undefined) return;
    const initId = this.#initId(entry.stream, entry.seq, entry.initSha256);
    if (initId === undefined) return;
    this.#insert(stream, entry.seq, {
      state: OPEN,
      ordinal: entry.ordinal,
      runId: this.#tables.ensureRun(entry.run, entry.boot),
      initId,
      startMs: entry.startMs,
      monoMs: entry.monoMs,
      clock: CLOCK_TRUST.indexOf(entry.clock),
      decodeTicks: entry.decodeTicks,
    });
  }

  #closed(entry: EntryOf<'closed'>, journalNumber: number): void {
    const { record } = entry;
    const stream = this.#tables.ensureStream(record.stream);
    const id = segmentId(stream.id, record.seq);
    const link = Buffer.from(recordLink(record), 'hex');
    const row = this.#tables.segment(id);
    if (row !== undefined && row.state !== OPEN) return this.#moveRecord(row, journalNumber);
    const initId = row?.init_id ?? this.#initId(record.stream, record.seq, record.initSha256);
    if (initId === undefined || this.#media.size(record.stream, record.seq) === undefined) {
      // Or it would be taken for a segment that a crash has cut off.
      if (row !== undefined) this.#tables.drop([row]);
      this.#tables.pruned.add({ ...rangeOf(stream, record), link, why: 'lost' });
      keepRecord(this.#tables, id, record);
    } else {
      if (row === undefined) this.#insertFromRecord(stream, entry, initId);
      this.#close(stream, id, entry, initId, link, journalNumber);
    }
    if (record.seq < stream.next_seq) return;
    this.#tables.sql.run('update streams set next_seq = :next, head_link = :link where id = :id', {
      id: stream.id,
      next: record.seq + 1,
      link,
    });
  }

  /** A record that was carried over into a newer file of the journal. */
  #moveRecord(row: SegmentRow, journalNumber: number): void {
    if (row.journal_number === journalNumber) return;
    if (row.journal_number !== null) this.#tables.setLive(row.journal_number, -1);
    this.#tables.setLive(journalNumber, 1);
    this.#tables.sql.run('update segments set journal_number = :journalNumber where id = :id', {
      id: row.id,
      journalNumber,
    });
  }

  #insertFromRecord(stream: StreamRow, entry: EntryOf<'closed'>, initId: number): void {
    const { record } = entry;
    this.#insert(stream, record.seq, {
      state: OPEN,
      ordinal: entry.ordinal,
      runId: this.#tables.ensureRun(record.run, record.boot),
      initId,
      startMs: record.startMs,
      monoMs: record.monoMs,
      clock: CLOCK_TRUST.indexOf(record.clock),
      decodeTicks: record.decodeTicks,
    });
  }

  #close(
    stream: StreamRow,
    id: number,
    { record }: EntryOf<'closed'>,
    initId: number,
    link: Uint8Array,
    journalNumber: number,
  ): void {
    const sql = this.#tables.sql;
    sql.run(
      `update segments set state = :state, duration_ticks = :durationTicks, body_bytes = :bytes, body_sha256 = :sha256,
         prev = :prev, link = :link, recovered = :recovered, journal_number = :journalNumber where id = :id`,
      {
        id,
        state: CLOSED,
        durationTicks: record.durationTicks,
        bytes: record.bytes,
        sha256: Buffer.from(record.sha256, 'hex'),
        prev: Buffer.from(record.prev, 'hex'),
        link,
        recovered: record.recovered ? 1 : 0,
        journalNumber,
      },
    );
    const init = sql.one<{ n: number }>('select length(bytes) as n from inits where id = :initId', { initId })!.n;
    const durationMs = Math.round(record.durationTicks / 90);
    this.#tables.count(stream.id, 1, allocated(init + record.bytes), durationMs);
    this.#tables.setLive(journalNumber, 1);
    if (durationMs > stream.longest_ms) {
      sql.run('update streams set longest_ms = :durationMs where id = :id', { id: stream.id, durationMs });
    }
    // Found again while rebuilding: it was not lost after all.
    sql.run('delete from pruned where stream_id = :stream and from_seq = :seq and to_seq = :seq', {
      stream: stream.id,
      seq: record.seq,
    });
  }

  #spent({ record }: EntryOf<'spent'>): void {
    const stream = this.#tables.ensureStream(record.stream);
    const id = segmentId(stream.id, record.seq);
    // That it was deleted is said by its prune record.
    if (this.#tables.segment(id) === undefined) keepRecord(this.#tables, id, record);
  }

  #dropped(entry: EntryOf<'dropped'>): void {
    const stream = this.#tables.stream(entry.stream);
    if (stream === undefined) return;
    const row = this.#tables.segment(segmentId(stream.id, entry.seq));
    if (row?.state === OPEN) this.#tables.drop([row]);
  }

  #gapOpen(entry: EntryOf<'gap-open'>): void {
    const stream = this.#tables.ensureStream(entry.stream);
    if (this.#tables.openGap(stream.id) !== undefined || this.#tables.hasGap(stream.id, entry)) return;
    this.#insertGap(stream, entry);
  }

  #gap(entry: EntryOf<'gap'>): void {
    const stream = this.#tables.ensureStream(entry.stream);
    const open = this.#tables.openGap(stream.id);
    // By when it began on the monotonic clock: on the wall clock it may have been moved meanwhile.
    if (open?.boot_id === entry.boot && open.mono_ms === entry.monoMs && open.reason === entry.reason) {
      this.#tables.sql.run('delete from gaps where id = :id', { id: open.id });
    }
    if (entry.toMs !== entry.fromMs && !this.#tables.hasGap(stream.id, entry)) this.#insertGap(stream, entry);
  }

  #insertGap(stream: StreamRow, entry: EntryOf<'gap-open'> | EntryOf<'gap'>): void {
    const end = entry.k === 'gap' ? entry : undefined;
    this.#tables.sql.run(
      `insert into gaps (stream_id, reason, from_ms, boot_id, mono_ms, clock, to_ms, to_boot_id, to_mono_ms, to_clock)
       values (:stream, :reason, :fromMs, :boot, :monoMs, :clock, :toMs, :toBoot, :toMonoMs, :toClock)`,
      {
        stream: stream.id,
        reason: entry.reason,
        fromMs: entry.fromMs,
        boot: entry.boot,
        monoMs: entry.monoMs,
        clock: CLOCK_TRUST.indexOf(entry.clock),
        toMs: end?.toMs ?? null,
        toBoot: end === undefined ? null : (end.toBoot ?? end.boot),
        toMonoMs: end?.toMonoMs ?? null,
        toClock: end === undefined ? null : CLOCK_TRUST.indexOf(end.toClock ?? end.clock),
      },
    );
  }

  #prune({ record }: EntryOf<'prune'>): void {
    const stream = this.#tables.ensureStream(record.stream);
    keepNeededRecords(this.#tables, stream, record.fromSeq, record.toSeq);
    this.#tables.sql.run(
      `update segments set state = :garbage where id between :from and :to and state in (${CLOSED}, ${DAMAGED})`,
      { garbage: GARBAGE, from: segmentId(stream.id, record.fromSeq), to: segmentId(stream.id, record.toSeq) },
    );
    this.#tables.pruned.add({
      streamId: stream.id,
      fromSeq: record.fromSeq,
      toSeq: record.toSeq,
      fromMs: record.fromMs,
      toMs: record.toMs,
      link: Buffer.from(record.linkAtTo, 'hex'),
      why: record.why,
    });
  }

  #deleted({ stream, link, k: _k, ...range }: EntryOf<'deleted'>): void {
    this.#tables.pruned.add({
      ...range,
      streamId: this.#tables.ensureStream(stream).id,
      link: Buffer.from(link, 'hex'),
    });
  }

  #motion(entry: EntryOf<'motion'>): void {
    const stream = this.#tables.stream(entry.stream);
    if (stream === undefined) return;
    this.#tables.sql.run('update segments set has_motion = 1 where id between :from and :to', {
      from: segmentId(stream.id, entry.fromSeq),
      to: segmentId(stream.id, entry.toSeq),
    });
  }

  #correction(entry: EntryOf<'correction'>): void {
    const known = this.#tables.sql.one(
      'select 1 from corrections where boot_id = :boot and mono_ms = :monoMs and offset_ms = :offsetMs',
      { boot: entry.boot, monoMs: entry.monoMs, offsetMs: entry.offsetMs },
    );
    if (known !== undefined) return;
    this.#tables.sql.run('insert into corrections (boot_id, mono_ms, offset_ms) values (:boot, :monoMs, :offsetMs)', {
      boot: entry.boot,
      monoMs: entry.monoMs,
      offsetMs: entry.offsetMs,
    });
  }

  #initId(stream: string, seq: number, sha256Hex: string): number | undefined {
    const sha256 = Buffer.from(sha256Hex, 'hex');
    const known = this.#tables.initId(sha256);
    if (known !== undefined) return known;
    const bytes = this.#media.init(stream, seq, sha256);
    return bytes === undefined ? undefined : this.#tables.ensureInit(sha256, bytes);
  }

  #insert(
    stream: StreamRow,
    seq: number,
    values: {
      state: number;
      ordinal: number;
      runId: number;
      initId: number;
      startMs: number;
      monoMs: number;
      clock: number;
      decodeTicks: number;
    },
  ): void {
    this.#tables.sql.run(
      `insert into segments (id, stream_id, state, ordinal, run_id, init_id, start_ms, mono_ms, clock, decode_ticks)
       values (:id, :stream, :state, :ordinal, :runId, :initId, :startMs, :monoMs, :clock, :decodeTicks)`,
      { id: segmentId(stream.id, seq), stream: stream.id, ...values },
    );
    this.#tables.sql.run('update runs set segments = segments + 1 where id = :id', { id: values.runId });
    this.#tables.sql.run('update inits set segments = segments + 1 where id = :id', { id: values.initId });
    this.#tables.sql.run('update state set next_ordinal = max(next_ordinal, :next) where id = 1', {
      next: values.ordinal + 1,
    });
  }
}

function rangeOf(
  stream: StreamRow,
  record: { seq: number; startMs: number; durationTicks: number },
): { streamId: number; fromSeq: number; toSeq: number; fromMs: number; toMs: number } {
  return {
    streamId: stream.id,
    fromSeq: record.seq,
    toSeq: record.seq,
    fromMs: record.startMs,
    toMs: record.startMs + Math.round(record.durationTicks / 90),
  };
}
