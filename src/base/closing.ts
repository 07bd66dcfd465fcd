import { withDeadline, type Clock } from './clock.js';
import { BluelightError, toErrorData } from './errors.js';
import type { Log } from './log.js';

/** So long one step may take; a service manager that kills after 20 s still sees the later ones done. */
const STEP_MS = 6_000;

/**
 * What was opened, to be closed in reverse order: at the stop, and when the start fails half way. A step that fails
 * or hangs (a thread on a dead disk) does not keep the others from theirs.
 */
export class Closing {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #steps: { name: string; close: () => unknown }[] = [];

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  add(name: string, close: () => unknown): void {
    this.#steps.push({ name, close });
  }

  /** Names of the steps that still hang: what they hold goes with the process only. */
  async run(): Promise<string[]> {
    const hung: string[] = [];
    for (const { name, close } of this.#steps.splice(0).reverse()) {
      const late = (): Error => new BluelightError('CLOSE_HANGS', `${name} did not end within ${STEP_MS / 1000} s`);
      try {
        await withDeadline(this.#clock, STEP_MS, Promise.resolve().then(close), late);
      } catch (error) {
        const { code, message } = toErrorData(error);
        if (code === 'CLOSE_HANGS') hung.push(name);
        this.#log.error({ code, step: name }, message);
      }
    }
    return hung;
  }
}
