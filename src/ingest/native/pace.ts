import type { Clock } from '../../base/clock.js';

/** Something that stopped reading and is to go on. */
export interface Resumable {
  resume(): void;
}

/**
 * Lets connections read together a few times a second instead of at every packet: waking up costs more than the bytes
 * do, and what is done for many cameras in one go finds code and data still in the caches. Ticks only while somebody
 * waits.
 */
export class ReadPace {
  readonly #clock: Clock;
  readonly #ms: number;
  /** Who goes on at the next tick. */
  #waiting: Resumable[] = [];
  #members = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Takes part from now on; returns how to leave. */
  join(): () => void {
    if (this.#members++ === 0) this.#cancel = this.#clock.every(this.#ms, () => this.#tick());
    let left = false;
    return () => {
      if (left) return;
      left = true;
      if (--this.#members === 0) this.#cancel?.();
    };
  }

  /** Resumes `who` at the next tick. */
  wait(who: Resumable): void {
    this.#waiting.push(who);
  }

  #tick(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.resume();
  }
}
