import { z } from 'zod';
import { publicKeyText, utc } from './primitives.js';

/** Bodies of the local HTTP API: whose box this is, and by which keys. */

/**
 * `waiting`: the center has not taken the secret yet, the box goes on trying. `pending`: it has; its first word over
 * MQTT is outstanding.
 */
export const claimState = z.enum(['none', 'waiting', 'pending', 'active']);
export const claimedBody = z.object({
  state: claimState,
  /** Null: a code, and the center has not answered yet. */
  site: z.string().nullable(),
  box: z.string().nullable(),
  center: z.string().nullable(),
  /** What it waits for. */
  detail: z.string(),
});
export type ClaimedBody = z.infer<typeof claimedBody>;

const address = z.string().trim().min(1).max(300);
export const claimLookBody = z.object({
  /** Of the center, as typed; absent: `center.address` of the configuration. */
  address: address.optional(),
});
/** What answers there says of itself: to be compared with what the center told. */
export const claimFoundBody = z.object({ address: z.string(), center: z.string(), fingerprint: z.string() });
export type ClaimFoundBody = z.infer<typeof claimFoundBody>;
export const claimCodeBody = claimLookBody.extend({
  code: z.string().trim().min(8).max(20),
  /** As the center told it, or as `look` found it and a person compared it. */
  fingerprint: z.string().trim().min(20).max(100),
});
export type ClaimCodeBody = z.infer<typeof claimCodeBody>;
export const claimQrBody = z.object({ text: z.string().trim().min(1).max(2_000) });

export const certificateBody = z.object({
  /** SHA-256, as browsers show it. */
  fingerprint: z.string(),
  /** The center's authority, or the box itself. */
  issuer: z.enum(['center', 'self']),
  expiresAt: utc,
  detail: z.string(),
});
export const identityBody = z.object({
  key: publicKeyText,
  fingerprint: z.string(),
  claim: claimedBody,
  /** Of the center; null: the box belongs to none. */
  centerKey: publicKeyText.nullable(),
  centerFingerprint: z.string().nullable(),
  keys: z.array(
    z.object({
      key: publicKeyText,
      role: z.enum(['box', 'center', 'owner', 'city']),
      state: z.enum(['current', 'former', 'revoked']),
      since: utc,
      until: utc.nullable(),
      /** Signed by the key that gave way; null: it was made here or came with the claim. */
      statement: z.string().nullable(),
    }),
  ),
  certificate: certificateBody.nullable(),
});
export type IdentityBody = z.infer<typeof identityBody>;
export const rotatedBody = z.object({ before: publicKeyText, after: publicKeyText, statement: z.string() });
export type RotatedBody = z.infer<typeof rotatedBody>;
