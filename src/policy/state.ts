import type { GrantKind } from '../contract/grant.js';
import type { TimeRange } from '../contract/primitives.js';

/** What the owner allowed one operator to see, once. */
export interface Approved {
  id: string;
  camera: string;
  kind: GrantKind;
  range: TimeRange;
  operator: string;
  agency: string;
  /** Wall clock. */
  untilMs: number;
}

export interface PolicyState {
  /** Of the site in the blue-light program. Only `active` shares. */
  enrolment: 'none' | 'pending' | 'active' | 'ended';
  /** Past and present; an open one has `toMs` Infinity. */
  pauses: readonly TimeRange[];
  /** True while the owner shares nothing, however the wall clock jumps meanwhile. */
  pausedNow: boolean;
  /** Emergency windows, past and present. */
  emergencies: readonly TimeRange[];
  approvals: readonly Approved[];
  /** False: hours and ends cannot be told, so nothing is shared. Recording goes on. */
  clockTrusted: boolean;
  /** At a store: until when the owner lets the technician see pictures; null: he does not. */
  technicianUntilMs: number | null;
}

/** As after unpacking: nothing is shared. */
export const NOTHING_SHARED: PolicyState = {
  enrolment: 'none',
  pauses: [],
  pausedNow: false,
  emergencies: [],
  approvals: [],
  clockTrusted: false,
  technicianUntilMs: null,
};
