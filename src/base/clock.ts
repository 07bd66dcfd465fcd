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
  /** Runs `fn` every `ms` until the returned function is called. An async `fn` is never run twice at the same time. */
  every(ms: number, fn: () => void | Promise<void>): () => void;
}

/** The real clock. `onError` gets what a periodic function throws, so that nothing is swallowed. */
export function systemClock(onError: (error: unknown) => void = rethrow): Clock {
  return {
    now: () => Date.now(),
    // process.hrtime is CLOCK_MONOTONIC on Linux: the same origin in every thread and process of one boot.
    monotonic: () => Number(process.hrtime.bigint() / 1000n) / 1000,
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
      const timer = setInterval(() => void tick(), ms);
      return () => clearInterval(timer);
    },
  };
}

function rethrow(error: unknown): never {
  throw error;
}

/** A deadline on a promise; the promise goes on, its late result is dropped. */
export async function withDeadline<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  // A timer that is only stopped: to abort a sleep makes an error with its stack each time.
  let stop = (): void => undefined;
  const over = new Promise<never>((_, reject) => (stop = clock.every(ms, () => reject(late()))));
  try {
    return await Promise.race([work, over]);
  } finally {
    stop();
  }
}
