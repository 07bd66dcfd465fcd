import { z } from 'zod';
import { cameraId, ulidText, utc } from './primitives.js';

/** Something that a person has to see to. It is raised and cleared by the box itself. */
export const alarm = z.object({
  id: ulidText,
  /** Stable, for machines: `camera.frozen`, `disk.failed`. */
  kind: z.string().regex(/^[a-z]+(\.[a-z_]+)+$/),
  /** The ONVIF topic of the same thing; null if there is none. */
  onvif: z.string().nullable(),
  severity: z.enum(['critical', 'warning']),
  /** Null: the box itself. */
  camera: cameraId.nullable(),
  message: z.string(),
  /** What to do, and what to bring. */
  hint: z.string(),
  since: utc,
  raisedAt: utc,
  clearedAt: utc.nullable(),
  /** How often it was raised: what comes and goes within minutes is one alarm. */
  count: z.number().int().positive(),
  /** There are pictures from before and from when it was raised. */
  evidence: z.boolean(),
});
export type Alarm = z.infer<typeof alarm>;
