import type { Clock } from '../../base/clock.js';
import { isAbort } from '../../base/errors.js';
import type { CaptureClock, LiveStream } from './live-stream.js';

/** A step of the wall clock larger than this is followed; less is the clock's own jitter. */
const STEP_MS = 50;
/** Frames further behind than this are left out instead of being sent in one burst (the machine was suspended). */
const MAX_BEHIND_MS = 5_000;
/** Streams that are due this soon are served in the same turn. */
const SAME_TURN_MS = 1.5;

interface Paced {
  stream: LiveStream;
  originMono: number;
  frame: number;
}

/** Captures the frames of all streams at their times, from one loop. */
export class Pacer implements CaptureClock {
  readonly #streams = new Map<LiveStream, Paced>();
  readonly #stop = new AbortController();
  #anchor: { mono: number; wall: number };
  #wake = new AbortController();

  constructor(private readonly clock: Clock) {
    this.#anchor = { mono: clock.monotonic(), wall: clock.now() };
  }

  /** Frame 0 of the stream is captured at `originMono`. Frames of the past are not sent. */
  add(stream: LiveStream, originMono: number): void {
    const elapsed = this.clock.monotonic() - originMono;
    const frame = Math.max(0, Math.ceil((elapsed * stream.encoding.fps) / 1000));
    this.#streams.set(stream, { stream, originMono, frame });
    this.#wake.abort();
  }

  remove(stream: LiveStream): void {
    this.#streams.delete(stream);
  }

  wallAt(monoMs: number): number {
    return this.#anchor.wall + monoMs - this.#anchor.mono;
  }

  /** Runs until `close`. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#followClock();
      const now = this.clock.monotonic();
      let next = now + 1_000;
      for (const paced of this.#streams.values()) next = Math.min(next, this.#serve(paced, now + SAME_TURN_MS));
      await this.#pause(next - this.clock.monotonic());
    }
  }

  close(): void {
    this.#stop.abort();
    this.#wake.abort();
  }

  /** Sends what is due; when the next frame is. */
  #serve(paced: Paced, until: number): number {
    const interval = 1000 / paced.stream.encoding.fps;
    const oldest = Math.ceil((until - MAX_BEHIND_MS - paced.originMono) / interval);
    paced.frame = Math.max(paced.frame, oldest);
    let due = paced.originMono + paced.frame * interval;
    while (due <= until) {
      paced.stream.send(paced.frame, due, this);
      paced.frame++;
      due = paced.originMono + paced.frame * interval;
    }
    return due;
  }

  #followClock(): void {
    const mono = this.clock.monotonic();
    const wall = this.clock.now();
    if (Math.abs(wall - this.wallAt(mono)) > STEP_MS) this.#anchor = { mono, wall };
  }

  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController();
    if (this.#stop.signal.aborted) return;
    try {
      await this.clock.sleep(Math.max(1, ms), this.#wake.signal);
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
  }
}
