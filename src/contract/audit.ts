import { z } from 'zod';
import { cameraId, utc } from './primitives.js';

/** The audit log as the local API shows it: rows in words, and what they add up to. */

export const auditEntry = z.object({
  seq: z.number().int(),
  id: z.string(),
  at: utc,
  /** Of an access, what was looked at (clip, live, …); else kind and action (policy.pause). */
  kind: z.string(),
  outcome: z.enum(['granted', 'refused', 'done', 'failed']),
  party: z.string(),
  agency: z.string().nullable(),
  role: z.string().nullable(),
  door: z.string(),
  camera: z.string().nullable(),
  from: utc.nullable(),
  to: utc.nullable(),
  code: z.string().nullable(),
  reason: z.string(),
  case: z.string().nullable(),
  bytes: z.number().int().nullable(),
  /** The entry that this one completes: how many bytes a look took, or why it failed. */
  ref: z.string().nullable(),
  /** All of it as a sentence. */
  words: z.string(),
  link: z.string(),
});
export type AuditEntry = z.infer<typeof auditEntry>;

export const auditQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  /** Only entries before this one: the next page. */
  before: z.coerce.number().int().min(1).optional(),
  camera: cameraId.optional(),
  outcome: z.enum(['granted', 'refused', 'done', 'failed']).optional(),
  from: utc.optional(),
  to: utc.optional(),
  /** `looks`: accesses and their refusals; `outside`: those of people outside the box. */
  about: z.enum(['everything', 'looks', 'outside']).default('everything'),
});
export type AuditQuery = z.infer<typeof auditQuery>;
export const auditBody = z.object({ entries: z.array(auditEntry) });

const count = z.number().int();
const counts = z.record(z.string(), count);

/** What ordinances on public oversight of surveillance ask for. People outside the box, if nothing else is said. */
export const auditNumbers = z.object({
  granted: counts,
  refused: counts,
  refusedByCode: counts,
  byAgency: z.record(z.string(), z.object({ granted: count, refused: count, bytes: count })),
  /** The reasons given most often, as they were given; `otherReasons`: looks with further ones. */
  byReason: z.array(z.object({ reason: z.string(), granted: count, refused: count })),
  otherReasons: count,
  /** Named persons who got or asked for anything. */
  persons: count,
  /** Distinct case numbers given; and requests without one. */
  cases: count,
  withoutCase: count,
  byCamera: counts,
  clipsUnasked: count,
  bytesOut: count,
  /** Looks by people at the box, by role. */
  localLooks: counts,
  commands: z.object({ carriedOut: count, refused: count, failed: count }),
  /** At the door of the box: people let in, and wrong codes or missing rights. */
  logins: z.object({ done: count, refused: count }),
  policyChanges: count,
  pauses: count,
  /** Emergency windows opened in earnest, and looks that only they allowed. */
  emergencies: count,
  emergencyLooks: count,
});
export type AuditNumbers = z.infer<typeof auditNumbers>;

export const auditDigestQuery = z.object({ from: utc.optional(), to: utc.optional() });
export const auditYearQuery = z.object({ year: z.coerce.number().int().min(2000).max(9998) });
export const auditDigestBody = z.object({
  from: utc,
  to: utc,
  timeZone: z.string(),
  numbers: auditNumbers,
  /** The numbers in sentences. */
  summary: z.array(z.string()),
  /** What people outside got and asked for, newest first. */
  lines: z.array(z.string()),
  /** Lines left out. */
  more: count,
});
export type AuditDigest = z.infer<typeof auditDigestBody>;

export const auditVerdictBody = z.object({
  rows: count,
  link: z.string(),
  /** Null: nothing was changed or left out. */
  fault: z.object({ seq: count, code: z.string(), why: z.string() }).nullable(),
  /** The newest signed checkpoint that names a row of this log; null: there is none yet. */
  checkpoint: utc.nullable(),
});
export type AuditVerdict = z.infer<typeof auditVerdictBody>;
