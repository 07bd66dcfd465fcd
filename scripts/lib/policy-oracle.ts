import type { AccessRequest, PolicyDocument } from '../../src/contract/policy.js';
import type { PolicyState } from '../../src/policy/state.js';

const PICTURES = ['clip', 'still', 'live', 'playback', 'export'];

/**
 * The rules of the gate once more, as a person would check them with a calendar and the wall clock of the site:
 * slowly, minute by minute, sharing no code with the gate. True: may be seen.
 */
export function mayBeSeen(
  document: PolicyDocument | null,
  state: PolicyState,
  ask: AccessRequest,
  now: number,
): boolean {
  const { party, kind } = ask;
  const taking = kind === 'clip' || kind === 'export';
  if (party.kind === 'local') {
    if (!['page', 'socket', 'http'].includes(ask.door)) return false;
    const pause = state.pausedNow || state.pauses.some((p) => now >= p.fromMs && now < p.toMs);
    if (ask.sends === true) {
      if (pause || state.enrolment !== 'active' || !state.clockTrusted) return false;
      const hidden = document?.cameras.some((line) => line.camera === ask.camera && line.masks.length > 0) ?? false;
      if (hidden && PICTURES.includes(kind) && ask.masksBurned !== true) return false;
    }
    if (party.role === 'owner') return true;
    if (party.role === 'viewer') return !taking;
    if (document === null || pause) return false;
    if (document.authority === 'city') return true;
    return !taking && state.technicianUntilMs !== null && now < state.technicianUntilMs;
  }
  const doors = party.kind === 'operator' ? ['mqtt', 'http', 'courier'] : ['auto', 'courier'];
  if (!doors.includes(ask.door) || document === null || !state.clockTrusted || state.enrolment !== 'active')
    return false;
  if (state.pausedNow || state.pauses.some((p) => now >= p.fromMs && now < p.toMs)) return false;
  if (party.kind === 'agent' && !['clip', 'motion', 'sighting'].includes(kind)) return false;
  const onward = kind === 'live' || (party.kind === 'agent' && kind !== 'clip' && ask.range.toMs > now);
  const moments = onward ? [now] : everyMinute(ask.range.fromMs, ask.range.toMs);
  if (!onward && state.pauses.some((p) => p.fromMs < ask.range.toMs && ask.range.fromMs < p.toMs)) return false;
  return document.cameras.some((line) => {
    if (line.camera !== ask.camera) return false;
    if (kind === 'still' && !line.stills) return false;
    if (kind === 'sighting' && !line.sightings) return false;
    if (party.kind === 'agent' && kind === 'clip' && !line.autoClips) return false;
    if (PICTURES.includes(kind) && line.masks.length > 0 && ask.masksBurned !== true) return false;
    const days = line.retentionMaxDays;
    if (!onward && days !== null && ask.range.fromMs < now - days * 86_400_000) return false;
    if (!moments.every((ms) => wallClockWithin(line.hours, document.timeZone, ms))) return false;
    const window = state.emergencies.find((w) => w.fromMs <= now && now < w.toMs);
    const approved = state.approvals.some(
      (a) =>
        party.kind === 'operator' &&
        a.operator === party.operator &&
        a.agency === party.agency &&
        a.camera === ask.camera &&
        a.kind === kind &&
        now < a.untilMs &&
        (kind === 'live' || (a.range.fromMs <= ask.range.fromMs && a.range.toMs >= ask.range.toMs)),
    );
    if (line.mode === 'ask') return approved;
    if (line.mode === 'emergency') {
      return window !== undefined && (onward || ask.range.fromMs >= window.fromMs - 15 * 60_000);
    }
    return line.mode === 'live' || (line.mode === 'clips' && kind !== 'live');
  });
}

/** The first moment, every full minute and the last millisecond. Offsets of all zones are whole minutes. */
function everyMinute(fromMs: number, toMs: number): number[] {
  const out = [fromMs];
  for (let ms = Math.ceil(fromMs / 60_000) * 60_000; ms < toMs; ms += 60_000) out.push(ms);
  return [...out, toMs - 1];
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const clocks = new Map<string, Intl.DateTimeFormat>();

function wallClockWithin(hours: PolicyDocument['cameras'][number]['hours'], timeZone: string, ms: number): boolean {
  if (hours.length === 0) return true;
  let clock = clocks.get(timeZone);
  if (clock === undefined) {
    const form = { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    clock = new Intl.DateTimeFormat('en-GB', { timeZone, ...form });
    clocks.set(timeZone, clock);
  }
  const parts = Object.fromEntries(clock.formatToParts(ms).map((part) => [part.type, part.value]));
  const day = DAYS.indexOf(parts['weekday']!.toLowerCase() as (typeof DAYS)[number]);
  const minute = Number(parts['hour']) * 60 + Number(parts['minute']);
  return hours.some((entry) => {
    const [from, to] = [entry.from, entry.to].map((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));
    const today = entry.days.includes(DAYS[day]!);
    const yesterday = entry.days.includes(DAYS[(day + 6) % 7]!);
    if (to! > from!) return today && minute >= from! && minute < to!;
    return (today && minute >= from!) || (yesterday && minute < to!);
  });
}
