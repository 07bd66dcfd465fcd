import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import { claimFile, type ClaimFile } from '../contract/messages.js';
import { canonicalBytes } from '../proof/canonical.js';
import { publicKeyFromText } from '../proof/keys.js';
import type { Claim } from '../store/claims.js';
import type { TableCalls } from '../store/calls.js';

/** Everything that is needed to reach the center. */
export interface Membership {
  claim: Claim;
  /** Keys whose signature counts as the center's: the current one. */
  centerKeys: readonly string[];
  /** For the broker; null: none. */
  password: string | null;
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
    return { claim, centerKeys: key === null ? [] : [key.kid], password: await this.#tables.claims.password(claim.id) };
  }

  /**
   * Takes a claim file. The claim waits (`pending`) until the center has answered, see `confirm`.
   * @throws BluelightError CLAIM_INVALID | CLAIMED | CLAIM_USED | CLAIM_EXPIRED
   */
  async bind(data: unknown): Promise<Membership> {
    const file = readClaim(data);
    const now = this.#clock.now();
    if (file.expiresAt !== undefined && Date.parse(file.expiresAt) <= now) {
      throw new BluelightError('CLAIM_EXPIRED', `this claim expired at ${file.expiresAt}`, {
        fix: 'ask the center for a new one; check the clock of the box if it should still be good',
      });
    }
    const fingerprint = createHash('sha256').update(canonicalBytes(file)).digest('hex');
    await this.#tables.claims.add({ id: ulid(now), file, fingerprint, state: 'pending', atMs: now });
    return (await this.membership())!;
  }

  /** The center has answered for the first time: the claim is complete. */
  async confirm(id: string): Promise<void> {
    await this.#tables.claims.activate({ id, atMs: this.#clock.now() });
  }

  /** Ends the membership and forgets the keys of the center. */
  async end(why: string): Promise<void> {
    const claim = await this.#tables.claims.current();
    const atMs = this.#clock.now();
    if (claim !== null) await this.#tables.claims.end({ id: claim.id, atMs, why });
  }
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

/** What two people compare over the phone: SHA-256 of the raw key, 5 groups of 4 hexadecimal digits. */
export function keyFingerprint(keyText: string): string {
  const digest = createHash('sha256').update(Buffer.from(keyText, 'base64url')).digest('hex');
  return digest.slice(0, 20).toUpperCase().match(/.{4}/g)!.join(' ');
}
