import type { GrantKind } from '../contract/grant.js';
import type { AccessRequest } from '../contract/policy.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How long a grant opens at most. Long enough for its purpose, short enough that a forgotten one is not a door. */
const LEASE_MS: Record<GrantKind, number> = {
  // A clip over a cellular link takes hours; it is asked again for the next try.
  clip: 12 * HOUR_MS,
  export: 12 * HOUR_MS,
  playback: 4 * HOUR_MS,
  live: 10 * MINUTE_MS,
  still: 10 * MINUTE_MS,
  timeline: 10 * MINUTE_MS,
  motion: HOUR_MS,
  sighting: HOUR_MS,
};
/** A page of the box's own people may stay open for a working day. */
const LOCAL_LIVE_MS = 12 * HOUR_MS;

/** Monotonic ms. */
export function leaseMs(request: AccessRequest): number {
  return request.party.kind === 'local' && request.kind === 'live' ? LOCAL_LIVE_MS : LEASE_MS[request.kind];
}
