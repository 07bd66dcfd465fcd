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

/** Tries of one password that a device refuses; after the last of them only a person tries it again. */
const MAX_TRIES = 2;
/** More passwords than anybody tries. */
const MAX_PRINTS = 8;

/** A person who says so may try the same password once more: the account may have been switched on meanwhile. */
const MAX_TRIES_BY_PERSON = 2;

/**
 * Keeps cameras from locking us out: the first refusal of a password stops every login of ours with it, until other
 * credentials are given or the camera has surely forgotten; the second one in a row stops them until a person acts.
 */
export class LoginLedger {
  readonly #refusals = new Map<string, Refusal[]>();
  /** By device and print: refusals since a login was accepted, however long ago. */
  readonly #tried = new Map<string, Map<string, number>>();
  /** Which credentials the box has for a device. */
  readonly #current = new Map<string, string>();
  readonly #turns = new Map<string, Promise<void>>();

  constructor(
    private readonly clock: Clock,
    /** The devices of which a refusal stands are other ones now. */
    private readonly onHeld: (devices: { device: string; refusals: number }[]) => void = () => undefined,
  ) {}

  /** @throws BluelightError CAMERA_LOGIN_HELD if a login now could lock the device. */
  check(device: string, credentials: Credentials, by: 'agent' | 'person'): void {
    const recent = this.#recent(device);
    const print = loginPrint(credentials);
    if (by === 'agent' && this.#isSpent(device, print)) {
      throw held('it refused this user name and password twice', 'give the right password, or test the camera');
    }
    const same = recent.filter((refusal) => refusal.print === print);
    if (same[0] !== undefined && same.length >= (by === 'person' ? MAX_TRIES_BY_PERSON : 1)) {
      const fix = `give the right password, or wait ${this.#minutesLeft(same[0])} min`;
      throw held('it refused this user name and password', fix);
    }
    const oldest = recent[0];
    if (oldest !== undefined && recent.length >= MAX_REFUSED) {
      const fix = `check the password on the camera itself meanwhile, or wait ${this.#minutesLeft(oldest)} min`;
      throw held(`it refused ${String(recent.length)} logins`, fix);
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

  /** What was refused before the agent started. */
  restore(device: string, credentials: Credentials, refusals: number): void {
    const print = loginPrint(credentials);
    this.#count(device, print, refusals - 1);
    this.#note(device, print);
  }

  /** Another room was refused, perhaps a while ago: with which credentials says their print. */
  refusedElsewhere(device: string, print: string): void {
    // One that is known already was told to the others by whoever was refused.
    if (!this.#recent(device).some((refusal) => refusal.print === print)) this.#note(device, print);
  }

  accepted(device: string): void {
    this.#tried.delete(device);
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
    if (current !== undefined && this.#isSpent(device, current)) return true;
    if (current === undefined || recent.length >= MAX_REFUSED) return recent.length > 0;
    return recent.some((refusal) => refusal.print === current);
  }

  #note(device: string, print: string): void {
    this.#count(device, print, 1);
    this.#refusals.set(device, [...this.#recent(device), { atMono: this.clock.monotonic(), print }]);
    this.#tellHeld();
  }

  #tellHeld(): void {
    const devices = [...this.#refusals.keys()].filter((device) => this.isHeld(device));
    this.onHeld(devices.map((device) => ({ device, refusals: this.#refusalsOf(device) })));
  }

  #count(device: string, print: string, refusals: number): void {
    const tried = this.#tried.get(device) ?? new Map<string, number>();
    const times = (tried.get(print) ?? 0) + refusals;
    tried.delete(print);
    tried.set(print, times);
    if (tried.size > MAX_PRINTS) tried.delete(tried.keys().next().value!);
    this.#tried.set(device, tried);
  }

  #isSpent(device: string, print: string): boolean {
    return (this.#tried.get(device)?.get(print) ?? 0) >= MAX_TRIES;
  }

  /** Of what the box has for it, at least one. */
  #refusalsOf(device: string): number {
    return Math.max(1, this.#tried.get(device)?.get(this.#current.get(device) ?? '') ?? 1);
  }

  #recent(device: string): Refusal[] {
    const now = this.clock.monotonic();
    return (this.#refusals.get(device) ?? []).filter((refusal) => now - refusal.atMono < LOCK_MS);
  }

  #minutesLeft(refusal: Refusal): number {
    return Math.ceil((LOCK_MS - (this.clock.monotonic() - refusal.atMono)) / 60_000);
  }
}

function held(why: string, fix: string): BluelightError {
  const message = `no login to this camera now: ${why}, and more tries may lock it`;
  return new BluelightError('CAMERA_LOGIN_HELD', message, { fix });
}
