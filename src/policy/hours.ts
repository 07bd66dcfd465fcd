import type { PolicyDocument } from '../contract/policy.js';
import type { TimeRange } from '../contract/primitives.js';
import { BluelightError } from '../base/errors.js';

type WeeklyHours = PolicyDocument['cameras'][number]['hours'][number];

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Within this no zone changes its offset twice; each step with a change is searched for its moment. */
const STEP_MS = 6 * 3_600_000;
const WEEKDAY = ['thu', 'fri', 'sat', 'sun', 'mon', 'tue', 'wed'] as const;

/**
 * The parts of `range` in which the local wall clock of the site stands within the weekly hours, in order, not
 * touching each other. Empty hours mean at all times. A local time that a change to summer time skips is never
 * reached; one that a change back repeats counts both times.
 * @throws BluelightError BAD_TIME_ZONE
 */
export function openSpans(hours: readonly WeeklyHours[], timeZone: string, range: TimeRange): TimeRange[] {
  if (range.toMs <= range.fromMs) return [];
  if (hours.length === 0) return [{ ...range }];
  const spans: TimeRange[] = [];
  for (const piece of constantOffset(zoneOffset(timeZone), range)) {
    for (const local of localWindows(hours, piece.fromMs + piece.offsetMs, piece.toMs + piece.offsetMs)) {
      spans.push({ fromMs: local.fromMs - piece.offsetMs, toMs: local.toMs - piece.offsetMs });
    }
  }
  return merge(spans);
}

/** Whether every moment of the range lies within the hours. */
export function isOpenThroughout(hours: readonly WeeklyHours[], timeZone: string, range: TimeRange): boolean {
  const [first] = openSpans(hours, timeZone, range);
  return first !== undefined && first.fromMs <= range.fromMs && first.toMs >= range.toMs;
}

/** Until when it stays open from `atMs` on, at most `limitMs` ahead; null: it is closed at that moment. */
export function openUntil(
  hours: readonly WeeklyHours[],
  timeZone: string,
  atMs: number,
  limitMs: number,
): number | null {
  const [first] = openSpans(hours, timeZone, { fromMs: atMs, toMs: atMs + limitMs });
  return first !== undefined && first.fromMs <= atMs ? first.toMs : null;
}

/** Whether this runtime knows the zone (IANA name, or UTC). */
export function isTimeZone(name: string): boolean {
  try {
    zoneOffset(name);
    return true;
  } catch {
    return false;
  }
}

/** Local minus UTC, ms, at a moment. */
export type ZoneOffset = (utcMs: number) => number;

export function zoneOffset(timeZone: string): ZoneOffset {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    throw new BluelightError('BAD_TIME_ZONE', `there is no time zone "${timeZone}"`, {
      fix: 'write an IANA name such as "America/Chicago"',
      cause: error,
    });
  }
  return (utcMs) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(utcMs)) part[type] = Number(value);
    const local = Date.UTC(
      part['year']!,
      part['month']! - 1,
      part['day']!,
      part['hour']!,
      part['minute']!,
      part['second']!,
    );
    return local - Math.floor(utcMs / 1000) * 1000;
  };
}

interface Piece extends TimeRange {
  offsetMs: number;
}

/** Cuts a range where the offset of the zone changes. */
function* constantOffset(offset: ZoneOffset, range: TimeRange): Generator<Piece> {
  let from = range.fromMs;
  let current = offset(from);
  for (let at = from; at < range.toMs;) {
    const next = Math.min(at + STEP_MS, range.toMs);
    const then = offset(next);
    if (then !== current) {
      const change = findChange(offset, at, next, current);
      yield { fromMs: from, toMs: change, offsetMs: current };
      from = change;
      current = then;
    }
    at = next;
  }
  if (from < range.toMs) yield { fromMs: from, toMs: range.toMs, offsetMs: current };
}

/** First ms with another offset, by halving. */
function findChange(offset: ZoneOffset, before: number, after: number, old: number): number {
  let low = before;
  let high = after;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle) === old) low = middle;
    else high = middle;
  }
  return high;
}

/** Weekly windows that touch a stretch of local time, cut to it. */
function localWindows(hours: readonly WeeklyHours[], fromLocal: number, toLocal: number): TimeRange[] {
  const out: TimeRange[] = [];
  // One day earlier too: its window may run over midnight.
  for (let day = Math.floor(fromLocal / DAY_MS) - 1; day * DAY_MS < toLocal; day++) {
    const weekday = WEEKDAY[((day % 7) + 7) % 7]!;
    for (const entry of hours) {
      if (!entry.days.includes(weekday)) continue;
      const start = minutes(entry.from);
      const end = minutes(entry.to);
      const fromMs = Math.max(fromLocal, day * DAY_MS + start * MINUTE_MS);
      const toMs = Math.min(toLocal, day * DAY_MS + (end > start ? end : end + 1440) * MINUTE_MS);
      if (fromMs < toMs) out.push({ fromMs, toMs });
    }
  }
  return out;
}

function minutes(text: string): number {
  const [hour, minute] = text.split(':');
  return Number(hour) * 60 + Number(minute);
}

function merge(spans: TimeRange[]): TimeRange[] {
  const sorted = [...spans].sort((a, b) => a.fromMs - b.fromMs);
  const out: TimeRange[] = [];
  for (const span of sorted) {
    const last = out.at(-1);
    if (last !== undefined && span.fromMs <= last.toMs) last.toMs = Math.max(last.toMs, span.toMs);
    else out.push({ ...span });
  }
  return out;
}
