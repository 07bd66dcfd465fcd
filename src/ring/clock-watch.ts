import type { ClockTrust } from './types.js';

/** More than this between wall and monotonic clock is a step and not a slew. */
const STEP_MS = 2_000;
/** How long a step forward must last under NTP before age rules believe it. */
const BELIEVE_MS = 24 * 3_600_000;

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
  #jumpedSinceMono: number | undefined;

  /** @param anchor trusted time of an earlier run of the agent in the same boot */
  constructor(anchor?: TimeAnchor) {
    this.#anchor = anchor;
  }

  /** @returns the correction for what was recorded before, at the moment in which time becomes trusted */
  observe(wallMs: number, monoMs: number, trust: ClockTrust): Correction | undefined {
    if (trust !== 'ntp') {
      this.#untrustedSeen = true;
      return undefined;
    }
    this.#follow(wallMs, monoMs);
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

  #follow(wallMs: number, monoMs: number): void {
    const expected = this.trustedNow(monoMs);
    const ahead = expected === null ? 0 : wallMs - expected;
    if (ahead <= STEP_MS) {
      // Backwards is harmless: footage becomes younger.
      this.#jumpedSinceMono = undefined;
    } else {
      this.#jumpedSinceMono ??= monoMs;
      if (monoMs - this.#jumpedSinceMono < BELIEVE_MS) return;
      this.#jumpedSinceMono = undefined;
    }
    this.#anchor = { wallMs, monoMs };
  }
}
