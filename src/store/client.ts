import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { connect, type Api } from '../base/rpc.js';
import { tableCalls, type TableCalls } from './calls.js';
import { type StateDbOptions } from './state-db.js';

/** state.db behind promises: `store.cameras.list()`, `store.outbox.append({...})`. */
export type Store = TableCalls & {
  /** Finishes what runs, closes the file, ends the thread. */
  close(): Promise<void>;
};

export interface OpenStore extends StateDbOptions {
  clock: Clock;
  /** After this a call fails with THREAD_SLOW; what it does may still happen. */
  deadlineMs?: number;
  /** Called once if the thread dies by itself. */
  onDeath?: (error: Error) => void;
  /** Starts the thread; given by tests that run from source. */
  start?: (workerData: StateDbOptions) => Worker;
}

const DEADLINE_MS = 5_000;

/**
 * Starts the store thread and opens the database.
 * @throws BluelightError STATE_DB_CORRUPT | STATE_DB_NEWER | STATE_DB_FOREIGN | STATE_DB_UNREADABLE | THREAD_SLOW
 */
export async function openStore(options: OpenStore): Promise<Store> {
  const data: StateDbOptions = { path: options.path, outboxBytes: options.outboxBytes };
  const worker = options.start?.(data) ?? new Worker(new URL('./worker.js', import.meta.url), { workerData: data });
  const thread = connect<Api>(worker, options.clock, {
    name: 'the store',
    deadlineMs: options.deadlineMs ?? DEADLINE_MS,
  });
  let closing = false;
  const died = (error: Error): void => {
    thread.fail(error);
    if (!closing) options.onDeath?.(error);
  };
  worker.once('error', died);
  worker.once('exit', () =>
    died(new BluelightError('STORE_STOPPED', 'the store has stopped', { fix: 'restart the agent' })),
  );
  const call = (name: string, argument: unknown): Promise<unknown> => {
    const known = thread.api[name];
    return known === undefined ? Promise.reject(new BluelightError('INTERNAL', name)) : known(argument);
  };
  const close = async (): Promise<void> => {
    closing = true;
    try {
      await call('close', undefined);
    } finally {
      await worker.terminate();
    }
  };
  try {
    await call('open', undefined);
  } catch (error) {
    closing = true;
    await worker.terminate();
    throw error;
  }
  return withClose(tableCalls(call), close);
}

/** @internal */
export function withClose(calls: TableCalls, close: () => Promise<void>): Store {
  return new Proxy(calls as Store, {
    get: (target, key, receiver) => (key === 'close' ? close : (Reflect.get(target, key, receiver) as unknown)),
  });
}
