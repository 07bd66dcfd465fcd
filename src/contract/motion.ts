import { z } from 'zod';
import { cameraId, ulidText, utc } from './primitives.js';

export const motionEvent = z.object({
  id: ulidText,
  camera: cameraId,
  phase: z.enum(['start', 'update', 'end']),
  /** First sight of what moved (backdated: the footage is kept). */
  start: utc,
  /** When the box could first know. */
  decidedAt: utc,
  end: utc.nullable(),
  score: z.number(),
  reason: z.string(),
});
export type MotionEvent = z.infer<typeof motionEvent>;
