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
/** How long somebody stays logged in: a technician for a visit, owner and viewer on their own phone. */
export type Lifetimes = Record<LocalRole, number>;
export const LIFETIMES_MS: Lifetimes = { technician: 4 * HOUR_MS, owner: 7 * 24 * HOUR_MS, viewer: 24 * HOUR_MS };
const MOST_SESSIONS = 100;

/** In memory only, keyed by the hash of the token: a restart logs everyone out, and a memory dump shows no token. */
export class Sessions {
  readonly #clock: Clock;
  readonly #lifetimes: Lifetimes;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, lifetimes: Lifetimes = LIFETIMES_MS) {
    this.#clock = clock;
    this.#lifetimes = lifetimes;
  }

  /** @param who.expiresMs wall clock at which the code itself runs out; the session does not outlive it */
  open(who: { role: LocalRole; name: string; expiresMs?: number | null }): { token: string; session: Session } {
    this.sweep();
    if (this.#entries.size >= MOST_SESSIONS) this.#drop(this.#entries.keys().next().value!);
    const token = randomBytes(32).toString('base64url');
    const abort = new AbortController();
    const left = (who.expiresMs ?? Infinity) - this.#clock.now();
    const life = Math.max(0, Math.min(this.#lifetimes[who.role], left));
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

  /** Ends every session of this login: its code or password is another one, or it is gone. */
  endOf(name: string): void {
    for (const [key, { session }] of this.#entries) if (session.name === name) this.#drop(key);
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
