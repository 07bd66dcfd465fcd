import { z } from 'zod';
import { weeklyHours } from './policy.js';
import { slug } from './primitives.js';

const thousandth = z.number().int().min(0).max(1000);
/** Corners in thousandths of the picture's width and height. */
const polygon = z
  .array(z.tuple([thousandth, thousandth]))
  .min(3)
  .max(64);

export const zone = z.strictObject({
  name: slug,
  /**
   * `include`: only what comes into one of these is told. `exclude`: what stays inside is not told. `mask`: nothing in
   * it is looked at.
   */
  kind: z.enum(['include', 'exclude', 'mask']),
  polygon,
  /** When it counts, in the time zone of the site; empty: always. */
  hours: z.array(weeklyHours).default([]),
});
export type Zone = z.infer<typeof zone>;

/** What of a camera's motion is told. The defaults tell all of it. */
export const motionZones = z.strictObject({
  zones: z
    .array(zone)
    .max(32)
    .refine((list) => new Set(list.map((one) => one.name)).size === list.length, 'two zones have the same name')
    .default([]),
  /** What never gets larger than this share of the picture is not told, in thousandths. */
  minimumSize: z.number().min(0).max(500).default(0),
  /** When motion is told at all, in the time zone of the site; empty: always. */
  hours: z.array(weeklyHours).default([]),
});
export type MotionZones = z.infer<typeof motionZones>;
