import { BluelightError } from '../base/errors.js';
import { listFragments } from '../media/mp4.js';
import { TIMESCALE } from '../media/stream.js';
import type { LiveListener } from './ports.js';
import { presentationTimes, type FragmentTimes } from './still-plan.js';

const TICKS_PER_MS = TIMESCALE / 1000;

/** One fragment with its times. */
export interface Piece {
  times: FragmentTimes;
  bytes: Uint8Array;
}

export interface Group {
  init: Uint8Array;
  /** Wall clock of presentation time 0, ms since 1970. */
  zeroMs: number;
  /** From a key frame on. */
  pieces: Piece[];
}

/** Listens to a live stream until it has a picture of a moment or a later one. */
export class LiveGroup implements LiveListener {
  /** Resolves as soon as that picture is there; rejects when the stream stands still. */
  readonly enough: Promise<void>;
  readonly #untilMs: number;
  #resolve: () => void = () => undefined;
  #reject: (error: BluelightError) => void = () => undefined;
  #run: { init: Uint8Array; zeroMs: number } | undefined;
  #pieces: Piece[] = [];
  #detail = 'the camera sends no pictures';

  /** @param untilMs wall clock, ms since 1970 */
  constructor(untilMs: number) {
    this.#untilMs = untilMs;
    this.enough = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  run({ init, zeroMs }: { init: Uint8Array; zeroMs: number }): void {
    this.#run = { init, zeroMs };
    this.#pieces = [];
  }

  fragment({ bytes }: { bytes: Uint8Array }): void {
    const times = listFragments(bytes)[0];
    if (this.#run === undefined || times === undefined) return;
    if (times.key) this.#pieces = [];
    else if (this.#pieces.length === 0) return;
    this.#pieces.push({ times, bytes });
    if (this.#zeroMs() + Math.max(...presentationTimes(times)) / TICKS_PER_MS >= this.#untilMs) this.#resolve();
  }

  paused(reason: string, detail: string): void {
    this.#run = undefined;
    this.#pieces = [];
    this.#detail = detail;
    // A stream that is being opened may be there in a moment.
    if (reason !== 'starting') this.#reject(this.#offline());
  }

  /** @throws BluelightError CAMERA_OFFLINE */
  whole(): Group {
    if (this.#run === undefined || this.#pieces.length === 0) throw this.#offline();
    return { init: this.#run.init, zeroMs: this.#zeroMs(), pieces: this.#pieces };
  }

  /** Live tells the wall clock of decode time 0; the first picture of a group is shown when it was taken. */
  #zeroMs(): number {
    const delay = this.#pieces[0]?.times.samples[0]?.compositionOffset ?? 0;
    return (this.#run?.zeroMs ?? 0) - delay / TICKS_PER_MS;
  }

  #offline(): BluelightError {
    return new BluelightError('CAMERA_OFFLINE', `there is no picture of now: ${this.#detail}`, {
      fix: 'look at the camera on the page; pictures of the past can be had with a time',
      retryable: true,
    });
  }
}
