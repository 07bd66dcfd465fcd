import { z } from 'zod';
import { cameraId, streamRole, utc } from './primitives.js';

export const coverageSpan = z.object({ from: utc, to: utc, bytes: z.number().int(), open: z.boolean().optional() });
export const coverageGap = z.object({ from: utc, to: utc, reason: z.string() });

/** Exact answer from the index: what is recorded of one stream in a range, and why the rest is not. */
export const streamCoverage = z.object({
  camera: cameraId,
  role: streamRole,
  from: utc,
  to: utc,
  spans: z.array(coverageSpan),
  gaps: z.array(coverageGap),
  bytes: z.number().int(),
});
export type StreamCoverage = z.infer<typeof streamCoverage>;
