import { createHash } from 'node:crypto';
import { z } from 'zod';
import { BluelightError } from '../base/errors.js';
import { publicKeyText, slug, ulidText, utc } from './primitives.js';

/**
 * How a box comes to its center, below the enrolment address of a claim (`E`), over any transport:
 *
 * 1. `GET E` gives a JWS of `enrolHello`, signed with the center's key. The box goes on only if the fingerprint of that
 *    key is the one that it was given.
 * 2. `POST E` with `{ "request": JWS }` of `enrolRequest`, signed with the key of the box: it proves the key, and shows
 *    the one-time secret of the claim, sealed to the center.
 * 3. The answer is `{ "answer": JWS }` of `enrolAnswer`, signed by the center: the claim, or why not.
 * 4. `POST E/certificate` with `{ "request": JWS }` of `certificateRequest` gives `{ "answer": JWS }` of
 *    `certificateAnswer`: the certificate of the local page. Again before it runs out.
 *
 * A claim is used up by the first key that shows its secret. The same box may ask again until it was heard on MQTT, so
 * that a power cut in between costs nothing.
 */
export const HELLO_TYPE = 'bluelight-enrol-hello+jws';
export const ENROL_TYPE = 'bluelight-enrol+jws';
export const ENROLLED_TYPE = 'bluelight-enrolled+jws';
export const CERTIFICATE_REQUEST_TYPE = 'bluelight-certificate-request+jws';
export const CERTIFICATE_TYPE = 'bluelight-certificate+jws';

/** What is sealed is bound to the box that asks: nobody can pass it on as his own. */
export function enrolContext(boxKey: string): string {
  return `bluelight-enrol/1 ${boxKey}`;
}

const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/);
/** AES-256-GCM, see proof/sealed-box. */
export const sealedReply = z.strictObject({ nonce: base64url.length(16), body: base64url.max(200_000) });
export const sealedText = sealedReply.extend({ key: publicKeyText });

/** Set by a person's eye or by a QR code: at least 80 bits of the SHA-256 of the raw key, hexadecimal. */
export const fingerprintText = z.string().regex(/^[0-9a-f]{20,64}$/, 'at least 20 hexadecimal digits');

/** What is needed to come to a center: the core of a claim in each of its three forms. */
export const claimTicket = z.strictObject({
  /** Enrolment address, `http://` or `https://`. */
  address: z.url({ protocol: /^https?$/ }).max(300),
  fingerprint: fingerprintText,
  /** One time. */
  secret: z.string().min(8).max(200),
  expiresAt: utc.optional(),
});
export type ClaimTicket = z.infer<typeof claimTicket>;

export const enrolHello = z.object({
  schema: z.literal(1),
  center: slug,
  /** X25519, raw, base64url: to seal the secret to. */
  exchange: publicKeyText,
  ts: utc,
});

export const enrolRequest = z.strictObject({
  schema: z.literal(1),
  center: slug,
  /** The key of the box, which signs this. */
  key: publicKeyText,
  secret: sealedText,
  ts: utc,
});

export const enrolAnswer = z.discriminatedUnion('outcome', [
  z.object({
    schema: z.literal(1),
    outcome: z.literal('enrolled'),
    key: publicKeyText,
    /** A `claimFile` with everything that is needed for the broker. */
    claim: sealedReply,
    ts: utc,
  }),
  z.object({
    schema: z.literal(1),
    outcome: z.literal('refused'),
    key: publicKeyText,
    code: z.enum(['CLAIM_WRONG', 'CLAIM_USED', 'CLAIM_EXPIRED']),
    message: z.string().max(300),
    ts: utc,
  }),
]);
export type EnrolAnswer = z.infer<typeof enrolAnswer>;

/**
 * Names that mean something on one site only: for others a center signs no certificate, so that nobody can be led
 * astray elsewhere with one.
 */
export function isSiteName(name: string): boolean {
  return /^[a-z0-9-]+$|\.(local|lan|internal|home\.arpa)$/i.test(name);
}

const pem = (what: string) =>
  z
    .string()
    .max(16_000)
    .regex(new RegExp(`^-----BEGIN ${what}-----`));
export const certificateRequest = z.strictObject({
  schema: z.literal(1),
  center: slug,
  site: slug,
  box: slug,
  key: publicKeyText,
  /** PKCS #10 over the key of the page. */
  csr: pem('CERTIFICATE REQUEST'),
  ts: utc,
});
export type CertificateRequest = z.infer<typeof certificateRequest>;
export const certificateAnswer = z.object({
  schema: z.literal(1),
  key: publicKeyText,
  certificate: pem('CERTIFICATE'),
  /** The authority that signed it; technicians put it into their browsers. */
  ca: pem('CERTIFICATE'),
  ts: utc,
});
export type CertificateAnswer = z.infer<typeof certificateAnswer>;

/** Signed by the key that gives way. */
export const ROTATION_TYPE = 'bluelight-key-rotation+jws';
export const rotation = z.strictObject({
  schema: z.literal(1),
  role: z.enum(['box', 'center']),
  site: slug,
  box: slug,
  from: publicKeyText,
  to: publicKeyText,
  at: utc,
});

/** The center lets go of a box: it stops obeying and sharing at once. */
export const REVOCATION_TYPE = 'bluelight-revocation+jws';
export const revocation = z.strictObject({
  schema: z.literal(1),
  /** So that one that was obeyed does not end a later claim. */
  id: ulidText,
  site: slug,
  box: slug,
  reason: z.string().min(1).max(300),
  at: utc,
});
export type Revocation = z.infer<typeof revocation>;

const statement = z.string().max(4_000);
/**
 * On the topic `enrolment`, retained, or brought as a file: every change of the center's key since the box was
 * claimed, oldest first, and whether it was let go. Each part is signed; the whole needs no signature.
 */
export const enrolmentMessage = z.strictObject({
  schema: z.literal(1),
  rotations: z.array(statement).max(100),
  revocation: statement.nullable(),
});
export type EnrolmentMessage = z.infer<typeof enrolmentMessage>;

/** Bodies of the two POSTs and of their answers. */
export const enrolBody = z.strictObject({ request: z.string().max(64_000) });
export const enrolReply = z.object({ answer: z.string().max(256_000) });

/** SHA-256 of a raw public key, 64 hexadecimal digits. */
export function fullFingerprint(key: string): string {
  return createHash('sha256').update(Buffer.from(key, 'base64url')).digest('hex');
}

/** What two people compare over the phone: 5 groups of 4 hexadecimal digits. */
export function keyFingerprint(key: string): string {
  return groups(fullFingerprint(key));
}

export function groups(fingerprint: string): string {
  return fingerprint.slice(0, 20).toUpperCase().match(/.{4}/g)!.join(' ');
}

/** A fingerprint as somebody typed it. Null: not one. */
export function readFingerprint(typed: string): string | null {
  const read = fingerprintText.safeParse(typed.toLowerCase().replace(/[\s:.-]/g, ''));
  return read.success ? read.data : null;
}

const QR = 'bluelight:claim?';

/** The text of the QR code: short, so that a phone reads it from a dim screen. */
export function claimQr(ticket: ClaimTicket): string {
  const { address: a, fingerprint: k, secret: s, expiresAt } = ticket;
  return QR + new URLSearchParams({ a, k, s, ...(expiresAt === undefined ? {} : { e: expiresAt }) }).toString();
}

/** @throws BluelightError CLAIM_INVALID */
export function readClaimQr(text: string): ClaimTicket {
  const trimmed = text.trim();
  const query = new URLSearchParams(trimmed.startsWith(QR) ? trimmed.slice(QR.length) : '');
  const [address, fingerprint, secret, expiresAt] = ['a', 'k', 's', 'e'].map((name) => query.get(name) ?? undefined);
  const read = claimTicket.safeParse({
    address,
    fingerprint,
    secret,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  });
  if (read.success) return read.data;
  throw new BluelightError('CLAIM_INVALID', 'this is not the text of a claim code', {
    fix: 'scan the code of the center again; it begins with "bluelight:claim"',
  });
}
