import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import type { Grant, GrantKind } from '../contract/grant.js';
import type { Gate } from './gate.js';

const DENIALS = new Set([
  'POLICY_DENIED',
  'OUTSIDE_HOURS',
  'PAUSED_BY_OWNER',
  'OWNER_APPROVAL_REQUIRED',
  'NOT_ENROLLED',
]);
const HOUR_MS = 3_600_000;

/**
 * Marks that the agent reports as they come (motion, sightings) tell when somebody was there, so they need the gate
 * too: one grant per camera and kind, asked again when it ends, instead of a row in the audit log for every event.
 */
export class Reports {
  readonly #gate: Pick<Gate, 'authorise'>;
  readonly #clock: Clock;
  readonly #grants = new Map<string, Grant>();

  constructor(gate: Pick<Gate, 'authorise'>, clock: Clock) {
    this.#gate = gate;
    this.#clock = clock;
  }

  /** Whether a mark of this camera may leave now. */
  async may(camera: string, kind: GrantKind): Promise<boolean> {
    const key = `${kind} ${camera}`;
    const held = this.#grants.get(key);
    if (held !== undefined && !held.signal.aborted && this.#clock.monotonic() < held.expiresAtMono) return true;
    this.#grants.delete(key);
    const now = this.#clock.now();
    try {
      const grant = await this.#gate.authorise({
        party: { kind: 'agent' },
        door: 'auto',
        kind,
        camera,
        range: { fromMs: now, toMs: now + HOUR_MS },
        reason: `${kind} reported as it happens`,
      });
      this.#grants.set(key, grant);
      return true;
    } catch (error) {
      if (error instanceof BluelightError && DENIALS.has(error.code)) return false;
      throw error;
    }
  }
}
