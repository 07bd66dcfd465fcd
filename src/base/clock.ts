import { setTimeout as delay } from 'node:timers/promises';

/**
 * The system's clocks and timers as an input.
 * `now` is the wall clock (ms since 1970, may jump); `monotonic` never jumps (ms since an arbitrary start of this boot).
 */
export interface Clock {
  now(): number;
  monotonic(): number;
  /** Resolves after `ms`; rejects with AbortError as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Runs `fn` every `ms` until the returned function is called; the first time may come earlier. An async `fn` is never
   * run twice at the same time.
   */
  every(ms: number, fn: () => void | Promise<void>): () => void;
}

/** The real clock. `onError` gets what a periodic function throws, so that nothing is swallowed. */
export function systemClock(onError: (error: unknown) => void = rethrow): Clock {
  const beats = new Map<number, Beat>();
  return {
    now: () => Date.now(),
    monotonic,
    sleep: (ms, signal) => delay(ms, undefined, { signal }),
    every(ms, fn) {
      let busy = false;
      const tick = async (): Promise<void> => {
        if (busy) return;
        busy = true;
        try {
          await fn();
        } catch (error) {
          onError(error);
        } finally {
          busy = false;
        }
      };
      const beat = beats.get(ms) ?? new Beat(ms);
      beats.set(ms, beat);
      return beat.join(() => void tick());
    },
  };
}

function monotonic(): number {
  // process.hrtime is CLOCK_MONOTONIC on Linux: the same origin in every thread and process of one boot.
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/**
 * One timer for all tasks of a period, at whole multiples of it, so that tasks of other periods meet them: with dozens
 * of streams, being woken for each task by itself costs more than the tasks do.
 */
class Beat {
  readonly #ms: number;
  readonly #tasks = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#ms = ms;
  }

  join(run: () => void): () => void {
    // A function of its own: the same task may be joined twice.
    const task = (): void => run();
    this.#tasks.add(task);
    if (this.#tasks.size === 1) this.#arm();
    return () => {
      this.#tasks.delete(task);
      if (this.#tasks.size === 0) clearTimeout(this.#timer);
    };
  }

  #arm(): void {
    const left = this.#ms - (monotonic() % this.#ms);
    // A timer may ring slightly early: the beat that it rang for must not come again.
    this.#timer = setTimeout(() => this.#ring(), left < this.#ms / 10 ? left + this.#ms : left);
  }

  #ring(): void {
    this.#arm();
    for (const task of [...this.#tasks]) if (this.#tasks.has(task)) task();
  }
}

function rethrow(error: unknown): never {
  throw error;
}

/** A deadline on a promise; the promise goes on, its late result is dropped. */
export async function withDeadline<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const stop = new AbortController();
  const timer = clock.sleep(ms, stop.signal).then(
    () => {
      throw late();
    },
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work, timer]);
  } finally {
    stop.abort();
  }
}
