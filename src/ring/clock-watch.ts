import type { ClockTrust } from './types.js';

/** More than this between wall and monotonic clock is a step and not a slew. */
const STEP_MS = 2_000;
/** How long a step forward must last under NTP before age rules believe it. */
const BELIEVE_MS = 24 * 3_600_000;

export interface Correction {
  monoMs: number;
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
  #offsetMs: number | undefined;
  #trust: ClockTrust = 'none';
  /** Steps since time was last trusted, waiting for NTP to say that they were right. */
  #steps: Correction[] = [];
  #untrustedSeen = false;
  #anchor: TimeAnchor | undefined;
  #jumpedSinceMono: number | undefined;

  /** @param anchor trusted time of an earlier run of the agent in the same boot */
  constructor(anchor?: TimeAnchor) {
    this.#anchor = anchor;
  }

  /** @returns corrections that are certain now; one of 0 ms confirms what an untrusted clock said. */
  observe(wallMs: number, monoMs: number, trust: ClockTrust): Correction[] {
    const offsetMs = wallMs - monoMs;
    const step = this.#offsetMs === undefined ? 0 : offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    const wasTrusted = this.#trust === 'ntp';
    this.#trust = trust;
    if (Math.abs(step) > STEP_MS && !wasTrusted) {
      this.#steps.push({ monoMs: Math.round(monoMs), offsetMs: Math.round(step) });
    }
    if (trust !== 'ntp') {
      this.#untrustedSeen = true;
      return [];
    }
    this.#follow(wallMs, monoMs);
    if (!this.#untrustedSeen) return [];
    const found = this.#steps.length > 0 ? this.#steps : [{ monoMs: Math.round(monoMs), offsetMs: 0 }];
    this.#steps = [];
    this.#untrustedSeen = false;
    return found;
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
