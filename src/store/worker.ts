import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { serve, type Api } from '../base/rpc.js';
import { HeldState } from './held-state.js';
import type { StateDbOptions } from './state-db.js';

/** Root of the store thread: opens state.db and answers calls, one after the other. */
if (parentPort === null) throw new BluelightError('INTERNAL', 'the store runs in a thread of its own');
const state = new HeldState(workerData as StateDbOptions, systemClock());

// Opened by a call and not at the top, so that a failure reaches the caller with its code and its fix.
const api: Api = {
  open: () => {
    for (const name of state.open()) api[name] = (argument: unknown) => state.call(name, argument);
  },
  close: () => state.close(),
};
serve(parentPort, api);
