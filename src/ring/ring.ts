import { BluelightError, errorMessage } from '../base/errors.js';
import type { Anchor, Envelope } from '../contract/evidence.js';
import type { RingCheckLevel } from '../contract/ring.js';
import type { Fragment, GapReason, RunStart } from '../media/stream.js';
import { answerCoverage, answerPlan } from './answers.js';
import { RingCheck } from './check.js';
import { anchorOf, checkpointsAfter, makeCheckpoint, newestCheckpoint } from './checkpoints.js';
import { outlineFiles } from './clip-plan.js';
import type { Core } from './core.js';
import { diskError, diskStateOf, diskTrouble } from './disk-errors.js';
import { eraseStep, orderErase } from './erase.js';
import { checkStream } from './layout.js';
import { checkMount, openDisk, putIndexAside, type Opened } from './opened.js';
import { Protections } from './protections.js';
import { StreamRecorder, type RecorderHost } from './recorder.js';
import { StatusDesk } from './status.js';
import { timeline } from './timeline.js';
import type {
  ClipPlan,
  ClockTrust,
  CoverageAnswer,
  DiskState,
  Protection,
  RingLimits,
  RingOptions,
  RingStatus,
  SegmentAsk,
  TimelineEntry,
  OutlinedFile,
} from './types.js';

/** fdatasync at this age, so that with a tick every 250 ms nothing waits longer than 1 s. */
const SYNC_AFTER_MS = 700;
const RETRY_OPEN_MS = 1_000;
const CHECK_MOUNT_MS = 2_000;

/**
 * The ring buffer on the recording disk. Plain synchronous calls, made from the one thread that may hang with the disk.
 * Recording calls never throw for what the disk does: they become gaps with a reason and `status().state`; recording
 * resumes by itself. Reading calls throw BluelightError DISK_FAILED while the disk is away.
 * `tick` must be called every 250 ms.
 */
export class Ring implements RecorderHost {
  readonly clock;
  readonly bootId: string;
  readonly segmentMs: number;
  readonly #options: RingOptions;
  readonly #recorders = new Map<string, StreamRecorder>();
  readonly #protections = new Protections();
  readonly #statusDesk = new StatusDesk();
  #opened: Opened | undefined;
  #limits: RingLimits;
  #problem: { state: DiskState; error: BluelightError } | undefined;
  #everOpen = false;
  /** Once opened, only this disk is taken: the empty mount point that it leaves is not a new one. */
  #knownDisk: string | undefined;
  #closed = false;
  #next = { open: 0, mount: 0 };

  constructor(options: RingOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.clock = options.clock;
    this.bootId = options.bootId;
    this.segmentMs = options.segmentMs ?? 10_000;
  }

  /** The identity of the disk; undefined before one was opened. */
  get diskId(): string | undefined {
    return this.#opened?.core.diskId;
  }

  /** @throws BluelightError why the disk cannot be used; `tick` goes on trying. */
  open(): void {
    this.#closed = false;
    this.#tryOpen('agent_crashed');
    if (this.#opened === undefined) throw this.#problem!.error;
  }

  /** Ends every run with `agent_stopped`; later calls of `tick` do nothing. */
  close(): void {
    this.#closed = true;
    for (const recorder of this.#recorders.values()) this.#guard(recorder, () => recorder.end('agent_stopped'));
    this.#opened?.core.close();
    this.#opened = undefined;
  }

  /** Lets every file and lock go as a dying process does: nothing is closed, synced or written. */
  dropHandles(): void {
    for (const recorder of this.#recorders.values()) recorder.abandon('agent_crashed');
    this.#closeQuietly();
  }

  // --- writing

  beginRun(start: RunStart): void {
    const recorder = this.#recorder(checkStream(start.stream));
    this.#guard(recorder, () => recorder.begin(start));
    if (this.#opened === undefined) recorder.abandon(this.#away());
  }

  appendFragment(stream: string, run: string, fragment: Fragment): void {
    const recorder = this.#recorders.get(stream);
    if (recorder === undefined) return;
    if (this.#opened === undefined) recorder.abandon(this.#away());
    else this.#guard(recorder, () => recorder.append(run, fragment));
  }

  /** @param run undefined: none had begun. A run that is over already is not ended again. */
  endRun(stream: string, run: string | undefined, reason: GapReason): void {
    const recorder = this.#recorder(checkStream(stream));
    if (run !== undefined && recorder.runName !== undefined && recorder.runName !== run) return;
    this.#guard(recorder, () => recorder.end(reason));
  }

  /** Motion of a camera in a range, pre-roll and post-roll included: its originals are kept longer. */
  markMotion(camera: string, fromMs: number, toMs: number): void {
    this.#guard(undefined, () => this.#opened?.maintenance.markMotion(camera, fromMs, toMs));
  }

  /** Holds and leases as a whole. Until the first call nothing closed is evicted. */
  setProtections(list: readonly Protection[]): void {
    this.#guard(undefined, () => {
      const opened = this.#opened;
      if (opened === undefined) this.#protections.remember(list);
      else opened.space.released(this.#protections.set(list, opened.core.tables));
    });
  }

  setLimits(limits: RingLimits): void {
    this.#limits = limits;
  }

  /** Syncs what is due, makes room ahead of need, looks after the disk. */
  tick(): void {
    if (this.#closed) return;
    const now = this.clock.monotonic();
    if (this.#opened === undefined && now >= this.#next.open)
      this.#tryOpen(this.#everOpen ? this.#away() : 'agent_crashed');
    if (now >= this.#next.mount) this.#checkMount(now);
    for (const recorder of this.#recorders.values()) this.#guard(recorder, () => recorder.sync(SYNC_AFTER_MS));
    this.#guard(undefined, () => {
      const opened = this.#opened;
      if (opened === undefined) return;
      opened.space.tick(this.#limits, opened.clockWatch.trustedNow(now));
      const corrected = opened.maintenance.tick(opened.clockWatch);
      if (corrected) for (const recorder of this.#recorders.values()) recorder.corrected(opened.core);
      eraseStep(this.#options.directory, this.clock);
      if (this.#problem?.state === 'full' && opened.space.hasRoom(this.#limits)) this.#problem = undefined;
    });
  }

  // --- reading

  /** Exact answer from the index: spans, gaps with their reasons, bytes; both clipped to [fromMs, toMs). */
  coverage(stream: string, fromMs: number, toMs: number): CoverageAnswer {
    return this.#read((opened) => answerCoverage(this.#asked(opened, stream, fromMs, toMs)));
  }

  /** The whole segments that cover a range, as playable files, with what the manifest needs. */
  plan(stream: string, fromMs: number, toMs: number): ClipPlan {
    return this.#read((opened) => answerPlan(this.#asked(opened, stream, fromMs, toMs)));
  }

  /** The files that a range makes, without their proof. */
  outline(stream: string, fromMs: number, toMs: number): OutlinedFile[] {
    return this.#read(({ core }) => {
      const row = core.tables.stream(checkStream(stream));
      return row === undefined ? [] : outlineFiles(core.tables, row, fromMs, toMs);
    });
  }

  /** Segments with their motion marks, neighbours with equal mark merged. */
  timeline(stream: string, fromMs: number, toMs: number): TimelineEntry[] {
    return this.#read(({ core }) => timeline(core.tables, checkStream(stream), fromMs, toMs));
  }

  /** `ftyp` + `moov`. @throws BluelightError NOT_FOUND */
  readInit(sha256Hex: string): Uint8Array {
    return this.#read(({ reader }) => reader.init(sha256Hex));
  }

  /**
   * Bytes of the fragments of a closed segment. The whole file is checked against its hash first.
   * @throws BluelightError NOT_FOUND: evicted meanwhile; SEGMENT_DAMAGED: does not fit its hash, and is not served again
   */
  read(ask: SegmentAsk): Uint8Array {
    checkStream(ask.stream);
    return this.#read(({ reader }) => reader.body(ask));
  }

  /** Sequence number and link of each stream's newest closed segment: what a checkpoint signs. */
  heads(): Record<string, { seq: number; link: string }> {
    return this.#read(({ core }) =>
      Object.fromEntries(
        core.tables.streams().map((s) => [s.name, { seq: s.next_seq - 1, link: s.head_link.toString('hex') }]),
      ),
    );
  }

  /**
   * Signs the heads of all chains; to be called every 5 minutes. Committed when it returns.
   * @throws BluelightError NO_KEY without a signer
   */
  checkpoint(about: { site: string; box: string; audit: string | null }): Envelope {
    const { signer } = this.#options;
    if (signer === undefined) throw new BluelightError('NO_KEY', 'the ring was given no key to sign with');
    return this.#read(({ core }) =>
      makeCheckpoint(core, { ...about, nowMs: this.clock.now(), clock: this.trust() }, signer),
    );
  }

  /** Checkpoints after the n-th, oldest first. */
  checkpointsAfter(ask: { n: number; limit: number }): Envelope[] {
    return this.#read(({ core }) => checkpointsAfter(core.tables, ask));
  }

  /** The one that was signed last; null: none yet. */
  newestCheckpoint(): Envelope | null {
    return this.#read(({ core }) => newestCheckpoint(core.tables) ?? null);
  }

  /** What ties a segment, deleted or not, to the next checkpoint; null while there is none. */
  anchor(stream: string, seq: number): Anchor | null {
    return this.#read(({ core }) => {
      const row = core.tables.stream(checkStream(stream));
      return row === undefined ? null : (anchorOf(core.tables, row, seq) ?? null);
    });
  }

  /** @param maxAgeMs what is counted in the index may be so old; what is recorded at this moment never is */
  status(maxAgeMs = 0): RingStatus {
    return this.#statusDesk.status(
      {
        opened: this.#opened,
        problem: this.#problem,
        limits: this.#limits,
        recorders: this.#recorders,
        snapshotSeen: this.#protections.seen,
        nowMs: this.clock.now(),
        monoMs: this.clock.monotonic(),
      },
      maxAgeMs,
    );
  }

  /** Holds index and media against each other; call `step` on what is returned until it says false. */
  check(level: RingCheckLevel): RingCheck {
    return this.#read(({ core }) => new RingCheck(core, level, this.clock));
  }

  /** Puts the index aside and builds it anew from journal and media, while recording goes on. */
  rebuild(): void {
    this.core();
    const error = new BluelightError('INDEX_CORRUPT', 'the index is rebuilt on demand', { retryable: true });
    this.#lose(error, 'disk_failed');
    this.#repairIndex(error);
  }

  /**
   * Erases every recording of the disk, held or not, and records on. Once this returns nothing of before is found any
   * more; `eraseStep` frees the space, and so does `tick` by itself.
   * @throws BluelightError DISK_FAILED: nothing was erased
   */
  erase(): void {
    this.#read(() => orderErase(this.#options.directory));
    for (const recorder of this.#recorders.values()) recorder.abandon('agent_stopped');
    this.#closeQuietly();
    this.#tryOpen('agent_stopped');
  }

  /** False: nothing that was erased is left on the disk. */
  eraseStep(): boolean {
    return this.#read(() => eraseStep(this.#options.directory, this.clock));
  }

  /** How much of it is done, 0..1; null: the index is complete. */
  get rebuildShare(): number | null {
    return this.#opened?.maintenance.rebuildShare ?? null;
  }

  /** One step of rebuilding the index; false when it is complete. `tick` makes steps by itself. */
  rebuildStep(): boolean {
    return this.#opened?.maintenance.rebuildStep() ?? false;
  }

  // --- what recorders need (RecorderHost)

  trust(): ClockTrust {
    const told = this.#options.clockTrust();
    const doubted = this.#opened?.clockWatch.doubts(this.clock.now(), this.clock.monotonic()) === true;
    return told === 'ntp' && doubted ? 'rtc' : told;
  }

  core(): Core {
    if (this.#opened === undefined) throw this.#noDisk();
    return this.#opened.core;
  }

  makeRoom(bytes: number): void {
    this.#opened?.space.make(bytes, this.#limits, this.#opened.clockWatch.trustedNow(this.clock.monotonic()));
  }

  settled(segment: { stream: string; seq: number; fromMs: number; toMs: number; bytes: number }): void {
    this.#protections.closed(segment.stream, segment.seq, segment.fromMs, segment.toMs);
    this.#opened?.space.closed(segment.bytes);
  }

  // --- the disk

  #recorder(stream: string): StreamRecorder {
    let recorder = this.#recorders.get(stream);
    if (recorder === undefined) {
      recorder = new StreamRecorder(stream, this);
      const added = recorder;
      this.#recorders.set(stream, recorder);
      this.#guard(undefined, () => {
        if (this.#opened !== undefined) added.attach(this.#opened.core);
      });
    }
    return recorder;
  }

  #tryOpen(reason: GapReason): void {
    this.#next.open = this.clock.monotonic() + RETRY_OPEN_MS;
    for (const again of [true, false]) {
      try {
        this.#openDisk(reason);
        this.#problem = undefined;
        this.#everOpen = true;
        this.#knownDisk = this.diskId;
        return;
      } catch (error) {
        if (diskTrouble(error) === undefined && !(error instanceof BluelightError)) throw error;
        this.#closeQuietly();
        this.#setProblem(diskError(error));
        if (diskTrouble(error) !== 'index' || !again || !this.#quarantineIndex(error)) return;
      }
    }
  }

  /** False when the disk refuses. */
  #quarantineIndex(error: unknown): boolean {
    try {
      putIndexAside(this.#options, error);
      return true;
    } catch (refused) {
      this.#setProblem(diskError(refused));
      return false;
    }
  }

  #openDisk(reason: GapReason): void {
    const expect = this.#knownDisk ?? this.#options.expectDisk;
    const opened = (this.#opened = openDisk(this.#options, this.#protections, { expect, reason }));
    for (const recorder of this.#recorders.values()) recorder.attach(opened.core);
    opened.space.tick(this.#limits, null);
  }

  #noDisk(): BluelightError {
    const closed = (): BluelightError =>
      new BluelightError('DISK_FAILED', 'the recording disk is not open', { retryable: true });
    return this.#problem?.error ?? closed();
  }

  #asked(opened: Opened, stream: string, fromMs: number, toMs: number) {
    const recorder = this.#recorders.get(checkStream(stream));
    return { opened, recorder, clock: this.clock, stream, fromMs, toMs };
  }

  /** Why nothing is recorded while no disk is open. */
  #away(): GapReason {
    return this.#problem?.state === 'full' ? 'disk_full' : 'disk_failed';
  }

  #checkMount(now: number): void {
    this.#next.mount = now + CHECK_MOUNT_MS;
    const opened = this.#opened;
    if (opened !== undefined) this.#guard(undefined, () => checkMount(this.#options, opened));
  }

  /** Runs a recording call; what the disk does wrong becomes a state and a gap. */
  #guard(recorder: StreamRecorder | undefined, work: () => void): void {
    try {
      work();
    } catch (error) {
      const trouble = diskTrouble(error);
      if (trouble === undefined) throw error;
      if (trouble === 'full' && this.#stopForRoom(recorder, error)) return;
      this.#lose(diskError(error), trouble === 'full' ? 'disk_full' : 'disk_failed');
      if (trouble === 'index') this.#repairIndex(error);
    }
  }

  /** The disk is full but alive: the segment is closed, with the ballast if need be. False when even that fails. */
  #stopForRoom(recorder: StreamRecorder | undefined, error: unknown): boolean {
    this.#setProblem(diskError(error));
    try {
      if (this.#opened?.space.lowOnDisk() === true) this.#opened.space.releaseBallast();
      recorder?.stop('disk_full');
      return true;
    } catch (second) {
      if (diskTrouble(second) === undefined) throw second;
      return false;
    }
  }

  #lose(error: BluelightError, reason: GapReason): void {
    this.#setProblem(error);
    for (const recorder of this.#recorders.values()) recorder.abandon(reason);
    this.#closeQuietly();
    this.#next.open = this.clock.monotonic() + RETRY_OPEN_MS;
  }

  #repairIndex(error: unknown): void {
    if (this.#quarantineIndex(error)) this.#tryOpen('disk_failed');
  }

  #closeQuietly(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    try {
      opened?.core.close();
    } catch (error) {
      this.#options.log.warn({ error: errorMessage(error) }, 'the disk would not let its files be closed');
    }
  }

  #setProblem(error: BluelightError): void {
    const state = diskStateOf(error);
    if (this.#problem?.state !== state) {
      this.#options.log.error({ code: error.code, problem: error.message, fix: error.fix }, 'recording is disturbed');
    }
    this.#problem = { state, error };
  }

  #read<T>(work: (opened: Opened) => T): T {
    try {
      if (this.#opened === undefined) throw this.#noDisk();
      return work(this.#opened);
    } catch (error) {
      const trouble = diskTrouble(error);
      if (trouble === undefined) throw error;
      // One unreadable block must not stop the recording: if the disk itself is gone, the next sync finds out.
      if (trouble === 'index' && this.#opened !== undefined) {
        this.#lose(diskError(error), 'disk_failed');
        this.#repairIndex(error);
      }
      throw diskError(error);
    }
  }
}
