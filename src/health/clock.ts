/** How the box knows what time it is, best first. */
export type ClockSource = 'ntp' | 'center' | 'rtc' | 'none';

export interface ClockReading {
  source: ClockSource;
  /** Box minus center, ms; null before the center said its time. */
  offsetMs: number | null;
  trusted: boolean;
}

export interface ClockInputs {
  nowMs: number;
  /** A time service of this host says that it set the clock. */
  synchronised: boolean;
  /** Box minus center at the last signed word of the center, and how long ago that was (monotonic). */
  center: { offsetMs: number; agoMs: number } | null;
}

/** Nothing was recorded by this product before. */
const EPOCH_MS = Date.UTC(2026, 0, 1);
/** What the way to the center and back may add. */
const AGREE_MS = 5_000;
const CENTER_KEEPS_MS = 24 * 3_600_000;

/** The center's signed time is a witness as good as NTP for saying whether the clock is right. */
export function readClock(inputs: ClockInputs): ClockReading {
  const offsetMs = inputs.center === null ? null : inputs.center.offsetMs;
  if (inputs.synchronised) return { source: 'ntp', offsetMs, trusted: true };
  const { center } = inputs;
  if (center !== null && center.agoMs < CENTER_KEEPS_MS && Math.abs(center.offsetMs) < AGREE_MS) {
    return { source: 'center', offsetMs, trusted: true };
  }
  return { source: inputs.nowMs > EPOCH_MS ? 'rtc' : 'none', offsetMs, trusted: false };
}
