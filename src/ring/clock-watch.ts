import type { ClockTrust } from './types.js';

/** More than this between wall and monotonic clock is a step and not a slew. */
const STEP_MS = 2_000;
/** How long a step forward must last under NTP before it is believed: age rules would delete for it. */
const BELIEVE_MS = 24 * 3_600_000;
/** A step back makes footage younger; whoever vouches for the clock must only have had time to look again. */
const BELIEVE_BACK_MS = 60_000;

/** What an untrusted clock said before `monoMs` is wrong by how far it was from `offsetMs`. */
export interface Correction {
  monoMs: number;
  /** Wall clock minus monotonic clock, now that time is trusted. */
  offsetMs: number;
}

export interface TimeAnchor {
  wallMs: number;
  monoMs: number;
}

/**
 * Watches the wall clock of the box against its monotonic clock. Finds by how much footage of an untrusted clock is
 * wrong once time is trusted, and keeps the time by which footage may grow old: one that no jump advances.
 */
export class ClockWatch {
  #untrustedSeen = false;
  #anchor: TimeAnchor | undefined;
  #steppedSinceMono: number | undefined;

  /** @param anchor trusted time of an earlier run of the agent in the same boot */
  constructor(anchor?: TimeAnchor) {
    this.#anchor = anchor;
  }

  /** @returns the correction for what was recorded before, at the moment in which time becomes trusted */
  observe(wallMs: number, monoMs: number, trust: ClockTrust): Correction | undefined {
    if (trust === 'ntp') this.#follow(wallMs, monoMs);
    else this.#steppedSinceMono = undefined;
    if (trust !== 'ntp' || this.doubts(wallMs, monoMs)) {
      this.#untrustedSeen = true;
      return undefined;
    }
    if (!this.#untrustedSeen) return undefined;
    this.#untrustedSeen = false;
    return { monoMs: Math.round(monoMs), offsetMs: Math.round(wallMs - monoMs) };
  }

  /** Time for age rules; null until it was trusted once. */
  trustedNow(monoMs: number): number | null {
    return this.#anchor === undefined ? null : this.#anchor.wallMs + (monoMs - this.#anchor.monoMs);
  }

  get anchor(): TimeAnchor | undefined {
    return this.#anchor;
  }

  /**
   * The wall clock was stepped, and nobody has vouched for that long enough: what is recorded meanwhile is not trusted,
   * and put right when the clock is stepped back or believed.
   */
  doubts(wallMs: number, monoMs: number): boolean {
    const expected = this.trustedNow(monoMs);
    return expected !== null && Math.abs(wallMs - expected) > STEP_MS;
  }

  #follow(wallMs: number, monoMs: number): void {
    if (this.doubts(wallMs, monoMs)) {
      this.#steppedSinceMono ??= monoMs;
      const forward = wallMs > this.trustedNow(monoMs)!;
      if (monoMs - this.#steppedSinceMono < (forward ? BELIEVE_MS : BELIEVE_BACK_MS)) return;
    }
    this.#steppedSinceMono = undefined;
    this.#anchor = { wallMs, monoMs };
  }
}
