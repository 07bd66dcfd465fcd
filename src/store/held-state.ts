import { statSync } from 'node:fs';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode } from '../base/errors.js';
import type { Api } from '../base/rpc.js';
import { flatten } from './calls.js';
import { StateDb, type StateDbOptions } from './state-db.js';

const LOOK_MS = 1_000;

/**
 * state.db on a disk that may fail: it is let go at the first error of the disk and opened anew by the next call. So a
 * failed disk can be unmounted, and everything works again as soon as the disk does. Another disk in its place is
 * refused and not written to.
 */
export class HeldState {
  readonly #options: StateDbOptions;
  readonly #clock: Clock;
  #open: { db: StateDb; calls: Api; mark: string | undefined } | undefined;
  /** Once opened, only this state is taken. */
  #known: string | undefined;
  #nextLook = 0;

  constructor(options: StateDbOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Names of the calls. @throws BluelightError as StateDb */
  open(): string[] {
    return Object.keys(this.#opened());
  }

  /** @throws BluelightError STATE_DISK_FAILED | STATE_DISK_FULL | STATE_DISK_WRONG beside what the call throws */
  call(name: string, argument: unknown): unknown {
    this.#look();
    try {
      return this.#opened()[name]!(argument);
    } catch (error) {
      if (error instanceof BluelightError) throw error;
      const code = errorCode(error) ?? '';
      if (code === 'SQLITE_FULL') throw full(error);
      if (!LOST.test(code)) throw error;
      this.#letGo();
      throw failed(code, error);
    }
  }

  close(): void {
    this.#open?.db.close();
    this.#open = undefined;
  }

  #opened(): Api {
    if (this.#open === undefined) {
      const db = new StateDb({ ...this.#options, alone: true, expect: this.#known });
      this.#open = { db, calls: flatten(db.tables), mark: markOf(this.#options.path) };
      this.#known = db.id;
    }
    return this.#open.calls;
  }

  /** A disk that was taken away takes writes on, into nothing, for as long as its files are open. */
  #look(): void {
    const now = this.#clock.monotonic();
    if (this.#open === undefined || now < this.#nextLook) return;
    this.#nextLook = now + LOOK_MS;
    if (markOf(this.#options.path) !== this.#open.mark) this.#letGo();
  }

  #letGo(): void {
    const open = this.#open;
    this.#open = undefined;
    try {
      open?.db.close();
    } catch (error) {
      // Closing wants to write what cannot be written; the files are closed all the same.
      if (!LOST.test(errorCode(error) ?? '')) throw error;
    }
  }
}

/** What SQLite and the system say of a disk that fails, is read-only or is gone. */
const LOST = /^(SQLITE_(IOERR|READONLY|CANTOPEN|PROTOCOL)|EIO$|EROFS$|ENODEV$|ENXIO$|ESTALE$)/;

/** Device and inode; undefined: it is not there, or the disk does not say. */
function markOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

function failed(code: string, cause: unknown): BluelightError {
  return new BluelightError('STATE_DISK_FAILED', `the disk with state_dir does not take or give data (${code})`, {
    fix: 'check that it is mounted and not read-only, then its cable and its health',
    retryable: true,
    cause,
  });
}

function full(cause: unknown): BluelightError {
  return new BluelightError('STATE_DISK_FULL', 'the disk with state_dir is full', {
    fix: 'delete what does not belong to the box',
    retryable: true,
    cause,
  });
}
