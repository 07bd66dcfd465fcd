import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../base/errors.js';
import { parseFile } from '../media/mp4.js';
import type { Sql } from '../store/sql.js';
import { Applier, type MediaLookup } from './apply.js';
import { setPosition } from './database.js';
import { realDiskIo, type DiskIo } from './disk-io.js';
import type { Journal } from './journal.js';
import type { EntryOf, JournalEntry } from './journal-entry.js';
import { segmentPath, seqOf } from './layout.js';
import { OPEN, type GapRow, type SegmentDetail } from './rows.js';
import { Tables } from './tables.js';
import { CLOCK_TRUST, type RingOptions } from './types.js';

/** Longest head of a file that is looked at for its init: ours have about 1 kB. */
const INIT_PROBE_BYTES = 64 * 1024;

/** An opened disk: index, journal and files, and the one way in which the index changes. */
export class Core {
  readonly io: DiskIo;
  readonly directory: string;
  readonly diskId: string;
  readonly tables: Tables;
  readonly journal: Journal;
  readonly applier: Applier;

  constructor(options: RingOptions, diskId: string, sql: Sql, journal: Journal) {
    this.io = options.io ?? realDiskIo;
    this.directory = options.directory;
    this.diskId = diskId;
    this.tables = new Tables(sql);
    this.journal = journal;
    this.applier = new Applier(this.tables, mediaLookup(this.io, options.directory));
  }

  /**
   * First to the journal, synced, then to the index, in one transaction with `extra`. A crash between the two is
   * repaired at the next start by applying the tail of the journal.
   */
  commit(entries: readonly JournalEntry[], extra: { before?: () => void; after?: () => void } = {}): void {
    if (this.journal.full) this.#nextJournalFile();
    this.journal.append(entries);
    this.tables.sql.transaction(() => {
      extra.before?.();
      for (const entry of entries) this.applier.apply(entry, this.journal.position.number);
      extra.after?.();
      setPosition(this.tables.sql, this.journal.position);
    });
  }

  path(stream: string, seq: number): string {
    return segmentPath(this.directory, stream, seq);
  }

  /** After files were unlinked there: the directory itself goes with its last file. */
  syncOrRemoveDir(path: string): void {
    try {
      this.io.removeDir(path);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      this.io.syncDir(path);
      return;
    }
    this.io.syncDir(dirname(path));
  }

  close(): void {
    this.journal.close();
    this.tables.sql.db.close();
  }

  /** What must be known to record on, so that a start without index needs only the newest file. */
  #nextJournalFile(): void {
    const entries: JournalEntry[] = [];
    for (const stream of this.tables.streams()) {
      entries.push({
        k: 'head',
        stream: stream.name,
        nextSeq: stream.next_seq,
        link: stream.head_link.toString('hex'),
      });
      const gap = this.tables.openGap(stream.id);
      if (gap !== undefined) {
        entries.push(gapOpenEntryOf(stream.name, gap));
      }
    }
    for (const row of this.tables.unsettled()) {
      const detail = row.state === OPEN ? this.tables.detail(row.id) : undefined;
      if (detail !== undefined) entries.push(openEntryOf(this.tables.streamById(row.stream_id).name, detail));
    }
    for (const c of this.tables.sql.all<{ boot_id: string; mono_ms: number; offset_ms: number }>(
      'select boot_id, mono_ms, offset_ms from corrections order by id',
    )) {
      entries.push({ k: 'correction', boot: c.boot_id, monoMs: c.mono_ms, offsetMs: c.offset_ms });
    }
    this.journal.start(entries);
  }
}

/** The entry that made this row, with times as they were recorded. */
export function gapOpenEntryOf(stream: string, gap: GapRow): EntryOf<'gap-open'> {
  return {
    k: 'gap-open',
    stream,
    fromMs: gap.from_ms - gap.shift_from_ms,
    reason: gap.reason,
    boot: gap.boot_id,
    monoMs: gap.mono_ms,
    clock: CLOCK_TRUST[gap.clock] ?? 'none',
  };
}

export function openEntryOf(stream: string, row: SegmentDetail): JournalEntry {
  return {
    k: 'open',
    stream,
    seq: seqOf(row.id),
    ordinal: row.ordinal,
    run: row.run,
    boot: row.boot,
    startMs: row.start_ms - row.shift_ms,
    monoMs: row.mono_ms,
    decodeTicks: row.decode_ticks,
    clock: CLOCK_TRUST[row.clock] ?? 'none',
    initSha256: row.init_sha256.toString('hex'),
  };
}

function mediaLookup(io: DiskIo, directory: string): MediaLookup {
  return {
    size: (stream, seq) => statSync(segmentPath(directory, stream, seq), { throwIfNoEntry: false })?.size,
    init(stream, seq, sha256) {
      const path = segmentPath(directory, stream, seq);
      if (!existsSync(path)) return undefined;
      const fd = io.openRead(path);
      try {
        const head = io.read(fd, 0, INIT_PROBE_BYTES);
        const init = head.slice(0, parseFile(head).initBytes);
        return createHash('sha256').update(init).digest().equals(sha256) ? init : undefined;
      } finally {
        io.close(fd);
      }
    },
  };
}
