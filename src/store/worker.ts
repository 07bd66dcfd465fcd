import { parentPort, workerData } from 'node:worker_threads';
import { BluelightError } from '../base/errors.js';
import { serve, type Api } from '../base/rpc.js';
import { StateDb, type StateDbOptions } from './state-db.js';
import { flatten } from './calls.js';

/** Root of the store thread: opens state.db and answers calls, one after the other. */
if (parentPort === null) throw new BluelightError('INTERNAL', 'the store runs in a thread of its own');
const options = workerData as StateDbOptions;
/** Filled by the first call. */
const state: { db?: StateDb } = {};

// Opened by a call and not at the top, so that a failure reaches the caller with its code and its fix.
const api: Api = {
  open: () => {
    state.db ??= new StateDb(options);
    Object.assign(api, flatten(state.db.tables));
  },
  close: () => state.db?.close(),
};
serve(parentPort, api);
