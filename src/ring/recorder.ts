import { dirname } from 'node:path';
import { wallMinusMonotonic, type Clock } from '../base/clock.js';
import { errorCode } from '../base/errors.js';
import { createHash } from 'node:crypto';
import { TIMESCALE, type Fragment, type GapReason, type RunStart } from '../media/stream.js';
import { gapOpenEntryOf, type Core } from './core.js';
import { readState } from './database.js';
import { ensureDir } from './disk-io.js';
import type { EntryOf, JournalEntry } from './journal-entry.js';
import { segmentId } from './layout.js';
import { recordOf } from './records.js';
import { clearTheWay, closedEntries, saveFragments } from './recovery.js';
import { SegmentWriter } from './segment-writer.js';
import type { ClockTrust } from './types.js';

/** What the recorder of a stream needs from the ring. */
export interface RecorderHost {
  readonly clock: Clock;
  readonly bootId: string;
  readonly segmentMs: number;
  trust(): ClockTrust;
  /** @throws BluelightError DISK_FAILED while no disk is open */
  core(): Core;
  /** Frees space for bytes that are about to be written. @throws BluelightError DISK_FULL */
  makeRoom(bytes: number): void;
  /** A segment was closed; its file has this many bytes. */
  settled(segment: { stream: string; seq: number; fromMs: number; toMs: number; bytes: number }): void;
}

/** On both clocks, in whole milliseconds where it is written down. */
interface Moment {
  wallMs: number;
  monoMs: number;
}

interface OpenGap {
  fromMs: number;
  monoMs: number;
  reason: string;
  boot: string;
  clock: ClockTrust;
}

/** Key frames come every few seconds; a stream without any for this long is cut off until one comes. */
const LONGEST_SEGMENT_TICKS = 60 * TIMESCALE;
/** A key frame slightly before the full length still ends a segment, or 9.99 s would become 12. */
const EARLY_TICKS = TIMESCALE / 4;

/** What a run follows by slewing; more than this is a step of the wall clock since. */
const STEP_MS = 2_000;
/** Of two moments on the monotonic clock, each rounded, and the slew within a fragment. */
const ROUNDING_MS = 2;

/** Writes one stream: fragments into segments, and the gaps between them. Every error of the disk is thrown. */
export class StreamRecorder {
  readonly name: string;
  readonly #host: RecorderHost;
  #run: RunStart | undefined;
  #initSha256 = Buffer.alloc(0);
  #writer: SegmentWriter | undefined;
  #nextIndex = 0;
  #gap: OpenGap | undefined;
  /** The end of the newest fragment handed to the disk, on both clocks. */
  #end: Moment | undefined;
  #writtenEndMono = 0;
  #committedEndMono: number | undefined;

  constructor(name: string, host: RecorderHost) {
    this.name = name;
    this.#host = host;
  }

  get writer(): SegmentWriter | undefined {
    return this.#writer;
  }

  get recording(): boolean {
    return this.#writer !== undefined;
  }

  get openGap(): string | undefined {
    return this.#gap?.reason;
  }

  get runName(): string | undefined {
    return this.#run?.run;
  }

  /** Clock.monotonic at which the newest frame that is safe on the disk ended; undefined before the first. */
  get committedEndMono(): number | undefined {
    return this.#committedEndMono;
  }

  begin(start: RunStart): void {
    if (this.#run !== undefined) this.end('unknown');
    this.#run = start;
    this.#initSha256 = createHash('sha256').update(start.init).digest();
    this.#nextIndex = 0;
  }

  append(run: string, fragment: Fragment): void {
    if (this.#run?.run !== run) return;
    if (this.#writer !== undefined) this.#continueOrCut(this.#writer, fragment);
    if (this.#writer === undefined) {
      if (!fragment.key) return;
      this.#host.makeRoom(this.#run.init.length + fragment.bytes.length);
      this.#switch({ next: fragment });
    } else {
      this.#host.makeRoom(fragment.bytes.length);
    }
    this.#writer!.write(fragment, this.#host.clock.monotonic());
    this.#nextIndex = fragment.index + 1;
    this.#writtenEndMono = fragment.monoMs + fragment.duration / 90;
    this.#end = this.#writer!.end;
  }

  /** The run is over (or never began): from here on nothing is recorded, for this reason. */
  end(reason: GapReason): void {
    this.#run = undefined;
    if (this.#writer !== undefined) return this.#switch({ gap: reason });
    if (this.#gap === undefined) return this.#openGapNow(reason);
    // A new attempt is no news: what stopped the recording still explains the gap.
    if (this.#gap.reason === reason || reason === 'starting') return;
    const now = this.#now();
    const entry = this.#gapEntry(now);
    this.#gap = { ...this.#gapAt(now), reason };
    this.#host.core().commit([entry, { k: 'gap-open', stream: this.name, ...this.#gap }]);
  }

  /** fdatasync, if something has been waiting for longer than `maxAgeMs`. */
  sync(maxAgeMs: number): void {
    const since = this.#writer?.unsyncedSince;
    if (since === undefined || this.#host.clock.monotonic() - since < maxAgeMs) return;
    this.#writer!.sync();
    this.#committedEndMono = this.#writtenEndMono;
  }

  /** The disk failed: lets the file go as it is. It is recovered when the disk is back. */
  abandon(reason: GapReason): void {
    const was = this.#writer;
    was?.abandon();
    this.#writer = undefined;
    if (was !== undefined || (this.#run !== undefined && this.#gap === undefined)) {
      const begun = this.#run === undefined ? this.#now() : rounded(this.#run);
      this.#gap ??= { ...this.#gapAt(this.#end ?? begun), reason };
    }
  }

  /** Everything on the disk is erased: what was safe there is no more. */
  erased(): void {
    this.abandon('agent_stopped');
    this.#committedEndMono = undefined;
  }

  /** A disk was opened (again): what it says about the last gap counts. */
  attach(core: Core): void {
    const stream = core.tables.ensureStream(this.name);
    const row = core.tables.openGap(stream.id);
    if (row !== undefined) {
      const { k: _k, stream: _stream, ...gap } = gapOpenEntryOf(this.name, row);
      this.#gap = { ...gap, fromMs: row.from_ms };
    } else if (this.#gap !== undefined) {
      core.commit([{ k: 'gap-open', stream: this.name, ...this.#gap }]);
    }
  }

  /** The clock was corrected: what is open goes on from where the index has put it. */
  corrected(core: Core): void {
    const stream = core.tables.stream(this.name);
    if (stream === undefined) return;
    const gap = core.tables.openGap(stream.id);
    if (gap !== undefined && this.#gap !== undefined) this.#gap = { ...this.#gap, fromMs: gap.from_ms };
    const row = this.#writer && core.tables.detail(segmentId(stream.id, this.#writer.seq));
    if (row === undefined) return;
    this.#writer!.startMs = row.start_ms;
    this.#end = this.#end && { ...this.#end, wallMs: this.#writer!.endMs };
  }

  /** Ends the segment although its run goes on, because nothing can be written. The next key frame tries again. */
  stop(reason: GapReason): void {
    if (this.#writer !== undefined) this.#switch({ gap: reason });
    else if (this.#run !== undefined && this.#gap === undefined) this.#openGapNow(reason);
  }

  #continueOrCut(writer: SegmentWriter, fragment: Fragment): void {
    const ticks = writer.durationTicks;
    // The queue before the ring drops whole fragments when the disk cannot keep up.
    if (fragment.index !== this.#nextIndex) return this.#switch({ gap: 'disk_slow' });
    const jump = Math.abs(fragment.decodeTime - writer.nextDecodeTicks);
    if (jump > TIMESCALE) return this.#switch({ gap: 'stream_invalid' });
    if (fragment.key && ticks + EARLY_TICKS >= (this.#host.segmentMs * TIMESCALE) / 1000) {
      this.#host.makeRoom(this.#run!.init.length + fragment.bytes.length);
      return this.#switch({ next: fragment });
    }
    if (ticks > LONGEST_SEGMENT_TICKS && !fragment.key) this.#switch({ gap: 'stream_invalid' });
  }

  /** Closes the segment that is open, if any, and begins the next one or a gap: one entry each, one sync for all. */
  #switch(to: { next: Fragment } | { gap: GapReason }): void {
    const core = this.#host.core();
    const entries: JournalEntry[] = [];
    const after: (() => void)[] = [];
    const old = this.#writer;
    if (old !== undefined) entries.push(...this.#closeEntries(core, old, after));
    let gap = this.#gap;
    let next: SegmentWriter | undefined;
    let failure: { error: unknown } | undefined;
    if ('next' in to) {
      try {
        next = this.#create(core, to.next, entries);
        if (gap !== undefined) entries.unshift(this.#gapEntry({ wallMs: next.startMs, monoMs: next.monoMs }));
        gap = undefined;
      } catch (error) {
        failure = { error };
      }
    } else {
      gap = { ...this.#gapAt(this.#end ?? this.#now()), reason: to.gap };
      entries.push({ k: 'gap-open', stream: this.name, ...gap });
    }
    try {
      if (entries.length > 0) {
        core.commit(entries, { before: () => this.#saveInit(core), after: () => after.forEach((f) => f()) });
      }
    } catch (error) {
      next?.abandon();
      throw error;
    }
    if (old !== undefined) {
      this.#committedEndMono = this.#writtenEndMono;
      old.abandon();
      this.#host.settled({
        stream: this.name,
        seq: old.seq,
        fromMs: old.startMs,
        toMs: old.endMs,
        bytes: old.initBytes + old.bodyBytes,
      });
    }
    this.#writer = next;
    this.#gap = gap;
    if (failure !== undefined) throw failure.error;
  }

  #closeEntries(core: Core, writer: SegmentWriter, after: (() => void)[]): JournalEntry[] {
    const done = writer.finish();
    const stream = core.tables.stream(this.name)!;
    const id = segmentId(stream.id, writer.seq);
    const row = core.tables.detail(id)!;
    after.push(() => saveFragments(core, id, done.fragments));
    const record = recordOf(stream, row, {
      durationTicks: writer.durationTicks,
      bytes: writer.bodyBytes,
      sha256: done.sha256,
      recovered: false,
      prev: stream.head_link.toString('hex'),
    });
    return closedEntries(row, record);
  }

  #create(core: Core, first: Fragment, entries: JournalEntry[]): SegmentWriter {
    const run = this.#run!;
    const stream = core.tables.stream(this.name);
    const seq = this.#writer === undefined ? (stream?.next_seq ?? 1) : this.#writer.seq + 1;
    const path = core.path(this.name, seq);
    ensureDir(core.io, core.directory, dirname(path));
    const start = { stream: this.name, seq, run: run.run, path, init: run.init, first: this.#dated(first) };
    const syncDirectory = (): void => core.io.syncDir(dirname(path));
    let writer: SegmentWriter;
    try {
      writer = new SegmentWriter(core.io, start, syncDirectory);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      clearTheWay(core, this.name, seq);
      writer = new SegmentWriter(core.io, start, syncDirectory);
    }
    entries.push({
      k: 'open',
      stream: this.name,
      seq,
      ordinal: readState(core.tables.sql).next_ordinal,
      run: run.run,
      boot: this.#host.bootId,
      startMs: writer.startMs,
      monoMs: writer.monoMs,
      decodeTicks: writer.decodeTicks,
      clock: this.#host.trust(),
      initSha256: this.#initSha256.toString('hex'),
    });
    return writer;
  }

  /**
   * The wall clock may have been stepped since a moment was noted, or since the run began whose fragments still count
   * from before. What is written down now is told by the clock that is trusted now, or not.
   */
  #dated<T extends Moment>(at: T): T {
    const wallMs = Math.round(at.monoMs + wallMinusMonotonic(this.#host.clock));
    return Math.abs(wallMs - at.wallMs) <= STEP_MS ? at : { ...at, wallMs };
  }

  #saveInit(core: Core): void {
    if (this.#run !== undefined) core.tables.ensureInit(this.#initSha256, this.#run.init);
  }

  #openGapNow(reason: GapReason): void {
    const gap = { ...this.#gapAt(this.#end ?? this.#now()), reason };
    this.#host.core().commit([{ k: 'gap-open', stream: this.name, ...gap }]);
    this.#gap = gap;
  }

  /** The entry that ends the open gap. What was never any time long is forgotten with it. */
  #gapEntry(end: Moment): EntryOf<'gap'> {
    const gap = this.#gap!;
    const toBoot = this.#host.bootId;
    const toClock = this.#host.trust();
    const entry = { k: 'gap', stream: this.name, ...gap, toMonoMs: end.monoMs, toBoot, toClock } as const;
    if (gap.boot !== toBoot) return { ...entry, toMs: end.wallMs };
    const lasted = end.monoMs - gap.monoMs;
    if (lasted <= ROUNDING_MS) return { ...entry, toMs: gap.fromMs };
    // The wall clock was set back meanwhile, and its beginning is not put right any more, or both will be.
    const back = end.wallMs <= gap.fromMs && (toClock !== 'ntp' || gap.clock === 'ntp');
    return { ...entry, toMs: back ? gap.fromMs + lasted : end.wallMs };
  }

  #gapAt(at: Moment): Omit<OpenGap, 'reason'> {
    const { wallMs, monoMs } = this.#dated(at);
    return { fromMs: wallMs, monoMs, boot: this.#host.bootId, clock: this.#host.trust() };
  }

  #now(): Moment {
    return rounded({ wallMs: this.#host.clock.now(), monoMs: this.#host.clock.monotonic() });
  }
}

function rounded(at: Moment): Moment {
  return { wallMs: Math.round(at.wallMs), monoMs: Math.round(at.monoMs) };
}
