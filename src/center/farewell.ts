import type { ClaimFile } from '../contract/messages.js';
import { topics } from '../contract/messages.js';
import type { Dial } from './ports.js';
import { openSession } from './session.js';

export interface FarewellOptions {
  claim: Pick<ClaimFile, 'site' | 'box' | 'center'>;
  /** Ids of jobs whose end the broker may still keep. */
  jobs: readonly string[];
  dial: Dial;
  /** Gives the attempt up. */
  signal: AbortSignal;
}

/**
 * Takes back what the broker keeps of a box that has left: retained messages of no length (MQTT v5 §3.3.1.3), and nothing
 * else, are sent. Commands are not subscribed to, those that waited go with the session, and the will clears too.
 * @returns topics that are still there; none: it is done
 * @throws BluelightError CENTER_UNREACHABLE | CENTER_REFUSED | PUBLISH_REFUSED
 */
export async function clearRetained({ claim, jobs, dial, signal }: FarewellOptions): Promise<string[]> {
  const { site, box, center } = claim;
  const { status, info, heartbeat, policyReported, job, operators, policyProposed } = topics(site, box);
  const own = [info, heartbeat, policyReported, status];
  const ofCenter = [operators, policyProposed];
  const kept = new Set<string>();
  const session = await openSession({
    brokerUrl: center.broker,
    clientId: `bluelight-${site}-${box}`,
    username: center.username,
    password: center.password,
    ca: center.ca,
    keepaliveS: 20,
    sessionExpiryS: 0,
    willDelayS: 0,
    will: { topic: status, payload: '' },
    clean: true,
    dial,
    onMessage: (topic, payload) => void (payload.length === 0 ? kept.delete(topic) : kept.add(topic)),
    signal,
  });
  const giveUp = (): void => session.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  const clear = (topic: string): Promise<void> => session.publish(topic, '', { qos: 1, retain: true });
  try {
    for (const topic of [...own, ...jobs.map(job)]) await clear(topic);
    // What is retained comes now. Whether a box may read and write what the center left is for its broker to say.
    await Promise.allSettled([...own, job('+'), ...ofCenter].map((topic) => session.subscribe([topic])));
    await clear(status);
    await Promise.allSettled([...kept, ...ofCenter].map(clear));
    await clear(status);
    await session.end(true);
    return [...kept].filter((topic) => !ofCenter.includes(topic));
  } finally {
    signal.removeEventListener('abort', giveUp);
    session.destroy();
  }
}
