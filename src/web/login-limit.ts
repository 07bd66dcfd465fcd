import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode } from '../base/errors.js';
import { plainAddress } from './guard.js';

interface Failures {
  count: number;
  /** `Clock.monotonic` until which nothing is tried. */
  lockedUntil: number;
}

/** Tries before an address has to wait; then 30 s, doubling up to 15 minutes. */
const FREE_TRIES = 5;
const FIRST_LOCK_MS = 30_000;
const LONGEST_LOCK_MS = 15 * 60_000;
const MOST_ADDRESSES = 1_000;
/** Of all addresses together, so that many addresses do not help a guesser. */
const ALL_FAILURES_PER_MINUTE = 60;
/** Password hashes are slow on purpose: more at once would take the processor from recording. */
const AT_ONCE = 2;

/** Slows down guessing. Counts failures only; a success clears its address. */
export class LoginLimit {
  readonly #clock: Clock;
  readonly #byAddress = new Map<string, Failures>();
  #recent: number[] = [];
  #running = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `verify` if this address may try now; null and a throw count as failures. */
  async attempt<T>(address: string, verify: () => Promise<T | null>): Promise<T | null> {
    const key = addressKey(address);
    this.#admit(key);
    this.#running++;
    let result: T | null = null;
    try {
      result = await verify();
      return result;
    } finally {
      this.#running--;
      if (result === null) this.#failed(key);
      else this.#byAddress.delete(key);
    }
  }

  /**
   * The same for work that checks a passphrase on its way: PASSPHRASE_WRONG is a failure, any other error is nobody's
   * guess.
   */
  async guard<T>(address: string, work: () => Promise<T> | T): Promise<T> {
    const key = addressKey(address);
    this.#admit(key);
    this.#running++;
    try {
      const result = await work();
      this.#byAddress.delete(key);
      return result;
    } catch (error) {
      if (errorCode(error) === 'PASSPHRASE_WRONG') this.#failed(key);
      throw error;
    } finally {
      this.#running--;
    }
  }

  #admit(key: string): void {
    const now = this.#clock.monotonic();
    this.#recent = this.#recent.filter((at) => at > now - 60_000);
    const wait = Math.max(
      (this.#byAddress.get(key)?.lockedUntil ?? 0) - now,
      this.#recent.length >= ALL_FAILURES_PER_MINUTE ? this.#recent[0]! + 60_000 - now : 0,
      this.#running >= AT_ONCE ? 1_000 : 0,
    );
    if (wait > 0) throw tooMany(wait);
  }

  #failed(key: string): void {
    const now = this.#clock.monotonic();
    this.#recent.push(now);
    const entry = this.#byAddress.get(key) ?? { count: 0, lockedUntil: 0 };
    entry.count++;
    const over = entry.count - FREE_TRIES;
    if (over >= 0) entry.lockedUntil = now + Math.min(LONGEST_LOCK_MS, FIRST_LOCK_MS * 2 ** Math.min(over, 20));
    // Re-inserted, so that the first of the map is the one that failed longest ago.
    this.#byAddress.delete(key);
    this.#byAddress.set(key, entry);
    if (this.#byAddress.size > MOST_ADDRESSES) this.#byAddress.delete(this.#byAddress.keys().next().value!);
  }
}

function tooMany(waitMs: number): BluelightError {
  const seconds = Math.ceil(waitMs / 1000);
  return new BluelightError(
    'RATE_LIMITED',
    `Too many wrong codes or passphrases. The next try counts in ${seconds} s.`,
    {
      fix: 'Wait, then type the code as it is written on the label or in the output of the first start, or the passphrase as its owner chose it.',
      retryable: true,
    },
  );
}

/** An IPv6 visitor owns a whole /64, so that is what counts as one address. */
function addressKey(address: string): string {
  const plain = plainAddress(address);
  return plain.includes(':') ? plain.split(':').slice(0, 4).join(':') : plain;
}
