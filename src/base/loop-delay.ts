import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from './clock.js';

/** How late timers of a thread fire, ms. */
export interface LoopDelay {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** How often the loop is looked at. What is told is later than this, never earlier. */
const RESOLUTION_MS = 5;

/** Watches the event loop of the calling thread for a while. Costs a few hundred wake-ups a second while it lasts. */
export async function measureLoopDelay(clock: Clock, ms: number): Promise<LoopDelay> {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  await clock.sleep(ms);
  histogram.disable();
  const late = (ns: number): number => Math.max(0, Math.round((ns / 1e6 - RESOLUTION_MS) * 100) / 100);
  return { p50Ms: late(histogram.percentile(50)), p99Ms: late(histogram.percentile(99)), maxMs: late(histogram.max) };
}
