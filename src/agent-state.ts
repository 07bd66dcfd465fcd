import { join } from 'node:path';
import type { Clock } from './base/clock.js';
import type { Closing } from './base/closing.js';
import type { Log } from './base/log.js';
import { Host } from './health/host.js';
import { BoxKey } from './identity/box-key.js';
import { Claims } from './identity/claims.js';
import { Logins } from './identity/logins.js';
import type { Settings } from './settings/table.js';
import { openStore, type Store } from './store/client.js';

/** What survives a restart, and what is known of the machine. */
export interface AgentState {
  store: Store;
  signer: BoxKey;
  claims: Claims;
  logins: Logins;
  host: Host;
}

/** @param onDeath the store thread died: the agent must be started anew. */
export async function openState(
  { settings, clock, log, closing }: { settings: Settings; clock: Clock; log: Log; closing: Closing },
  onDeath: (error: Error) => void,
): Promise<AgentState> {
  const store = await openStore({ path: join(settings['state_dir'], 'state.db'), clock, onDeath });
  closing.add('the store', () => store.close());
  const signer = await BoxKey.open(store, clock);
  const host = new Host(clock, log);
  await host.start();
  closing.add('the host readings', () => host.stop());
  return { store, signer, claims: new Claims(store, clock), logins: new Logins(store, clock), host };
}
