import { BluelightError, errorMessage } from '../base/errors.js';
import type { GapReason } from '../media/stream.js';
import { diskError, diskStateOf, diskTrouble } from './disk-errors.js';
import { checkMount, openDisk, putIndexAside, type Opened } from './opened.js';
import type { Protections } from './protections.js';
import type { StreamRecorder } from './recorder.js';
import type { DiskState, RingLimits, RingOptions } from './types.js';

const RETRY_OPEN_MS = 1_000;
const CHECK_MOUNT_MS = 2_000;

/** What of the ring goes on while disks come and go. */
interface Lasting {
  protections: Protections;
  recorders: ReadonlyMap<string, StreamRecorder>;
  limits(): RingLimits;
}

/** Holds the disk while there is one, and makes a state and a gap of whatever it does wrong. */
export class DiskKeeper {
  readonly #options: RingOptions;
  readonly #ring: Lasting;
  #opened: Opened | undefined;
  #problem: { state: DiskState; error: BluelightError } | undefined;
  #everOpen = false;
  /** Once opened, only this disk is taken: the empty mount point that it leaves is not a new one. */
  #knownDisk: string | undefined;
  #next = { open: 0, mount: 0 };

  constructor(options: RingOptions, ring: Lasting) {
    this.#options = options;
    this.#ring = ring;
  }

  get opened(): Opened | undefined {
    return this.#opened;
  }

  /** Why nothing is recorded, or not as it should be. */
  get problem(): { state: DiskState; error: BluelightError } | undefined {
    return this.#problem;
  }

  /**
   * Opens the disk if it can be; else `problem` says why not, and `look` tries again.
   * @param reason of the gap behind what is recovered
   */
  open(reason: GapReason): void {
    this.#next.open = this.#options.clock.monotonic() + RETRY_OPEN_MS;
    for (const again of [true, false]) {
      try {
        this.#openDisk(reason);
        this.#problem = undefined;
        this.#everOpen = true;
        this.#knownDisk = this.#opened?.core.diskId;
        return;
      } catch (error) {
        if (diskTrouble(error) === undefined && !(error instanceof BluelightError)) throw error;
        this.letGo();
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
    const opened = (this.#opened = openDisk(this.#options, this.#ring.protections, { expect, reason }));
    for (const recorder of this.#ring.recorders.values()) recorder.attach(opened.core);
    opened.space.tick(this.#ring.limits(), null);
  }

  /** @throws BluelightError why no disk is open */
  must(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    throw (
      this.#problem?.error ?? new BluelightError('DISK_FAILED', 'the recording disk is not open', { retryable: true })
    );
  }

  close(): void {
    this.#opened?.core.close();
    this.#opened = undefined;
  }

  /** A disk that is away may be back, and another one may lie in its place. */
  look(now: number): void {
    if (this.#opened === undefined && now >= this.#next.open) this.open(this.#everOpen ? this.away() : 'agent_crashed');
    if (now >= this.#next.mount) this.#checkMount(now);
  }

  /** A full disk is full no more. */
  mayHaveRoom(): void {
    if (this.#problem?.state === 'full' && this.#opened?.space.hasRoom(this.#ring.limits()) === true) {
      this.#problem = undefined;
    }
  }

  /** Puts the index aside and opens the disk with an empty one, which is filled from journal and media. */
  rebuild(): void {
    const error = new BluelightError('INDEX_CORRUPT', 'the index is rebuilt on demand', { retryable: true });
    this.#lose(error, 'disk_failed');
    this.#repairIndex(error);
  }

  /** Why nothing is recorded while no disk is open. */
  away(): GapReason {
    return this.#problem?.state === 'full' ? 'disk_full' : 'disk_failed';
  }

  #checkMount(now: number): void {
    this.#next.mount = now + CHECK_MOUNT_MS;
    const opened = this.#opened;
    if (opened !== undefined) this.guard(undefined, () => checkMount(this.#options, opened));
  }

  /** Runs a recording call; what the disk does wrong becomes a state and a gap. */
  guard(recorder: StreamRecorder | undefined, work: () => void): void {
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
    for (const recorder of this.#ring.recorders.values()) recorder.abandon(reason);
    this.letGo();
    this.#next.open = this.#options.clock.monotonic() + RETRY_OPEN_MS;
  }

  #repairIndex(error: unknown): void {
    if (this.#quarantineIndex(error)) this.open('disk_failed');
  }

  /** Lets the files go, whatever the disk says to it. */
  letGo(): void {
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

  /** Runs a reading call. @throws BluelightError DISK_FAILED, and what the call itself says */
  read<T>(work: (opened: Opened) => T): T {
    try {
      return work(this.must());
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
