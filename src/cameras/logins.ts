import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode } from '../base/errors.js';
import { loginPrint } from '../base/login-print.js';
import type { Credentials } from '../contract/camera.js';
import type { Login } from './driver.js';

/** Cameras lock an account for about half an hour; trying on keeps it locked. */
const LOCK_MS = 35 * 60_000;
/** Refusals of one device within that time after which even new passwords have to wait: cameras count to five or so. */
const MAX_REFUSED = 3;

interface Refusal {
  atMono: number;
  /** Which credentials were refused; never the credentials themselves. */
  print: string;
}

export interface Attempt<T> {
  /** Asked when its turn has come: whoever went before may have given others. */
  credentials: () => Promise<Credentials>;
  by: 'agent' | 'person';
  /** Calls `accepted` as soon as the device has let it in. */
  work: (login: Login) => Promise<T>;
  onRefused: (credentials: Credentials) => Promise<void>;
}

/** A person who says so may try the same password once more: the account may have been switched on meanwhile. */
const MAX_TRIES_BY_PERSON = 2;

/**
 * Keeps cameras from locking us out: the first refusal of a password stops every login of ours with it, until other
 * credentials are given or the camera has surely forgotten.
 */
export class LoginLedger {
  readonly #refusals = new Map<string, Refusal[]>();
  /** Which credentials the box has for a device. */
  readonly #current = new Map<string, string>();
  readonly #turns = new Map<string, Promise<void>>();

  constructor(
    private readonly clock: Clock,
    /** The devices of which a refusal stands are other ones now. */
    private readonly onHeld: (devices: string[]) => void = () => undefined,
  ) {}

  /** @throws BluelightError CAMERA_LOGIN_HELD if a login now could lock the device. */
  check(device: string, credentials: Credentials, by: 'agent' | 'person'): void {
    const recent = this.#recent(device);
    const print = loginPrint(credentials);
    const same = recent.filter((refusal) => refusal.print === print);
    if (same[0] !== undefined && same.length >= (by === 'person' ? MAX_TRIES_BY_PERSON : 1)) {
      throw held('it refused this user name and password', this.#minutesLeft(same[0]), 'give the right password');
    }
    const oldest = recent[0];
    if (oldest !== undefined && recent.length >= MAX_REFUSED) {
      const fix = 'check the password on the camera itself meanwhile';
      throw held(`it refused ${String(recent.length)} logins`, this.#minutesLeft(oldest), fix);
    }
  }

  /**
   * Runs what logs in, with the books kept about it. One after the other until each is let in: two that start together
   * would both be refused.
   * @throws BluelightError CAMERA_LOGIN_HELD, and what `work` throws
   */
  async run<T>(device: string, attempt: Attempt<T>): Promise<T> {
    const { by, work, onRefused } = attempt;
    const before = this.#turns.get(device);
    let release: () => void = () => undefined;
    const turn = new Promise<void>((resolve) => (release = resolve));
    this.#turns.set(device, turn);
    let credentials: Credentials | undefined;
    try {
      await before;
      credentials = await attempt.credentials();
      this.check(device, credentials, by);
      const accepted = (): void => {
        this.accepted(device);
        release();
      };
      return await work({ ...credentials, accepted });
    } catch (error) {
      if (errorCode(error) === 'CAMERA_REFUSED' && credentials !== undefined) {
        this.refused(device, credentials);
        await onRefused(credentials);
      }
      throw error;
    } finally {
      release();
      if (this.#turns.get(device) === turn) this.#turns.delete(device);
    }
  }

  refused(device: string, credentials: Credentials): void {
    this.#note(device, loginPrint(credentials));
  }

  /** Another room was refused, perhaps a while ago: with which credentials says their print. */
  refusedElsewhere(device: string, print: string): void {
    // One that is known already was told to the others by whoever was refused.
    if (!this.#recent(device).some((refusal) => refusal.print === print)) this.#note(device, print);
  }

  accepted(device: string): void {
    if (this.#refusals.delete(device)) this.#tellHeld();
  }

  /** The box logs in to this device with these from now on. */
  uses(device: string, credentials: Credentials): void {
    this.#current.set(device, loginPrint(credentials));
  }

  /** Whether logins of this device stand still: what the box has was refused, or too much of anything was. */
  isHeld(device: string): boolean {
    const recent = this.#recent(device);
    const current = this.#current.get(device);
    if (current === undefined || recent.length >= MAX_REFUSED) return recent.length > 0;
    return recent.some((refusal) => refusal.print === current);
  }

  #note(device: string, print: string): void {
    this.#refusals.set(device, [...this.#recent(device), { atMono: this.clock.monotonic(), print }]);
    this.#tellHeld();
  }

  #tellHeld(): void {
    this.onHeld([...this.#refusals.keys()].filter((device) => this.isHeld(device)));
  }

  #recent(device: string): Refusal[] {
    const now = this.clock.monotonic();
    return (this.#refusals.get(device) ?? []).filter((refusal) => now - refusal.atMono < LOCK_MS);
  }

  #minutesLeft(refusal: Refusal): number {
    return Math.ceil((LOCK_MS - (this.clock.monotonic() - refusal.atMono)) / 60_000);
  }
}

function held(why: string, minutes: number, fix: string): BluelightError {
  return new BluelightError('CAMERA_LOGIN_HELD', `no login to this camera now: ${why}, and more tries may lock it`, {
    fix: `${fix}, or wait ${String(minutes)} min`,
  });
}
