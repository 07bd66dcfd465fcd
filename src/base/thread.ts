import type { Worker } from 'node:worker_threads';
import type { Clock } from './clock.js';
import { BluelightError } from './errors.js';
import { connect, type Remote } from './rpc.js';

export interface Thread<A> {
  api: Remote<A>;
  note(name: string, value: unknown): void;
  /** Ends the thread; does not resolve while it hangs in a call of the system. */
  end(): Promise<void>;
}

/**
 * Calls into a thread that was started, and notices its death: whoever waits for it hears at once, and `onDeath` is
 * called once unless the end was asked for.
 */
export function useThread<A extends object>(
  worker: Worker,
  clock: Clock,
  options: {
    name: string;
    deadlineMs: number;
    onNote: (name: string, value: unknown) => void;
    onDeath: (error: Error) => void;
  },
): Thread<A> {
  const { name, onDeath } = options;
  const remote = connect<A>(worker, clock, options);
  const life = { over: false };
  const died = (error: Error): void => {
    remote.fail(error);
    if (life.over) return;
    life.over = true;
    onDeath(error);
  };
  worker.once('error', died);
  worker.once('exit', () =>
    died(new BluelightError('THREAD_ENDED', `${name} has ended by itself`, { fix: 'restart the agent' })),
  );
  return {
    api: remote.api,
    note: remote.note,
    async end() {
      life.over = true;
      await worker.terminate();
    },
  };
}
