import { statSync } from 'node:fs';
import { join } from 'node:path';
import { BluelightError } from '../base/errors.js';
import type { Core } from './core.js';
import type { Ballast } from './disk.js';
import type { Evictor } from './evictor.js';
import { INDEX_FILE } from './layout.js';
import type { Protections } from './protections.js';
import type { RingLimits, RingOptions } from './types.js';

const SAMPLE_MS = 1_000;
const AGE_RULES_MS = 60_000;
/** Below this the disk is full whatever the reserve says: SQLite and journal need it. */
const LAST_RESORT_BYTES = 4 << 20;

export interface SpaceParts {
  core: Core;
  ballast: Ballast;
  evictor: Evictor;
  protections: Protections;
  options: RingOptions;
}

/**
 * Keeps the ring within its quota and the disk above its reserve. Room is made before bytes are written: in the
 * background down to some slack below the quota, and at the latest by the write that needs it.
 */
export class Space {
  readonly #parts: SpaceParts;
  #overheadBytes = 0;
  #freeBytes = Number.POSITIVE_INFINITY;
  /** Written since the samples were taken: into segments that no total counts yet. */
  #openBytes = 0;
  /** Sum of the totals of all streams; undefined: to be read again. Asked for at every fragment. */
  #stored: number | undefined;
  #writtenSinceSample = 0;
  #ballastMissing = 0;
  #nextSample = 0;
  #nextAge = 0;
  floorShare = 1;
  nothingLeft = false;

  constructor(parts: SpaceParts) {
    this.#parts = parts;
  }

  get freeBytes(): number | null {
    return Number.isFinite(this.#freeBytes) ? this.#freeBytes - this.#writtenSinceSample : null;
  }

  /** Everything of ours on the disk: media in whole blocks, index, journal, ballast. */
  get usedBytes(): number {
    return this.#storedBytes() + this.#overheadBytes;
  }

  lowOnDisk(): boolean {
    this.#sample();
    return this.#freeBytes < LAST_RESORT_BYTES * 2;
  }

  releaseBallast(): void {
    if (this.#parts.ballast.release()) this.#parts.options.log.warn({}, 'the disk is full: ballast released');
    this.#sample();
  }

  /** @throws BluelightError DISK_FULL when the bytes would break the quota or the reserve and nothing may go. */
  make(bytes: number, limits: RingLimits, trustedMs: number | null): void {
    if (this.#short(limits, bytes) > 0) {
      this.#sample();
      const short = this.#short(limits, bytes);
      if (short > 0) this.#evict(short + this.#slack(limits) / 2, limits, trustedMs);
      if (this.#short(limits, bytes) > 0 && !this.#mayOverrun(bytes)) {
        this.nothingLeft = this.#parts.protections.seen;
        throw new BluelightError('DISK_FULL', this.#why(limits), {
          fix: 'remove foreign data or holds, raise the quota, or put in a larger disk',
          retryable: true,
        });
      }
    }
    this.#writtenSinceSample += bytes;
    this.#openBytes += bytes;
  }

  hasRoom(limits: RingLimits): boolean {
    return this.#short(limits, this.#slack(limits) / 4) <= 0;
  }

  /** Samples the disk, keeps the slack free, and applies age rules once a minute. */
  tick(limits: RingLimits, trustedMs: number | null): void {
    const now = this.#parts.options.clock.monotonic();
    if (now < this.#nextSample) return;
    this.#nextSample = now + SAMPLE_MS;
    this.#sample();
    const short = this.#short(limits, this.#slack(limits) / 2);
    const ageDue = now >= this.#nextAge;
    if (ageDue) this.#nextAge = now + AGE_RULES_MS;
    if (ageDue) this.#thin(limits, trustedMs);
    if (short > 0) this.#evict(short + this.#slack(limits) / 2, limits, trustedMs);
    else if (ageDue) this.#evict(0, limits, trustedMs);
    if (this.#short(limits, this.#slack(limits) / 4) <= 0) this.nothingLeft = false;
    // More room than eviction makes: the floors need not be shrunk any more.
    if (this.#short(limits, this.#slack(limits) * 2) <= 0) this.floorShare = 1;
    this.#parts.ballast.ensure(this.#freeBytes - this.#writtenSinceSample - limits.reserveBytes / 2);
  }

  /** Holds and leases that are over: by stream, where the oldest footage begins that they covered. */
  released(fromSeq: ReadonlyMap<string, number>): void {
    this.#parts.evictor.released(fromSeq);
  }

  #thin({ originalsMs }: RingLimits, trustedMs: number | null): void {
    const { evictor, protections, options } = this.#parts;
    if (originalsMs === null || trustedMs === null || !protections.seen) return;
    if (evictor.thin(originalsMs, trustedMs, options.clock.now()) > 0) this.#sample();
  }

  #evict(needBytes: number, limits: RingLimits, trustedMs: number | null): void {
    const result = this.#parts.evictor.run(
      limits,
      { needBytes: Math.ceil(needBytes), trustedMs, snapshotSeen: this.#parts.protections.seen },
      this.#parts.options.clock.now(),
    );
    if (needBytes > 0) this.floorShare = result.floorShare;
    if (result.freedBytes > 0) this.#sample();
  }

  /** How many bytes too many there would be. */
  #short(limits: RingLimits, bytes: number): number {
    const overQuota = this.usedBytes + bytes - limits.quotaBytes;
    const underReserve = limits.reserveBytes + bytes - this.#free();
    return Math.max(overQuota, underReserve);
  }

  /**
   * After a start it takes a moment until it is known what is held. Rather than losing footage, the ring overruns its
   * limits for that moment as far as the disk itself has room.
   */
  #mayOverrun(bytes: number): boolean {
    return !this.#parts.protections.seen && this.#free() - bytes > LAST_RESORT_BYTES;
  }

  /** What eviction frees beyond the need, so that it is not asked for at every write: a hundredth of the ring. */
  #slack(limits: RingLimits): number {
    const room = Math.min(limits.quotaBytes, this.usedBytes + Math.max(0, this.#free() - limits.reserveBytes));
    return Math.min(256 << 20, Math.max(1 << 20, room / 100));
  }

  /** For recording: what the released ballast left free belongs to the next emergency. */
  #free(): number {
    return this.#freeBytes - this.#writtenSinceSample - this.#ballastMissing;
  }

  #storedBytes(): number {
    const sql = 'select total(stored_bytes) as n from streams';
    this.#stored ??= this.#parts.core.tables.sql.one<{ n: number }>(sql)!.n;
    return this.#stored + this.#openBytes;
  }

  /** The segment of `bytes` in all is counted by its row from now on. */
  closed(bytes: number): void {
    this.#stored = undefined;
    this.#openBytes = Math.max(0, this.#openBytes - bytes);
  }

  #sample(): void {
    this.#stored = undefined;
    const { core, options, ballast } = this.#parts;
    this.#freeBytes = options.freeBytes?.() ?? core.io.freeBytes(core.directory);
    this.#writtenSinceSample = 0;
    this.#ballastMissing = ballast.missingBytes;
    const index = ['', '-wal'].map((suffix) => size(join(core.directory, INDEX_FILE + suffix)));
    this.#overheadBytes = index.reduce((a, b) => a + b, 0) + core.journal.totalBytes + ballast.bytes;
  }

  #why(limits: RingLimits): string {
    if (!this.#parts.protections.seen) return 'the disk is full and it is not known yet what is held';
    return this.#free() < limits.reserveBytes
      ? 'the disk is full with data that the ring may not delete'
      : 'the quota is used up and everything in it is held';
  }
}

function size(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
