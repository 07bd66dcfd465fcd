import { z } from 'zod';
import type { GrantKind } from './grant.js';
import { cameraId, type TimeRange } from './primitives.js';

export const accessMode = z.enum(['registry', 'ask', 'clips', 'emergency', 'live']);
export type AccessMode = z.infer<typeof accessMode>;

const minute = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'HH:MM, 00:00 to 24:00');
export const weeklyHours = z.strictObject({
  days: z.array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])).min(1),
  from: minute,
  /** Earlier than or equal to `from` means: over midnight, into the next day. */
  to: minute,
});

export type WeeklyHours = z.infer<typeof weeklyHours>;

const thousandth = z.number().int().min(0).max(1000);

export const cameraTerms = z.strictObject({
  camera: cameraId,
  mode: accessMode,
  /** Empty: at all hours. In the time zone of the site. */
  hours: z.array(weeklyHours).default([]),
  stills: z.boolean().default(false),
  sightings: z.boolean().default(false),
  /** May clips of motion events be sent without anyone asking? */
  autoClips: z.boolean().default(false),
  /** Days after which recordings of this camera must be gone; null: the ring decides. */
  retentionMaxDays: z.number().int().positive().nullable().default(null),
  /**
   * Areas that never leave the box, as polygons in thousandths of width and height. A camera with masks is not
   * shared as original, only in copies into which the masks are burned.
   */
  masks: z.array(z.array(z.tuple([thousandth, thousandth])).min(3)).default([]),
});
export type CameraTerms = z.infer<typeof cameraTerms>;

/** What may be seen by whom. A document apart from configuration; what it does not name is not shared. */
export const policyDocument = z.strictObject({
  version: z.number().int().nonnegative(),
  authority: z.enum(['owner', 'city']),
  timeZone: z.string().default('UTC'),
  notifyDelaySeconds: z.number().int().nonnegative().default(0),
  cameras: z.array(cameraTerms),
});
export type PolicyDocument = z.infer<typeof policyDocument>;

export type Party =
  /** The agent itself, sending what the policy says it may send unasked. */
  | { kind: 'agent' }
  | { kind: 'local'; role: 'technician' | 'owner' | 'viewer'; name: string }
  | { kind: 'operator'; operator: string; agency: string; role: string };

export type Door = 'page' | 'socket' | 'http' | 'mqtt' | 'courier' | 'auto';

export interface AccessRequest {
  party: Party;
  door: Door;
  kind: GrantKind;
  camera: string;
  range: TimeRange;
  reason: string;
  case?: string;
  /** The command that this belongs to. */
  job?: string;
  /** The maker burns the privacy masks into what leaves; without it a masked camera is refused. */
  masksBurned?: boolean;
  /** Somebody at the box sends it to the center: what the owner switched off holds for that too. */
  sends?: boolean;
}

export type DenialCode =
  'POLICY_DENIED' | 'OUTSIDE_HOURS' | 'PAUSED_BY_OWNER' | 'OWNER_APPROVAL_REQUIRED' | 'NOT_ENROLLED';

export type Decision = { allow: true; why: string } | { allow: false; code: DenialCode; why: string };
