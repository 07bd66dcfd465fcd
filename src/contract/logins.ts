import { z } from 'zod';
import { localRole } from './http.js';
import { utc } from './primitives.js';

/** Bodies of the local HTTP API: who may log in. */

const loginEntry = z.object({
  name: z.string(),
  role: localRole,
  createdAt: utc,
  /** Null: until it is replaced. */
  expiresAt: utc.nullable(),
});
export const loginsBody = z.object({ logins: z.array(loginEntry) });
export type LoginsBody = z.infer<typeof loginsBody>;

export const technicianCodeBody = z.object({
  /** How long the code is good; absent: `web.technician` of the configuration. */
  seconds: z
    .int()
    .min(60)
    .max(30 * 86_400)
    .optional(),
});
/** The code is told this once. */
export const issuedCodeBody = z.object({ code: z.string(), expiresAt: utc });
export type IssuedCodeBody = z.infer<typeof issuedCodeBody>;

const passphrase = z.string().min(1).max(200).optional();
export const viewerBody = z.object({
  name: z.string().trim().min(1).max(40),
  password: z.string().min(1).max(200),
  /** Of the owner; not needed where he himself is logged in, or where there is none. */
  passphrase,
});
export const removeLoginBody = z.object({ name: z.string().trim().min(1).max(40), passphrase });
