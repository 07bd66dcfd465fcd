import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import type { JobMessage } from '../contract/commands.js';
import type { PolicyReported, topics } from '../contract/messages.js';
import { toUtc } from '../contract/primitives.js';
import type { ReportsPort } from './ports.js';
import type { Session } from './session.js';

const DAY_S = 86_400;
const OPEN: readonly JobMessage['state'][] = ['QUEUED', 'IN_PROGRESS'];
/** The farewell of the session has its own deadline; what a broker will not let us clear must not use it up. */
const CLEAR_MS = 1_500;

/**
 * What the center can read at any time: the terms in force, and how jobs ended. The end of a job stays with the broker
 * for a day (MQTT v5 §3.3.2.3.3 lets it forget by itself), so that a center that was away hears of it.
 */
export class CenterReports {
  readonly #clock: Clock;
  readonly #topics: ReturnType<typeof topics>;
  readonly #port: ReportsPort;
  /** Ends that the broker has taken since the agent started. */
  readonly #told = new Set<string>();

  constructor(clock: Clock, names: ReturnType<typeof topics>, port: ReportsPort) {
    this.#clock = clock;
    this.#topics = names;
    this.#port = port;
  }

  /** Everything that may have changed while there was no connection. */
  async birth(session: Session): Promise<void> {
    await this.policy(session);
    const since = toUtc(this.#clock.now() - DAY_S * 1000);
    const jobs = (await this.#port.jobs()).filter(
      (job) => isOpen(job) || (job.ts > since && !this.#told.has(job.jobId)),
    );
    for (const job of jobs.reverse()) await this.job(session, job);
  }

  async policy(session: Session): Promise<void> {
    const report: PolicyReported = { schema: 1, ts: toUtc(this.#clock.now()), ...this.#port.policy() };
    await session.publish(this.#topics.policyReported, JSON.stringify(report), { qos: 1, retain: true });
  }

  async job(session: Session, job: JobMessage): Promise<void> {
    const topic = this.#topics.job(job.jobId);
    const ended = !isOpen(job);
    await session.publish(topic, JSON.stringify(job), { qos: 1, retain: ended, expiryS: ended ? DAY_S : undefined });
    if (ended) this.#told.add(job.jobId);
  }

  /** Takes back what the broker keeps of this box, also what the center left there for it. */
  async clear(session: Session): Promise<void> {
    const { policyReported, policyProposed, operators, job } = this.#topics;
    const ended = (await this.#port.jobs()).filter((one) => !isOpen(one)).map((one) => job(one.jobId));
    // A retained message of no length clears what the broker keeps (MQTT v5 §3.3.1.3).
    const clear = (topic: string): Promise<void> => session.publish(topic, '', { qos: 1, retain: true });
    await Promise.all([policyReported, ...ended].map(clear));
    // The center's own; whether a box may write there is for its broker to say.
    const late = (): Error => new BluelightError('CENTER_SLOW', "the center's own messages were not cleared in time");
    const foreign = Promise.allSettled([operators, policyProposed].map(clear));
    await Promise.allSettled([withDeadline(this.#clock, CLEAR_MS, foreign, late)]);
  }
}

function isOpen(job: JobMessage): boolean {
  return OPEN.includes(job.state);
}
