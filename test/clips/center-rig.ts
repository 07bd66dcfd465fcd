import { silentLog } from '../../src/base/log.js';
import type { Center } from '../../src/center/index.js';
import type { ClaimFile } from '../../src/contract/messages.js';
import type { Signer } from '../../src/proof/keys.js';
import { startVirtualCenter, type VirtualCenter } from '../../src/sim/center/index.js';
import { until } from '../center/mosquitto.js';
import { box, newSigner, store, tempDir } from '../center/rig.js';
import { clock, fakeGate, fakeRing, type FakeGate, type FakeRing } from './rig.js';

export interface ClaimedBox {
  center: VirtualCenter;
  agent: Center;
  signer: Signer;
  state: ReturnType<typeof store>;
  claim: ClaimFile;
  ring: FakeRing;
  gate: FakeGate;
}

/** A box that a virtual center knows, with some seconds of a minute ago in its ring. */
export async function claimedBox(): Promise<ClaimedBox> {
  const center = await startVirtualCenter({ clock, log: silentLog, dir: tempDir() });
  const [signer, state, claim] = [newSigner(), store(), center.claimFile('main-st', 'box-1')];
  const agent = box(claim, state.calls, signer);
  agent.start();
  await until(() => center.boxes().some((known) => known.key === signer.keyId));
  return { center, agent, signer, state, claim, ring: fakeRing(clock.now() - 60_000), gate: fakeGate() };
}

export async function endBox({ center, agent, state }: Pick<ClaimedBox, 'center' | 'agent' | 'state'>): Promise<void> {
  await agent.stop('shutdown');
  await center.close();
  state.close();
}
