import type { Clock } from '../base/clock.js';
import { errorCode, errorMessage } from '../base/errors.js';
import type { StateReading } from './disk-faults.js';

const ASK_MS = 3_000;

/** Asks the store again and again to write something small, so that a disk that hangs or fails is known at once. */
export class StateWatch {
  readonly #clock: Clock;
  readonly #write: () => Promise<unknown>;
  /** Monotonic: since when an answer is missing. */
  #asked: number | undefined;
  #waiting = false;
  #problem: string | null = null;
  #stop = (): void => undefined;

  constructor(clock: Clock, write: () => Promise<unknown>) {
    this.#clock = clock;
    this.#write = write;
  }

  start(): void {
    this.#stop = this.#clock.every(ASK_MS, () => void this.#ask());
  }

  stop(): void {
    this.#stop();
  }

  get reading(): StateReading {
    const silentMs = this.#asked === undefined ? 0 : this.#clock.monotonic() - this.#asked;
    return { silentMs, problem: this.#problem };
  }

  /** Never rejects. One question at a time, so that nothing piles up behind a disk that hangs. */
  async #ask(): Promise<void> {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#asked ??= this.#clock.monotonic();
    try {
      await this.#write();
      this.#problem = null;
    } catch (error) {
      // The deadline of the call, not the disk, has spoken: it is still silent.
      if (errorCode(error) === 'THREAD_SLOW') return;
      this.#problem = errorMessage(error);
    } finally {
      this.#waiting = false;
    }
    this.#asked = undefined;
  }
}
