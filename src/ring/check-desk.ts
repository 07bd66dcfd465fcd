import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { RingCheckAsk, RingCheckReport } from '../contract/ring.js';
import type { CheckProgress, RingCheck } from './check.js';
import type { Ring } from './ring.js';

const NOTHING_YET: CheckProgress = { done: false, checked: 0, total: 0, bytes: 0, remainingMs: null, findings: [] };

/** One check of the ring at a time, beside recording or by itself; `step` must be called again and again. */
export class CheckDesk {
  readonly #ring: Ring;
  readonly #clock: Clock;
  #ask: RingCheckAsk | undefined;
  #rebuilding = false;
  #check: RingCheck | undefined;
  #problem: string | null = null;

  constructor(ring: Ring, clock: Clock) {
    this.#ring = ring;
    this.#clock = clock;
  }

  /** @throws BluelightError CHECK_RUNNING: one is under way; DISK_FAILED: there is no disk */
  start(ask: RingCheckAsk): RingCheckReport {
    const { state } = this.report ?? { state: 'done' };
    if (state === 'rebuilding' || state === 'checking') {
      throw new BluelightError('CHECK_RUNNING', 'a check is under way', { fix: 'wait for its end', retryable: true });
    }
    if (ask.rebuild) this.#ring.rebuild();
    this.#ask = ask;
    this.#problem = null;
    this.#check = undefined;
    this.#rebuilding = true;
    this.step(0);
    return this.report!;
  }

  /** Works for about `budgetMs`; false when there is nothing to do. */
  step(budgetMs: number): boolean {
    if (this.#ask === undefined || this.#problem !== null) return false;
    const until = this.#clock.monotonic() + budgetMs;
    try {
      // An index that is not complete yet has files without rows.
      while (this.#rebuilding) {
        this.#rebuilding = this.#ring.rebuildStep();
        if (this.#rebuilding && this.#clock.monotonic() >= until) return true;
      }
      this.#check ??= this.#ring.check(this.#ask.level);
      return !this.#check.progress.done && this.#check.step(until - this.#clock.monotonic());
    } catch (error) {
      if (!(error instanceof BluelightError)) throw error;
      this.#problem = errorMessage(error);
      return false;
    }
  }

  get report(): RingCheckReport | null {
    if (this.#ask === undefined) return null;
    const progress = this.#check?.progress ?? NOTHING_YET;
    const { done, checked, total, bytes, remainingMs, findings } = progress;
    const running = this.#rebuilding ? 'rebuilding' : 'checking';
    return {
      state: this.#problem !== null ? 'failed' : done ? 'done' : running,
      level: this.#ask.level,
      rebuilt: this.#rebuilding ? (this.#ring.rebuildShare ?? 1) : 1,
      ...{ checked, total, bytes, remainingMs, findings },
      indexDamaged: this.#check?.indexDamaged ?? false,
      problem: this.#problem,
    };
  }
}
