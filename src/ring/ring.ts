import { sha256Beside } from '../base/digest.js';
import { BluelightError } from '../base/errors.js';
import type { Anchor, Envelope } from '../contract/evidence.js';
import type { RingCheckLevel } from '../contract/ring.js';
import type { Fragment, GapReason, RunStart } from '../media/stream.js';
import { answerCoverage, answerPlan } from './answers.js';
import { RingCheck } from './check.js';
import { anchorOf, checkpointsAfter, makeCheckpoint, newestCheckpoint } from './checkpoints.js';
import { outlineFiles } from './clip-plan.js';
import type { Core } from './core.js';
import { DiskKeeper } from './disk-keeper.js';
import { eraseStep, orderErase } from './erase.js';
import { checkStream } from './layout.js';
import type { Opened } from './opened.js';
import { Protections } from './protections.js';
import { StreamRecorder, type RecorderHost } from './recorder.js';
import { StatusDesk } from './status.js';
import { timeline } from './timeline.js';
import type {
  ClipPlan,
  ClockTrust,
  CoverageAnswer,
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
  readonly #disk: DiskKeeper;
  #limits: RingLimits;
  #closed = false;

  constructor(options: RingOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.clock = options.clock;
    this.bootId = options.bootId;
    this.segmentMs = options.segmentMs ?? 10_000;
    this.#disk = new DiskKeeper(options, {
      protections: this.#protections,
      recorders: this.#recorders,
      limits: () => this.#limits,
    });
  }

  /** The identity of the disk; undefined before one was opened. */
  get diskId(): string | undefined {
    return this.#disk.opened?.core.diskId;
  }

  /** @throws BluelightError why the disk cannot be used; `tick` goes on trying. */
  open(): void {
    this.#closed = false;
    this.#disk.open('agent_crashed');
    if (this.#disk.opened === undefined) throw this.#disk.problem!.error;
  }

  /** Ends every run with `agent_stopped`; later calls of `tick` do nothing. */
  close(): void {
    this.#closed = true;
    for (const recorder of this.#recorders.values()) this.#disk.guard(recorder, () => recorder.end('agent_stopped'));
    this.#disk.close();
  }

  /** Lets every file and lock go as a dying process does: nothing is closed, synced or written. */
  dropHandles(): void {
    for (const recorder of this.#recorders.values()) recorder.abandon('agent_crashed');
    this.#disk.letGo();
  }

  // --- writing

  beginRun(start: RunStart): void {
    const recorder = this.#recorder(checkStream(start.stream));
    this.#disk.guard(recorder, () => recorder.begin(start));
    if (this.#disk.opened === undefined) recorder.abandon(this.#disk.away());
  }

  appendFragment(stream: string, run: string, fragment: Fragment): void {
    const recorder = this.#recorders.get(stream);
    if (recorder === undefined) return;
    if (this.#disk.opened === undefined) recorder.abandon(this.#disk.away());
    else this.#disk.guard(recorder, () => recorder.append(run, fragment));
  }

  /** @param run undefined: none had begun. A run that is over already is not ended again. */
  endRun(stream: string, run: string | undefined, reason: GapReason): void {
    const recorder = this.#recorder(checkStream(stream));
    if (run !== undefined && recorder.runName !== undefined && recorder.runName !== run) return;
    this.#disk.guard(recorder, () => recorder.end(reason));
  }

  /** Motion of a camera in a range, pre-roll and post-roll included: its originals are kept longer. */
  markMotion(camera: string, fromMs: number, toMs: number): void {
    this.#disk.guard(undefined, () => this.#disk.opened?.maintenance.markMotion(camera, fromMs, toMs));
  }

  /** Holds and leases as a whole. Until the first call nothing closed is evicted. */
  setProtections(list: readonly Protection[]): void {
    this.#disk.guard(undefined, () => {
      const opened = this.#disk.opened;
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
    this.#disk.look(now);
    for (const recorder of this.#recorders.values()) this.#disk.guard(recorder, () => recorder.sync(SYNC_AFTER_MS));
    this.#disk.guard(undefined, () => {
      const opened = this.#disk.opened;
      if (opened === undefined) return;
      opened.space.tick(this.#limits, opened.clockWatch.trustedNow(now));
      const corrected = opened.maintenance.tick(opened.clockWatch);
      if (corrected) for (const recorder of this.#recorders.values()) recorder.corrected(opened.core);
      eraseStep(this.#options.directory, this.clock);
      this.#disk.mayHaveRoom();
    });
  }

  // --- reading

  /** Exact answer from the index: spans, gaps with their reasons, bytes; both clipped to [fromMs, toMs). */
  coverage(stream: string, fromMs: number, toMs: number): CoverageAnswer {
    return this.#disk.read((opened) => answerCoverage(this.#asked(opened, stream, fromMs, toMs)));
  }

  /** The whole segments that cover a range, as playable files, with what the manifest needs. */
  plan(stream: string, fromMs: number, toMs: number): ClipPlan {
    return this.#disk.read((opened) => answerPlan(this.#asked(opened, stream, fromMs, toMs)));
  }

  /** The files that a range makes, without their proof. */
  outline(stream: string, fromMs: number, toMs: number): OutlinedFile[] {
    return this.#disk.read(({ core }) => {
      const row = core.tables.stream(checkStream(stream));
      return row === undefined ? [] : outlineFiles(core.tables, row, fromMs, toMs);
    });
  }

  /** Segments with their motion marks, neighbours with equal mark merged. */
  timeline(stream: string, fromMs: number, toMs: number): TimelineEntry[] {
    return this.#disk.read(({ core }) => timeline(core.tables, checkStream(stream), fromMs, toMs));
  }

  /** `ftyp` + `moov`. @throws BluelightError NOT_FOUND */
  readInit(sha256Hex: string): Uint8Array {
    return this.#disk.read(({ reader }) => reader.init(sha256Hex));
  }

  /**
   * Bytes of the fragments of a closed segment. The whole file is checked against its hash first, beside the recording.
   * @throws BluelightError NOT_FOUND: evicted meanwhile; SEGMENT_DAMAGED: does not fit its hash, and is not served again
   */
  async read(ask: SegmentAsk): Promise<Uint8Array> {
    checkStream(ask.stream);
    const loaded = this.#disk.read(({ reader }) => reader.load(ask));
    const hash = loaded.body && (await sha256Beside(loaded.body));
    return this.#disk.read(({ reader }) => reader.give(loaded, hash));
  }

  /** Sequence number and link of each stream's newest closed segment: what a checkpoint signs. */
  heads(): Record<string, { seq: number; link: string }> {
    return this.#disk.read(({ core }) =>
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
    return this.#disk.read(({ core }) =>
      makeCheckpoint(core, { ...about, nowMs: this.clock.now(), clock: this.trust() }, signer),
    );
  }

  /** Checkpoints after the n-th, oldest first. */
  checkpointsAfter(ask: { n: number; limit: number }): Envelope[] {
    return this.#disk.read(({ core }) => checkpointsAfter(core.tables, ask));
  }

  /** The one that was signed last; null: none yet. */
  newestCheckpoint(): Envelope | null {
    return this.#disk.read(({ core }) => newestCheckpoint(core.tables) ?? null);
  }

  /** What ties a segment, deleted or not, to the next checkpoint; null while there is none. */
  anchor(stream: string, seq: number): Anchor | null {
    return this.#disk.read(({ core }) => {
      const row = core.tables.stream(checkStream(stream));
      return row === undefined ? null : (anchorOf(core.tables, row, seq) ?? null);
    });
  }

  /** @param maxAgeMs what is counted in the index may be so old; what is recorded at this moment never is */
  status(maxAgeMs = 0): RingStatus {
    return this.#statusDesk.status(
      {
        opened: this.#disk.opened,
        problem: this.#disk.problem,
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
    return this.#disk.read(({ core }) => new RingCheck(core, level, this.clock));
  }

  /** Puts the index aside and builds it anew from journal and media, while recording goes on. */
  rebuild(): void {
    this.core();
    this.#disk.rebuild();
  }

  /**
   * Erases every recording of the disk, held or not, and records on. Once this returns nothing of before is found any
   * more; `eraseStep` frees the space, and so does `tick` by itself.
   * @throws BluelightError DISK_FAILED: nothing was erased
   */
  erase(): void {
    this.#disk.read(() => orderErase(this.#options.directory));
    for (const recorder of this.#recorders.values()) recorder.erased();
    this.#disk.letGo();
    this.#disk.open('agent_stopped');
  }

  /** False: nothing that was erased is left on the disk. */
  eraseStep(): boolean {
    return this.#disk.read(() => eraseStep(this.#options.directory, this.clock));
  }

  /** How much of it is done, 0..1; null: the index is complete. */
  get rebuildShare(): number | null {
    return this.#disk.opened?.maintenance.rebuildShare ?? null;
  }

  /** One step of rebuilding the index; false when it is complete. `tick` makes steps by itself. */
  rebuildStep(): boolean {
    return this.#disk.opened?.maintenance.rebuildStep() ?? false;
  }

  // --- what recorders need (RecorderHost)

  trust(): ClockTrust {
    const told = this.#options.clockTrust();
    const doubted = this.#disk.opened?.clockWatch.doubts(this.clock.now(), this.clock.monotonic()) === true;
    return told === 'ntp' && doubted ? 'rtc' : told;
  }

  core(): Core {
    return this.#disk.must().core;
  }

  makeRoom(bytes: number): void {
    this.#disk.opened?.space.make(bytes, this.#limits, this.#disk.opened.clockWatch.trustedNow(this.clock.monotonic()));
  }

  settled(segment: { stream: string; seq: number; fromMs: number; toMs: number; bytes: number }): void {
    this.#protections.closed(segment.stream, segment.seq, segment.fromMs, segment.toMs);
    this.#disk.opened?.space.closed(segment.bytes);
  }

  // --- the disk

  #recorder(stream: string): StreamRecorder {
    let recorder = this.#recorders.get(stream);
    if (recorder === undefined) {
      recorder = new StreamRecorder(stream, this);
      const added = recorder;
      this.#recorders.set(stream, recorder);
      this.#disk.guard(undefined, () => {
        if (this.#disk.opened !== undefined) added.attach(this.#disk.opened.core);
      });
    }
    return recorder;
  }

  #asked(opened: Opened, stream: string, fromMs: number, toMs: number) {
    const recorder = this.#recorders.get(checkStream(stream));
    return { opened, recorder, clock: this.clock, stream, fromMs, toMs };
  }
}
