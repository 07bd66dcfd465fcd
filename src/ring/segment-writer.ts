import { createHash, type Hash } from 'node:crypto';
import type { Fragment } from '../media/stream.js';
import { encodeFragments, type FragmentEntry } from './fragment-list.js';
import type { DiskIo } from './disk-io.js';
import { ticksToMs } from './rows.js';

export interface SegmentStart {
  stream: string;
  seq: number;
  run: string;
  path: string;
  init: Uint8Array;
  first: Fragment;
}

/**
 * The file of an open segment: init, then fragments as they come. Each is handed to the system at once, so that a
 * killed process loses none that was written; `sync` makes them safe from a power cut.
 */
export class SegmentWriter {
  readonly seq: number;
  readonly run: string;
  readonly path: string;
  readonly initBytes: number;
  /** On the wall clock, corrected or not. */
  startMs: number;
  readonly monoMs: number;
  readonly decodeTicks: number;
  readonly #io: DiskIo;
  #fd: number | undefined;
  readonly #hash: Hash = createHash('sha256');
  #list: FragmentEntry[] = [];
  #bodyBytes = 0;
  #durationTicks = 0;
  #committed = { bytes: 0, durationTicks: 0 };
  /** Clock.monotonic at which the oldest fragment that is not synced yet arrived. */
  #unsyncedSince: number | undefined;

  /**
   * Creates the file with its init; its name is durable when it returns. What is in it is so with the first `sync`:
   * until then there is no picture in it that anything could claim.
   */
  constructor(io: DiskIo, start: SegmentStart, syncDirectory: () => void) {
    this.#io = io;
    this.seq = start.seq;
    this.run = start.run;
    this.path = start.path;
    this.initBytes = start.init.length;
    this.startMs = Math.round(start.first.wallMs);
    this.monoMs = Math.max(0, Math.round(start.first.monoMs));
    this.decodeTicks = start.first.decodeTime;
    this.#fd = io.create(start.path);
    try {
      io.write(this.#fd, start.init);
      syncDirectory();
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  get durationTicks(): number {
    return this.#durationTicks;
  }

  /** On the wall clock; of everything written, synced or not. */
  get endMs(): number {
    return this.startMs + ticksToMs(this.#durationTicks);
  }

  /** The same moment on both clocks. */
  get end(): { wallMs: number; monoMs: number } {
    const durationMs = ticksToMs(this.#durationTicks);
    return { wallMs: this.startMs + durationMs, monoMs: this.monoMs + durationMs };
  }

  /** What is safe on the disk. */
  get committed(): { bytes: number; endMs: number; durationTicks: number } {
    return { ...this.#committed, endMs: this.startMs + ticksToMs(this.#committed.durationTicks) };
  }

  get unsyncedSince(): number | undefined {
    return this.#unsyncedSince;
  }

  /** The decode time at which the next fragment is expected. */
  get nextDecodeTicks(): number {
    return this.decodeTicks + this.#durationTicks;
  }

  write(fragment: Fragment, arrivedMono: number): void {
    this.#io.write(this.#open(), fragment.bytes);
    this.#hash.update(fragment.bytes);
    this.#list.push({ bytes: fragment.bytes.length, ticks: fragment.duration, key: fragment.key });
    this.#bodyBytes += fragment.bytes.length;
    this.#durationTicks = fragment.decodeTime + fragment.duration - this.decodeTicks;
    this.#unsyncedSince ??= arrivedMono;
  }

  /** fdatasync; everything written so far is safe when it returns. */
  sync(): void {
    if (this.#unsyncedSince === undefined) return;
    this.#io.datasync(this.#open());
    this.#unsyncedSince = undefined;
    this.#committed = { bytes: this.#bodyBytes, durationTicks: this.#durationTicks };
  }

  /** Cuts off what a failed write left, syncs and closes the file. */
  finish(): { sha256: string; fragments: Buffer } {
    const fd = this.#open();
    const whole = this.initBytes + this.#bodyBytes;
    if (this.#io.size(fd) !== whole) this.#io.truncate(fd, whole);
    this.#io.sync(fd);
    this.#unsyncedSince = undefined;
    this.#committed = { bytes: this.#bodyBytes, durationTicks: this.#durationTicks };
    return { sha256: this.#hash.copy().digest('hex'), fragments: encodeFragments(this.#list) };
  }

  /** Closes the file whatever state it is in; errors are returned, since the disk may be gone already. */
  abandon(): unknown {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return undefined;
    try {
      this.#io.close(fd);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #open(): number {
    if (this.#fd === undefined) throw Object.assign(new Error('the segment is closed'), { code: 'EBADF' });
    return this.#fd;
  }
}
