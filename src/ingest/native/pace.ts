import type { Clock } from '../../base/clock.js';

/** Something that stopped reading and is to go on. */
export interface Resumable {
  resume(): void;
}

/** Who brings little per tick waits for so many. */
const MOST_TICKS = 2;

/**
 * Lets connections read together a few times a second instead of at every packet: waking up costs more than the bytes
 * do, and what is done for many cameras in one go finds code and data still in the caches. Ticks only while somebody
 * waits.
 */
export class ReadPace {
  readonly #clock: Clock;
  readonly #ms: number;
  /** Who goes on at the next tick, at the one after it, and so on, from `#next` round. */
  readonly #waiting: Resumable[][] = Array.from({ length: MOST_TICKS }, () => []);
  #next = 0;
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

  /** Resumes `who` at the next tick, or later if it is `patient`. */
  wait(who: Resumable, patient: boolean): void {
    const ticks = patient ? MOST_TICKS : 1;
    this.#waiting[(this.#next + ticks - 1) % MOST_TICKS]!.push(who);
  }

  #tick(): void {
    const waiting = this.#waiting[this.#next]!;
    this.#waiting[this.#next] = [];
    this.#next = (this.#next + 1) % MOST_TICKS;
    for (const one of waiting) one.resume();
  }
}
