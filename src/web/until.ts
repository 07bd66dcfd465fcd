import type { Clock } from '../base/clock.js';

/** Timers of Node take 32 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs `then` when `Clock.monotonic` reaches `untilMono`, unless `stop` aborts before. */
export function endAt(clock: Clock, untilMono: number, stop: AbortSignal, then: () => void): void {
  const left = Math.max(0, untilMono - clock.monotonic());
  if (left > LONGEST_TIMER_MS) return;
  clock.sleep(left, stop).then(then, () => undefined);
}

/** Runs `run` when `signal` aborts, also if it has; no longer once `until` aborted. */
export function onAbort(signal: AbortSignal, until: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener('abort', run, { once: true, signal: until });
}
