import { z } from 'zod';
import { signedManifest } from './clip.js';
import { policyDocument } from './policy.js';
import { receipt } from './receipt.js';
import { ulidText, utc } from './primitives.js';

/** Bodies of the local HTTP API with which an owner rules over his terms. */

const passphrase = z.string().min(1).max(200);

export const ownerBody = z.object({ key: z.string().nullable() });
export const ownerSetUpBody = z.object({ name: z.string().min(1).max(40), passphrase });

export const changePassphraseBody = z.object({ passphrase, next: passphrase });
/** The passphrase is lost, or the owner gives his key up: sharing ends. */
export const ownerLostBody = z.object({ reason: z.string().trim().min(1).max(500) });

export const termsBody = z.object({ document: policyDocument });
export const proposeBody = termsBody.extend({ note: z.string().trim().max(500).default('') });
/** The owner's passphrase is what signs; who is logged in does not matter. */
export const acceptBody = termsBody.extend({ passphrase });
export const declineBody = z.object({ id: ulidText });

export const previewBody = z.object({
  words: z.array(z.string()),
  table: z.array(z.record(z.string(), z.unknown())),
  changes: z.array(z.record(z.string(), z.unknown())),
});
export const proposalBody = previewBody.extend({
  id: ulidText,
  version: z.number().int(),
  note: z.string(),
  document: policyDocument,
  createdMs: z.number(),
});
export const proposalsBody = z.object({ proposals: z.array(proposalBody) });

/** A receipt as it is kept: what it says, and the signed form that anybody can check. */
export const issuedReceiptBody = z.object({ id: ulidText, receipt, envelope: signedManifest });
export type IssuedReceiptBody = z.infer<typeof issuedReceiptBody>;
export const receiptsBody = z.object({
  receipts: z.array(z.object({ id: ulidText, kind: z.string(), madeMs: z.number() })),
});

/** Whether anything is shared at this moment. */
export const sharingBody = z.object({
  enrolment: z.enum(['none', 'pending', 'active', 'ended']),
  paused: z.boolean(),
  /** Null: not paused, or until it is resumed by hand. */
  until: utc.nullable(),
  /** Key of the owner; null: the box has none. */
  owner: z.string().nullable(),
});

/** What a backup is sealed with. It is kept nowhere. */
export const backupBody = z.object({ passphrase });

export const pauseBody = z.object({
  /** Null: until it is resumed by hand. */
  until: utc.nullable(),
  reason: z.string().trim().max(500).default(''),
});
export const resumeBody = z.object({
  reason: z.string().trim().max(500).default(''),
  /** Of the owner; not needed where he himself is logged in, or where the city owns the site. */
  passphrase: passphrase.optional(),
});
export const optOutBody = z.object({
  reason: z.string().trim().max(500).default(''),
  passphrase: passphrase.optional(),
  /** Recordings of the box itself; what was delivered stays with the center. */
  recordings: z.enum(['keep', 'erase']).default('keep'),
});

export const approvalBody = z.object({
  id: ulidText,
  camera: z.string(),
  kind: z.string(),
  operator: z.string(),
  agency: z.string(),
  role: z.string(),
  case: z.string().nullable(),
  reason: z.string(),
  from: utc,
  to: utc,
  askedAt: utc,
  expiresAt: utc,
});
export const approvalsBody = z.object({ approvals: z.array(approvalBody) });
export const answerBody = z.object({
  yes: z.boolean(),
  /** Of the owner; not needed where he himself is logged in. */
  passphrase: passphrase.optional(),
});

/** Until when the technician may see pictures at a site with an owner; null: he may not. */
export const technicianBody = z.object({ until: utc.nullable() });
export const letTechnicianBody = technicianBody.extend({ passphrase: passphrase.optional() });
