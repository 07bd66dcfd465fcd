import type { Clock } from '../base/clock.js';

/** Cameras lock accounts for half an hour after a few refusals, and every further try prolongs it. */
const REFUSED_MS = 35 * 60_000;
/** While another stream of the camera runs with the same password, a refusal means that its connections are used up. */
export const BUSY_RETRY_MS = 5 * 60_000;
/** A camera is tried in vain twice at most, whatever its refusal is taken for. */
const MAX_BUSY = 2;

export type Refusal = 'password' | 'busy';

/**
 * Who may log in to a camera, over all its streams. Until its credentials have worked once, one login at a time;
 * the first refusal stops all of them until the credentials change (a new instance) or half an hour has passed.
 */
export class CameraLogins {
  readonly #clock: Clock;
  #proven = false;
  /** Logins without an answer yet. */
  #trying = 0;
  #live = 0;
  /** Refusals that were taken for a full camera since a login was accepted. */
  #busy = 0;
  #refusal: { at: number; detail: string } | undefined;
  #changed: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the camera refused, while logins are stopped. */
  get refusal(): string | undefined {
    return this.#refusal?.detail;
  }

  /** The camera refused somebody: no login until the credentials change or half an hour has passed. */
  refuse(detail: string): void {
    this.#refusal = { at: this.#clock.monotonic(), detail };
    this.#proven = false;
    this.#wake();
  }

  /** Resolves when a login may be tried; `waiting` is called whenever it may not yet. Rejects with AbortError. */
  async enter(signal: AbortSignal, waiting: () => void): Promise<Login> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#refusal !== undefined && this.#clock.monotonic() - this.#refusal.at >= REFUSED_MS) {
        this.#refusal = undefined;
      }
      if (this.#refusal === undefined && (this.#proven || this.#trying === 0)) break;
      waiting();
      await this.#change(signal);
    }
    this.#trying++;
    return this.#login();
  }

  #login(): Login {
    let accepted = false;
    let over = false;
    const release = (): void => {
      this.#trying--;
      this.#wake();
    };
    return {
      accepted: () => {
        if (accepted || over) return;
        accepted = true;
        this.#live++;
        this.#proven = true;
        this.#busy = 0;
        release();
      },
      refused: (detail) => {
        // Twice is no accident: the password may have been changed under the stream that still runs.
        if (this.#live > (accepted ? 1 : 0) && ++this.#busy < MAX_BUSY) return 'busy';
        this.refuse(detail);
        return 'password';
      },
      left: () => {
        if (over) return;
        over = true;
        if (!accepted) return release();
        this.#live--;
        // With nobody inside any more the password may have been changed: the next login goes first and alone.
        if (this.#live === 0) this.#proven = false;
      },
    };
  }

  /** Waits for anything that may let a login in: a change here, or the end of a refusal. */
  async #change(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    const changed = new Promise<void>((resolve) => this.#changed.push(resolve));
    const left = this.#refusal === undefined ? undefined : this.#refusal.at + REFUSED_MS - this.#clock.monotonic();
    const timer = this.#clock.sleep(left ?? REFUSED_MS, stop.signal).catch(() => undefined);
    await Promise.race([changed, timer]);
    stop.abort();
    signal.removeEventListener('abort', abort);
  }

  #wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }
}

/** One attempt. */
export interface Login {
  accepted(): void;
  /** Says whether it is the password, or a camera that is full. */
  refused(detail: string): Refusal;
  /** The session is over, however it went. */
  left(): void;
}
