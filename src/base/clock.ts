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
  /** Runs `fn` once after `ms`, unless the returned function is called before. */
  after(ms: number, fn: () => void): () => void;
  /**
   * Runs `fn` every `ms` until the returned function is called, for the first time after `ms` at most. An async `fn` is
   * never run twice at the same time.
   */
  every(ms: number, fn: () => void | Promise<void>): () => void;
}

/** How often the two clocks are read at most, and what may lie between the readings. */
const READ = { times: 4, apartMs: 0.5 };

/** Wall minus monotonic time, ms: what a step of the wall clock changes. Of a thread that was held up in between, the best reading. */
export function wallMinusMonotonic(clock: Pick<Clock, 'now' | 'monotonic'>): number {
  let best = { apart: Infinity, offset: 0 };
  for (let i = 0; i < READ.times && best.apart > READ.apartMs; i++) {
    const before = clock.monotonic();
    const wall = clock.now();
    const after = clock.monotonic();
    if (after - before < best.apart) best = { apart: after - before, offset: wall - (before + after) / 2 };
  }
  return best.offset;
}

/** A timer of Node that is set for longer fires at once: from 1970 to now is longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The real clock. `onError` gets what a periodic function throws, so that nothing is swallowed. */
export function systemClock(onError: (error: unknown) => void = rethrow): Clock {
  const beats = new Map<number, Beat>();
  return {
    now: () => Date.now(),
    // process.hrtime is CLOCK_MONOTONIC on Linux: the same origin in every thread and process of one boot.
    monotonic,
    async sleep(ms, signal) {
      let left = ms;
      for (; left > LONGEST_TIMER_MS; left -= LONGEST_TIMER_MS) await delay(LONGEST_TIMER_MS, undefined, { signal });
      await delay(left, undefined, { signal });
    },
    after(ms, fn) {
      const timer = setTimeout(fn, ms);
      return () => clearTimeout(timer);
    },
    every(ms, fn) {
      let beat = beats.get(ms);
      if (beat === undefined) beats.set(ms, (beat = new Beat(ms, () => beats.delete(ms))));
      return beat.join(unlessBusy(fn, onError));
    },
  };
}

/** process.hrtime is CLOCK_MONOTONIC on Linux: the same origin in every thread and process of one boot. */
function monotonic(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/**
 * What is done every so many ms is done together, at whole multiples of the period: a thread that wakes up once for
 * fifty things is asleep most of the time, one that wakes up for each of them hardly ever.
 */
class Beat {
  readonly #ms: number;
  readonly #onEmpty: () => void;
  readonly #members = new Set<() => void>();
  #timer: NodeJS.Timeout;

  constructor(ms: number, onEmpty: () => void) {
    this.#ms = ms;
    this.#onEmpty = onEmpty;
    this.#timer = this.#next(Math.floor(monotonic() / ms) + 1);
  }

  join(run: () => void): () => void {
    // One of its own: the same function may take part twice.
    const member = (): void => run();
    this.#members.add(member);
    return () => {
      if (!this.#members.delete(member) || this.#members.size > 0) return;
      clearTimeout(this.#timer);
      this.#onEmpty();
    };
  }

  #next(multiple: number): NodeJS.Timeout {
    return setTimeout(() => this.#strike(), multiple * this.#ms - monotonic());
  }

  #strike(): void {
    // Rounded: a timer may be a little early, and one that is late leaves out what is past.
    this.#timer = this.#next(Math.round(monotonic() / this.#ms) + 1);
    for (const member of [...this.#members]) if (this.#members.has(member)) member();
  }
}

function unlessBusy(fn: () => void | Promise<void>, onError: (error: unknown) => void): () => void {
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
  return () => void tick();
}

function rethrow(error: unknown): never {
  throw error;
}

/** A deadline on a promise; the promise goes on, its late result is dropped. */
export async function withDeadline<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  let cancel: () => void = () => undefined;
  const timer = new Promise<never>((_, reject) => (cancel = clock.after(ms, () => reject(late()))));
  try {
    return await Promise.race([work, timer]);
  } finally {
    cancel();
  }
}
