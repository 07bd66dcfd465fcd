import type { TimeRange } from './primitives.js';

declare const granted: unique symbol;

export type GrantKind = 'clip' | 'still' | 'live' | 'playback' | 'timeline' | 'export' | 'motion' | 'sighting';

/**
 * A permission given once by the gate. Only `policy/authorise` makes one, after the audit row is committed;
 * every function that reads footage for anyone outside asks for it in its signature.
 */
export interface Grant {
  readonly [granted]: true;
  /** ULID; the audit row's id. */
  readonly id: string;
  readonly camera: string;
  readonly kind: GrantKind;
  /** Rounded out to whole segments. For live: from now, open ended until `expiresAtMono`. */
  readonly range: TimeRange;
  /** `Clock.monotonic` after which it opens nothing. */
  readonly expiresAtMono: number;
  /** Aborts what runs under this grant when the policy is withdrawn. */
  readonly signal: AbortSignal;
}
