import { BluelightError } from '../base/errors.js';
import { flatten, tableCalls } from './calls.js';
import { withClose, type Store } from './client.js';
import type { StateDb } from './state-db.js';

/** The same API on a database in this thread: for tests and offline commands. */
export function localStore(db: StateDb): Store {
  const calls = flatten(db.tables);
  return withClose(
    tableCalls(async (name, argument) => {
      const call = calls[name];
      if (call === undefined) throw new BluelightError('INTERNAL', `no such call: ${name}`);
      return call(argument);
    }),
    async () => db.close(),
  );
}
