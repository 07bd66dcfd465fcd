import type { Clock } from '../base/clock.js';

/** Lets `count` things through in every `perMs`, and counts the others. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #shape: { count: number; perMs: number };
  #since = -Infinity;
  #passed = 0;
  #dropped = 0;

  constructor(clock: Clock, shape: { count: number; perMs: number }) {
    this.#clock = clock;
    this.#shape = shape;
  }

  allow(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#since >= this.#shape.perMs) {
      this.#since = now;
      this.#passed = 0;
    }
    if (this.#passed >= this.#shape.count) {
      this.#dropped++;
      return false;
    }
    this.#passed++;
    return true;
  }

  /** How many were held back since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }
}
