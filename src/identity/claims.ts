import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import { fullFingerprint, type ClaimTicket } from '../contract/enrolment.js';
import { claimFile, type ClaimFile } from '../contract/messages.js';
import { canonicalBytes } from '../proof/canonical.js';
import { publicKeyFromText } from '../proof/keys.js';
import type { Claim, Waiting } from '../store/claims.js';
import type { TableCalls } from '../store/calls.js';

/** Everything that is needed to reach the center. */
export interface Membership {
  claim: Claim;
  /** Keys whose signature counts as the center's: the current one. */
  centerKeys: readonly string[];
  /** For the broker; null: none. */
  password: string | null;
  /** Enrolment address of the center; null: the claim came without one. */
  address: string | null;
  /** The center has not seen the secret of this claim yet: nothing is said to its broker. */
  waiting: boolean;
}

/** Binds the box to a center. A power cut leaves it bound or free, never between. */
export class Claims {
  readonly #tables: Pick<TableCalls, 'claims' | 'keys'>;
  readonly #clock: Clock;

  constructor(tables: Pick<TableCalls, 'claims' | 'keys'>, clock: Clock) {
    this.#tables = tables;
    this.#clock = clock;
  }

  /** Null: the box belongs to nobody yet. */
  async membership(): Promise<Membership | null> {
    const claim = await this.#tables.claims.current();
    if (claim === null) return null;
    const key = await this.#tables.keys.current('center');
    return {
      // The key that signed the claim may have given way to another since.
      claim: key === null ? claim : { ...claim, center: { ...claim.center, key: key.kid } },
      centerKeys: key === null ? [] : [key.kid],
      password: await this.#tables.claims.password(claim.id),
      address: await this.#tables.claims.address(),
      waiting: (await this.#tables.claims.waiting()) !== null,
    };
  }

  /** The claim whose secret the center has not seen yet; null: none. */
  waiting(): Promise<Waiting | null> {
    return this.#tables.claims.waiting();
  }

  /**
   * Takes a claim file. The claim waits (`pending`) until the center has taken its secret and has answered, see
   * `enrolled` and `confirm`.
   * @throws BluelightError CLAIM_INVALID | CLAIMED | CLAIM_USED | CLAIM_EXPIRED
   */
  async bind(data: unknown): Promise<Membership> {
    const file = readClaim(data);
    this.#refuseExpired(file.expiresAt);
    const now = this.#clock.now();
    const ticket = ticketOf(file);
    await this.#tables.claims.add({ ...this.#entry(file), ticket, atMs: now });
    return (await this.membership())!;
  }

  /**
   * Takes a QR code or a typed code, whose fingerprint a person has compared.
   * @throws BluelightError CLAIMED | CLAIM_EXPIRED
   */
  async wait(ticket: ClaimTicket): Promise<void> {
    this.#refuseExpired(ticket.expiresAt);
    await this.#tables.claims.wait({ ticket, atMs: this.#clock.now() });
  }

  /** The center took the secret; its answer is the claim. @throws BluelightError CLAIM_INVALID | KEY_USED */
  async enrolled(data: unknown): Promise<void> {
    await this.#tables.claims.enrolled(this.#entry(readClaim(data)));
  }

  /** The waiting claim comes to nothing. */
  async giveUp(why: string): Promise<void> {
    await this.#tables.claims.giveUp({ atMs: this.#clock.now(), why });
  }

  /** The center has answered for the first time: the claim is complete. */
  async confirm(id: string): Promise<void> {
    await this.#tables.claims.activate({ id, atMs: this.#clock.now() });
  }

  /**
   * Ends the membership and forgets the keys of the center.
   * @param cleared false: its broker still shows something of the box, and the login is kept to take that back
   */
  async end(why: string, cleared = true): Promise<void> {
    const claim = await this.#tables.claims.current();
    const atMs = this.#clock.now();
    if (claim !== null) await this.#tables.claims.end({ id: claim.id, atMs, why, cleared });
  }

  #entry(file: ClaimFile) {
    const now = this.#clock.now();
    const fingerprint = createHash('sha256').update(canonicalBytes(file)).digest('hex');
    return { id: ulid(now), file, fingerprint, state: 'pending' as const, atMs: now };
  }

  #refuseExpired(expiresAt: string | undefined): void {
    if (expiresAt === undefined || Date.parse(expiresAt) > this.#clock.now()) return;
    throw new BluelightError('CLAIM_EXPIRED', `this claim expired at ${expiresAt}`, {
      fix: 'ask the center for a new one; check the clock of the box if it should still be good',
    });
  }
}

/** Null: nothing is to be shown to the center, its first answer completes the claim. */
function ticketOf({ enrol, secret, expiresAt, center }: ClaimFile): ClaimTicket | null {
  if (enrol === undefined || secret === undefined) return null;
  const ticket = { address: enrol, fingerprint: fullFingerprint(center.key), secret };
  return expiresAt === undefined ? ticket : { ...ticket, expiresAt };
}

/** @throws BluelightError CLAIM_INVALID naming the path of the bad key */
export function readClaim(data: unknown): ClaimFile {
  const checked = claimFile.safeParse(data);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    throw invalid(`${issue.path.join('.') || 'the claim'}: ${issue.message}`, checked.error);
  }
  try {
    publicKeyFromText(checked.data.center.key);
  } catch (error) {
    throw invalid('center.key: not an Ed25519 public key', error);
  }
  const { broker, upload } = checked.data.center;
  if (!/^mqtts?:$/.test(new URL(broker).protocol)) throw invalid('center.broker: begins with mqtt:// or mqtts://');
  if (!/^https?:$/.test(new URL(upload).protocol)) throw invalid('center.upload: begins with http:// or https://');
  return checked.data;
}

function invalid(why: string, cause?: unknown): BluelightError {
  return new BluelightError('CLAIM_INVALID', `the claim cannot be used: ${why}`, {
    fix: 'ask the center for a new claim file',
    cause,
  });
}
