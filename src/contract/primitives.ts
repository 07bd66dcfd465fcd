import { z } from 'zod';
import { SLUG } from '../base/ids.js';

/** The version in every message. N and N-1 are accepted. */
export const SCHEMA = 1;

export const slug = z.string().regex(SLUG, 'small letters, digits and dashes, at most 40').meta({ id: 'Slug' });
export const ulidText = z
  .string()
  .regex(/^[0-9A-HJKMNP-TV-Z]{26}$/, 'a ULID')
  .meta({ id: 'Ulid' });
/** RFC 3339, UTC, milliseconds: `2026-11-23T14:05:00.000Z`. */
export const utc = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'RFC 3339 in UTC with milliseconds')
  .meta({ id: 'Utc' });
export const sha256Hex = z
  .string()
  .regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits')
  .meta({ id: 'Sha256' });
/** Ed25519, raw 32 bytes, base64url. */
export const publicKeyText = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, 'an Ed25519 public key, base64url')
  .meta({ id: 'PublicKey' });

export const cameraId = slug;
export const streamRole = z.enum(['main', 'sub']);
export const rendition = z.enum(['stills', 'proxy', 'original']);
export type Rendition = z.infer<typeof rendition>;

export { toUtc } from './utc.js';

/** Half-open, ms since 1970. */
export interface TimeRange {
  fromMs: number;
  toMs: number;
}

export function streamId(camera: string, role: 'main' | 'sub'): string {
  return `${camera}.${role}`;
}
