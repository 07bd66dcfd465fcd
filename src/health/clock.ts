import type { Fact } from './alarms.js';

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
/** A time service that says it set the clock once does not say that nobody has set it since. */
const CONTRADICTS_MS = 60_000;

/** The center's signed time is a witness as good as NTP for saying whether the clock is right. */
export function readClock(inputs: ClockInputs): ClockReading {
  const offsetMs = inputs.center === null ? null : inputs.center.offsetMs;
  const { center } = inputs;
  const apartMs = center !== null && center.agoMs < CENTER_KEEPS_MS ? Math.abs(center.offsetMs) : null;
  if (inputs.synchronised && (apartMs ?? 0) < CONTRADICTS_MS) return { source: 'ntp', offsetMs, trusted: true };
  if (apartMs !== null && apartMs < AGREE_MS) return { source: 'center', offsetMs, trusted: true };
  return { source: inputs.nowMs > EPOCH_MS ? 'rtc' : 'none', offsetMs, trusted: false };
}

const HINT =
  'check its time server; recording goes on and is put right later, nothing is shared and no hold ends meanwhile';
/** A box that has just started asks center and time server first. */
const ASKING_MS = 60_000;

/** What is wrong with the clock of the box, as an alarm. */
export function clockFacts({ source, offsetMs, trusted }: ClockReading): Fact[] {
  if (trusted) return [];
  const about = { onvif: null, severity: 'warning' as const, camera: null, hint: HINT, clearAfterMs: 3_000 };
  if (source === 'none') {
    return [{ ...about, kind: 'clock.unknown', message: 'the box does not know the time', raiseAfterMs: 0 }];
  }
  const kind = 'clock.untrusted';
  if (offsetMs === null || Math.abs(offsetMs) < AGREE_MS) {
    return [{ ...about, kind, message: 'nobody vouches for the clock of the box', raiseAfterMs: ASKING_MS }];
  }
  const side = offsetMs > 0 ? 'ahead of' : 'behind';
  const message = `the clock of the box is ${Math.round(Math.abs(offsetMs) / 1000)} s ${side} that of the center`;
  return [{ ...about, kind, message, raiseAfterMs: 0 }];
}
