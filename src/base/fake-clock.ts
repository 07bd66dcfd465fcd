import type { Clock } from './clock.js';

interface Timer {
  at: number;
  every?: number;
  run: () => void | Promise<void>;
}

/** A clock that moves only when told to; wall and monotonic time can be moved apart (`stepWall`). */
export class FakeClock implements Clock {
  #wall: number;
  #mono = 0;
  #timers = new Set<Timer>();

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wall = wallMs;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#mono;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#timers.delete(timer);
        const error = new Error('The operation was aborted');
        error.name = 'AbortError';
        reject(error);
      };
      const timer: Timer = {
        at: this.#mono + ms,
        run: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.#timers.add(timer);
    });
  }

  after(ms: number, fn: () => void): () => void {
    const timer: Timer = { at: this.#mono + ms, run: fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  every(ms: number, fn: () => void | Promise<void>): () => void {
    const timer: Timer = { at: this.#mono + ms, every: ms, run: fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** A jump of the wall clock alone, as NTP or a technician makes it. */
  stepWall(ms: number): void {
    this.#wall += ms;
  }

  /** Lets `ms` pass, running every timer that comes due in order, and settling the promises between them. */
  async advance(ms: number): Promise<void> {
    const end = this.#mono + ms;
    for (;;) {
      const next = [...this.#timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#moveTo(next.at);
      if (next.every === undefined) this.#timers.delete(next);
      else next.at += next.every;
      await next.run();
      await settle();
    }
    this.#moveTo(end);
    await settle();
  }

  #moveTo(mono: number): void {
    this.#wall += mono - this.#mono;
    this.#mono = mono;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}
