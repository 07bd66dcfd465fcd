import type { GrantKind } from '../contract/grant.js';
import type { AccessRequest, CameraTerms, Decision, DenialCode, Door, PolicyDocument } from '../contract/policy.js';
import type { TimeRange } from '../contract/primitives.js';
import { BY_EMERGENCY } from '../store/audit-numbers.js';
import { isOpenThroughout, openUntil } from './hours.js';
import type { PolicyState } from './state.js';

const DAY_MS = 86_400_000;
/** Footage from before the panic that an emergency window opens too. */
export const EMERGENCY_PRE_ROLL_MS = 15 * 60_000;
/** How far ahead the end of the hours is looked for; open longer than that is as good as open. */
const LOOK_AHEAD_MS = 8 * DAY_MS;

/** Through which doors who may come at all. */
const DOORS: Record<AccessRequest['party']['kind'], readonly Door[]> = {
  local: ['page', 'socket', 'http'],
  operator: ['mqtt', 'http', 'courier'],
  agent: ['auto', 'courier'],
};

/** Looking is not taking away: these leave nothing in the hands of who asks. */
const LOOKING: readonly GrantKind[] = ['live', 'still', 'playback', 'timeline', 'motion', 'sighting'];
/** What the agent may send unasked, if the terms say so. */
const UNASKED: readonly GrantKind[] = ['clip', 'motion', 'sighting'];

/**
 * May this be seen? Pure: the same question gets the same answer. What no line allows is refused.
 * `live`, and marks that the agent reports as they come (a range that reaches beyond now), are allowed while this
 * moment is, and withdrawn when it no longer is. Everything else is asked for a range that must be allowed throughout,
 * so that a segment which crosses a boundary of the terms is withheld.
 * @param now wall clock, ms
 */
export function decide(
  policy: PolicyDocument | null,
  state: PolicyState,
  request: AccessRequest,
  now: number,
): Decision {
  if (!DOORS[request.party.kind].includes(request.door)) {
    return no('POLICY_DENIED', `${request.party.kind} cannot come in by ${request.door}`);
  }
  const { fromMs, toMs } = request.range;
  if (!Number.isFinite(fromMs) || !(toMs > fromMs) || (request.kind !== 'live' && !Number.isFinite(toMs))) {
    return no('POLICY_DENIED', 'the range is not a range');
  }
  return request.party.kind === 'local'
    ? decideLocal(policy, state, request, request.party.role, now)
    : decideOutside(policy, state, request, now);
}

/** Until when this decision holds if nothing but time passes; Infinity: nothing ends it. */
export function holdsUntil(
  policy: PolicyDocument | null,
  state: PolicyState,
  request: AccessRequest,
  now: number,
): number {
  if (request.party.kind === 'local') {
    const visit = request.party.role === 'technician' && policy?.authority === 'owner';
    return visit ? (state.technicianUntilMs ?? now) : Infinity;
  }
  const ends: number[] = [];
  for (const terms of termsOf(policy, request.camera)) {
    if (!decideTerms(policy!, terms, state, request, now).allow) continue;
    const end = standing(request, now) ? openUntil(terms.hours, policy!.timeZone, now, LOOK_AHEAD_MS) : null;
    ends.push(
      Math.min(
        end === null || end >= now + LOOK_AHEAD_MS ? Infinity : end,
        terms.mode === 'emergency' ? (openWindow(state, now)?.toMs ?? now) : Infinity,
        terms.mode === 'ask' ? (approval(state, request, now)?.untilMs ?? now) : Infinity,
        terms.retentionMaxDays === null || standing(request, now)
          ? Infinity
          : request.range.fromMs + terms.retentionMaxDays * DAY_MS,
      ),
    );
  }
  return ends.length === 0 ? now : Math.max(...ends);
}

function decideLocal(
  policy: PolicyDocument | null,
  state: PolicyState,
  request: AccessRequest,
  role: 'technician' | 'owner' | 'viewer',
  now: number,
): Decision {
  const shut = request.sends === true ? closed(state, now) : null;
  if (shut !== null) return shut;
  // Whoever sends it: hidden areas do not leave the box.
  if (request.sends === true && termsOf(policy, request.camera).some((terms) => isMasked(terms, request))) {
    return no('POLICY_DENIED', MASKED);
  }
  if (role === 'owner') return yes('it is the own footage of the owner');
  const looking = LOOKING.includes(request.kind);
  if (role === 'viewer') {
    return looking ? yes('a viewer may look') : no('POLICY_DENIED', 'a viewer may look, but take nothing away');
  }
  if (policy === null) return no('POLICY_DENIED', 'no terms are in force, so a technician sees no pictures');
  if (paused(state, now)) return no('PAUSED_BY_OWNER', 'sharing is paused, for technicians too');
  if (policy.authority === 'city') return yes('at a site of the city its technician may see and export');
  if (!looking) return no('POLICY_DENIED', 'at a site with an owner a technician takes nothing away');
  if (state.technicianUntilMs === null || now >= state.technicianUntilMs) {
    return no('POLICY_DENIED', 'a technician sees pictures only while the owner lets him');
  }
  return yes('the owner lets the technician look');
}

function decideOutside(
  policy: PolicyDocument | null,
  state: PolicyState,
  request: AccessRequest,
  now: number,
): Decision {
  const shut = closed(state, now);
  if (shut !== null) return shut;
  if (policy === null) return no('POLICY_DENIED', 'no terms are in force');
  if (request.party.kind === 'agent' && !UNASKED.includes(request.kind)) {
    return no('POLICY_DENIED', `nothing of this kind (${request.kind}) is sent unasked`);
  }
  if (!standing(request, now) && state.pauses.some((pause) => overlap(pause, request.range))) {
    return no('PAUSED_BY_OWNER', 'part of it was recorded while the owner had paused sharing');
  }
  const answers = termsOf(policy, request.camera).map((terms) => decideTerms(policy, terms, state, request, now));
  return answers.find((a) => a.allow) ?? nearest(answers) ?? no('POLICY_DENIED', 'the terms do not name this camera');
}

/** Nothing leaves for the city at all; null: it may, if the terms say so. */
function closed(state: PolicyState, now: number): Decision | null {
  if (state.enrolment !== 'active') return no('NOT_ENROLLED', 'this site shares nothing');
  if (paused(state, now)) return no('PAUSED_BY_OWNER', 'the owner has paused sharing');
  return state.clockTrusted ? null : no('POLICY_DENIED', 'the clock is not trusted, so hours and ends cannot be told');
}

function paused(state: PolicyState, now: number): boolean {
  return state.pausedNow || state.pauses.some((pause) => pause.fromMs <= now && now < pause.toMs);
}

/** One line of the terms. A camera may have several, for different hours; one that allows everything asked is enough. */
function decideTerms(
  policy: PolicyDocument,
  terms: CameraTerms,
  state: PolicyState,
  request: AccessRequest,
  now: number,
): Decision {
  const denied = notShared(terms, request, now);
  if (denied !== null) return no('POLICY_DENIED', denied);
  const range = standing(request, now) ? { fromMs: now, toMs: now + 1 } : request.range;
  if (!isOpenThroughout(terms.hours, policy.timeZone, range)) {
    return no('OUTSIDE_HOURS', 'not all of it lies within the hours of the terms');
  }
  return decideMode(terms, state, request, now);
}

const MASKED = 'this camera has privacy masks and is not shared as original';

/** Pictures of a camera with hidden areas, which are not painted over in them. */
function isMasked(terms: CameraTerms, request: AccessRequest): boolean {
  const pictures = !['timeline', 'motion', 'sighting'].includes(request.kind);
  return pictures && terms.masks.length > 0 && request.masksBurned !== true;
}

/** Why this line of the terms never gives this, whatever the mode and the hour; null: it may. */
function notShared(terms: CameraTerms, request: AccessRequest, now: number): string | null {
  if (request.kind === 'still' && !terms.stills) return 'stills of this camera are not shared';
  if (request.kind === 'sighting' && !terms.sightings) return 'sightings of this camera are not shared';
  if (isMasked(terms, request)) return MASKED;
  const oldest = terms.retentionMaxDays === null ? -Infinity : now - terms.retentionMaxDays * DAY_MS;
  if (!standing(request, now) && request.range.fromMs < oldest) return 'older than the terms let recordings become';
  if (request.party.kind === 'agent' && request.kind === 'clip' && !terms.autoClips) {
    return 'clips of this camera are not sent unasked';
  }
  return null;
}

function decideMode(terms: CameraTerms, state: PolicyState, request: AccessRequest, now: number): Decision {
  switch (terms.mode) {
    case 'registry':
      return no('POLICY_DENIED', 'this camera is only known to exist');
    case 'ask':
      if (request.party.kind === 'agent') return no('POLICY_DENIED', 'the owner is asked about each request');
      return approval(state, request, now) === undefined
        ? no('OWNER_APPROVAL_REQUIRED', 'the owner is asked about each request')
        : yes('the owner approved this request');
    case 'clips':
      return request.kind === 'live' ? no('POLICY_DENIED', 'this camera is not shared live') : yes('shared in clips');
    case 'live':
      return yes('shared live and in clips');
    case 'emergency':
      return decideEmergency(state, request, now);
  }
}

function decideEmergency(state: PolicyState, request: AccessRequest, now: number): Decision {
  const window = openWindow(state, now);
  if (window === undefined) return no('POLICY_DENIED', 'shared only while an emergency window is open');
  const earliest = window.fromMs - EMERGENCY_PRE_ROLL_MS;
  if (!standing(request, now) && request.range.fromMs < earliest) {
    return no('POLICY_DENIED', 'an emergency window opens nothing from long before it');
  }
  return yes(BY_EMERGENCY);
}

function openWindow(state: PolicyState, now: number): TimeRange | undefined {
  return state.emergencies.find((window) => window.fromMs <= now && now < window.toMs);
}

function approval(state: PolicyState, request: AccessRequest, now: number) {
  const { party } = request;
  if (party.kind !== 'operator') return undefined;
  return state.approvals.find(
    (one) =>
      one.camera === request.camera &&
      one.kind === request.kind &&
      one.operator === party.operator &&
      one.agency === party.agency &&
      now < one.untilMs &&
      (request.kind === 'live' || (one.range.fromMs <= request.range.fromMs && request.range.toMs <= one.range.toMs)),
  );
}

function termsOf(policy: PolicyDocument | null, camera: string): CameraTerms[] {
  return policy?.cameras.filter((terms) => terms.camera === camera) ?? [];
}

/** Of several refusals the one that helps most: ask the owner, come back in the hours, or never. */
function nearest(answers: Decision[]): Decision | undefined {
  const order: DenialCode[] = ['OWNER_APPROVAL_REQUIRED', 'OUTSIDE_HOURS', 'POLICY_DENIED'];
  const rank = (answer: Decision): number => (answer.allow ? -1 : order.indexOf(answer.code));
  return [...answers].sort((a, b) => rank(a) - rank(b))[0];
}

/** Asked from now on, for as long as it is allowed. */
function standing(request: AccessRequest, now: number): boolean {
  if (request.kind === 'live') return true;
  return request.party.kind === 'agent' && request.kind !== 'clip' && request.range.toMs > now;
}

function overlap(a: TimeRange, b: TimeRange): boolean {
  return a.fromMs < b.toMs && b.fromMs < a.toMs;
}

function yes(why: string): Decision {
  return { allow: true, why };
}

function no(code: DenialCode, why: string): Decision {
  return { allow: false, code, why };
}
