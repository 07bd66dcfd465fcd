import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import type { LocalRole } from '../contract/http.js';

export interface Session {
  readonly role: LocalRole;
  readonly name: string;
  readonly csrf: string;
  /** Wall clock, for show. */
  readonly expiresAtMs: number;
  /** Aborts on logout and expiry: whatever streams under this session stops. */
  readonly signal: AbortSignal;
}

interface Entry {
  session: Session;
  expiresAtMono: number;
  abort: AbortController;
}

const HOUR_MS = 3_600_000;
/** A technician's visit is over after 4 hours; owner and viewer stay logged in on their own phone. */
const LIFETIME_MS: Record<LocalRole, number> = {
  technician: 4 * HOUR_MS,
  owner: 7 * 24 * HOUR_MS,
  viewer: 24 * HOUR_MS,
};
const MOST_SESSIONS = 100;

/** In memory only, keyed by the hash of the token: a restart logs everyone out, and a memory dump shows no token. */
export class Sessions {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(who: { role: LocalRole; name: string }): { token: string; session: Session } {
    this.sweep();
    if (this.#entries.size >= MOST_SESSIONS) this.#drop(this.#entries.keys().next().value!);
    const token = randomBytes(32).toString('base64url');
    const abort = new AbortController();
    const life = LIFETIME_MS[who.role];
    const session: Session = {
      role: who.role,
      name: who.name,
      csrf: randomBytes(24).toString('base64url'),
      expiresAtMs: this.#clock.now() + life,
      signal: abort.signal,
    };
    this.#entries.set(keyOf(token), { session, expiresAtMono: this.#clock.monotonic() + life, abort });
    return { token, session };
  }

  find(token: string): Session | null {
    const entry = this.#entries.get(keyOf(token));
    if (entry === undefined) return null;
    if (this.#clock.monotonic() < entry.expiresAtMono) return entry.session;
    this.#drop(keyOf(token));
    return null;
  }

  close(token: string): void {
    this.#drop(keyOf(token));
  }

  /** Ends what has expired; called now and then, so that a stream does not outlive its session. */
  sweep(): void {
    const now = this.#clock.monotonic();
    for (const [key, entry] of this.#entries) if (now >= entry.expiresAtMono) this.#drop(key);
  }

  closeAll(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    entry?.abort.abort();
  }
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
