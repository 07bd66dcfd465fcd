import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { PolicyDocument } from '../contract/policy.js';
import type { Envelope } from '../proof/dsse.js';
import type { StoredPolicy } from '../store/policies.js';
import type { TableCalls } from '../store/calls.js';
import { readPolicy } from './document.js';
import { openStored } from './signed.js';

export interface TermsPorts {
  /** In force because the authority signed it; null: none. */
  accepted(): Promise<StoredPolicy | null>;
  /** The public keys whose signature counts. */
  keys: Pick<TableCalls, 'keys'>['keys'];
  /** Text of the policy file; null: there is none. */
  readFile(): Promise<string | null>;
}

/** The terms in force and where they come from. */
export interface TermsInForce {
  document: PolicyDocument | null;
  source: 'signed' | 'file' | 'none';
  sha256: string | null;
  /** The document as its authority signed it. */
  signed: Envelope | null;
  /** Why the newest text is not in force; null: it is. */
  error: BluelightError | null;
}

export const NO_TERMS: TermsInForce = { document: null, source: 'none', sha256: null, signed: null, error: null };

/**
 * Reads the terms anew. Signed ones count before the file, which then counts no more. A file that cannot be read leaves in force what was in
 * force; a file that is gone ends sharing.
 */
export async function readTerms(ports: TermsPorts, before: TermsInForce): Promise<TermsInForce> {
  try {
    const signed = await ports.accepted();
    if (signed !== null) {
      const read = await openStored(signed, ports.keys);
      return { document: read.document, source: 'signed', sha256: read.sha256, signed: read.envelope, error: null };
    }
    const text = await ports.readFile();
    if (text === null) return NO_TERMS;
    const read = readPolicy(text, 'the policy file');
    return { document: read.document, source: 'file', sha256: read.sha256, signed: null, error: null };
  } catch (error) {
    const wrong = asBluelight(error);
    // Terms without a good signature were put there by somebody else: that is no slip to be patient with.
    return wrong.code === 'POLICY_UNSIGNED' ? { ...NO_TERMS, error: wrong } : { ...before, error: wrong };
  }
}

function asBluelight(error: unknown): BluelightError {
  if (error instanceof BluelightError) return error;
  return new BluelightError('POLICY_UNREADABLE', `the policy file cannot be read: ${errorMessage(error)}`, {
    fix: 'check the path policy.file and its permissions',
    cause: error,
  });
}

/** How long a clock that was trusted a moment ago may still be relied on, monotonic. */
const CLOCK_LEASE_MS = 60 * 60_000;

/** More than this between wall and monotonic clock since the clock was trusted is a step. */
const STEP_MS = 2_000;

/**
 * Whether hours and ends can be told. Trust is lent for an hour, so that a short loss of time sources ends nothing; a
 * clock that was stepped meanwhile is another clock, and nothing is lent to it.
 */
export class ClockLease {
  readonly #clock: Clock;
  readonly #trusted: () => boolean;
  #trustedAt: { mono: number; wall: number } | null = null;

  constructor(clock: Clock, trusted: () => boolean) {
    this.#clock = clock;
    this.#trusted = trusted;
  }

  holds(): boolean {
    const mono = this.#clock.monotonic();
    const wall = this.#clock.now();
    if (this.#trusted()) this.#trustedAt = { mono, wall };
    if (this.#trustedAt === null) return false;
    const ran = mono - this.#trustedAt.mono;
    return ran < CLOCK_LEASE_MS && Math.abs(wall - this.#trustedAt.wall - ran) <= STEP_MS;
  }
}
