import { backoffMs } from './base/backoff.js';
import type { Clock } from './base/clock.js';
import { BluelightError, errorCode, errorMessage } from './base/errors.js';
import type { Log, Redactor } from './base/log.js';
import { clearRetained } from './center/farewell.js';
import type { BoxKey } from './identity/box-key.js';
import type { Outside } from './outside.js';
import { addToExit } from './policy/exit.js';
import { partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import type { Farewell as Left } from './store/claims.js';
import type { Store } from './store/client.js';

export interface FarewellOptions {
  clock: Clock;
  log: Log;
  redactor: Redactor;
  store: Store;
  signer: BoxKey;
  gate: Gate;
  outside: Outside;
}

const TICK_MS = 1_000;
const RETRY = { firstMs: 2_000, factor: 2, maxMs: 900_000 };
const ATTEMPT_MS = 30_000;
/** More than end in the day for which the broker keeps how they ended. */
const JOBS = 500;

/**
 * A box that left while the center's broker could not be reached takes back what the broker shows of it as soon as it can,
 * however often it is restarted meanwhile; then the login is erased and the owner gets an addendum to his receipt.
 */
export class Farewell {
  readonly #o: FarewellOptions;
  #owed = true;
  #tries = 0;
  #nextMono = 0;
  #stop = new AbortController();
  #stopTicks: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: FarewellOptions) {
    this.#o = options;
  }

  start(): void {
    this.#stopTicks = this.#o.clock.every(TICK_MS, () => (this.#running = this.#tick()));
  }

  async stop(): Promise<void> {
    this.#stopTicks();
    this.#stop.abort();
    await this.#running;
  }

  /** The box has just left. */
  left(): void {
    this.#owed = true;
    this.#tries = 0;
    this.#nextMono = 0;
  }

  async #tick(): Promise<void> {
    const { clock, log } = this.#o;
    if (!this.#owed || clock.monotonic() < this.#nextMono) return;
    try {
      await this.#attempt();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#nextMono = clock.monotonic() + backoffMs(this.#tries++, RETRY);
      log.warn({ code: errorCode(error) }, `what the center's broker shows of this box stays: ${errorMessage(error)}`);
    }
  }

  async #attempt(): Promise<void> {
    const { store, redactor } = this.#o;
    const left = await store.claims.farewell();
    if (left === null) {
      this.#owed = false;
      return;
    }
    if (left.password !== null) redactor.add(left.password);
    const kept = await this.#clear(left);
    if (kept.length > 0) {
      throw new BluelightError('RETAINED', `the broker goes on to show ${kept.join(', ')}`, { retryable: true });
    }
    await this.#told(left);
    // Last: a power cut before it does all of this again.
    await store.claims.farewellDone();
    this.#owed = false;
  }

  async #clear({ site, box, center, password }: Left): Promise<string[]> {
    const { clock, store, outside } = this.#o;
    const late = new AbortController();
    const timer = clock.sleep(ATTEMPT_MS, late.signal).then(
      () => late.abort(),
      () => undefined,
    );
    try {
      const jobs = (await store.jobs.list({ limit: JOBS })).map(({ id }) => id);
      return await clearRetained({
        claim: { site, box, center: { ...center, ...(password === null ? {} : { password }) } },
        jobs,
        dial: (target) => outside.dial(target),
        signal: AbortSignal.any([late.signal, this.#stop.signal]),
      });
    } finally {
      late.abort();
      await timer;
    }
  }

  async #told({ site, box, center, sinceMs }: Left): Promise<void> {
    const { clock, store, signer, gate, log } = this.#o;
    const ports = { tables: store, signer: () => signer, place: () => ({ site, box }), clock };
    const { id } = await addToExit(ports, { site, box, center: center.id, sinceMs });
    await gate.note({
      kind: 'policy',
      outcome: 'done',
      ...partyColumns({ kind: 'agent' }),
      door: 'auto',
      action: 'exit.cleared',
      reason: `nothing of this box is kept at the broker of ${center.id} any more, and the login for it is erased`,
      ref: id,
    });
    log.info({ center: center.id }, "the center's broker keeps nothing of this box any more");
  }
}
