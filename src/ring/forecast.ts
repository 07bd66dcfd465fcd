import type { RingLimits, RingStatus } from './types.js';

/** What a stream writes, in bytes as they are stored. */
export interface StreamRate {
  camera: string;
  role: 'main' | 'sub';
  bytesPerMs: number;
  /** Share of its footage that has motion, 0..1. */
  motionShare: number;
}

export interface CameraForecast {
  camera: string;
  /** How far back its footage will reach, in whatever tier. */
  days: number;
  /** How far back all of its originals will reach. */
  originalsDays: number;
  /** What the law allows; null: no bound. */
  legalDays: number | null;
}

const DAY_MS = 86_400_000;
/** Nobody asks further. */
const HORIZON_MS = 3_650 * DAY_MS;
/** Until a camera has been watched: a street at day. */
const USUAL_MOTION = 0.3;
/** An average of less than this says little; what the camera sends now says more. */
const SETTLED_MS = 10 * 60_000;

/**
 * How many days the ring will hold of each camera once it is full: the age at which all tiers of all cameras together
 * fill the room. Space takes the oldest over all cameras, so that age is the same for all whose own limits are not
 * lower.
 */
export function planForecast(rates: readonly StreamRate[], roomBytes: number, limits: RingLimits): CameraForecast[] {
  const bytesAt = (ageMs: number): number => rates.reduce((sum, rate) => sum + storedAt(rate, ageMs, limits), 0);
  let low = 0;
  let high = HORIZON_MS;
  if (bytesAt(high) <= roomBytes) low = high;
  // Down to a few minutes.
  for (let step = 0; step < 24 && low < high; step++) {
    const middle = (low + high) / 2;
    if (bytesAt(middle) <= roomBytes) low = middle;
    else high = middle;
  }
  return [...new Set(rates.map((rate) => rate.camera))].sort().map((camera) => {
    const legalMs = limits.maximumMs[camera];
    const ageMs = Math.min(low, keptMs(camera, limits));
    return {
      camera,
      days: days(ageMs),
      originalsDays: days(Math.min(ageMs, limits.originalsMs ?? Infinity)),
      legalDays: legalMs === undefined ? null : days(legalMs),
    };
  });
}

/** What a stream occupies when the ring reaches back so far. */
function storedAt({ camera, role, bytesPerMs, motionShare }: StreamRate, ageMs: number, limits: RingLimits): number {
  const reachMs = Math.min(ageMs, keptMs(camera, limits));
  const wholeMs = role === 'sub' ? reachMs : Math.min(reachMs, limits.originalsMs ?? Infinity);
  return bytesPerMs * (wholeMs + motionShare * (reachMs - wholeMs));
}

function keptMs(camera: string, limits: RingLimits): number {
  return Math.min(limits.keepMs ?? Infinity, limits.maximumMs[camera] ?? Infinity);
}

function days(ms: number): number {
  return Math.round((ms / DAY_MS) * 100) / 100;
}

/**
 * Rates by what is kept, and for a new camera by what it sends now, so that there is a forecast at once.
 * @param sent by stream: bytes in a ms, as the camera sends them
 */
export function ratesOf(status: RingStatus, sent: ReadonlyMap<string, number>): StreamRate[] {
  const kept = new Map(status.streams.map((stream) => [stream.stream, stream]));
  return [...new Set([...kept.keys(), ...sent.keys()])].sort().flatMap((name) => {
    const own = kept.get(name);
    const average = own === undefined || own.durationMs === 0 ? 0 : own.bytes / own.durationMs;
    const settled = own !== undefined && own.durationMs >= SETTLED_MS;
    const bytesPerMs = settled ? average : (sent.get(name) ?? 0) || average;
    if (bytesPerMs === 0) return [];
    const dot = name.lastIndexOf('.');
    const role = name.slice(dot + 1) === 'sub' ? ('sub' as const) : ('main' as const);
    return [{ camera: name.slice(0, dot), role, bytesPerMs, motionShare: own?.motionShare ?? USUAL_MOTION }];
  });
}
