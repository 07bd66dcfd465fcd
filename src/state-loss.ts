import { z } from 'zod';
import type { Clock } from './base/clock.js';
import { errorMessage } from './base/errors.js';
import type { Log } from './base/log.js';
import { toUtc } from './contract/primitives.js';
import type { Fact } from './health/alarms.js';
import type { Gate } from './policy/gate.js';
import type { Store } from './store/client.js';

export interface StateLossOptions {
  clock: Clock;
  log: Log;
  store: Store;
  gate: Gate;
}

const KEY = 'state.loss';
const HOUR_MS = 3_600_000;
/** Changes come in bursts. */
const QUIET_MS = 5_000;
const lossDoc = z.object({
  what: z.enum(['missing', 'damaged']),
  copyMs: z.number().nullable(),
  aside: z.string().nullable(),
  /** When it was found. */
  foundMs: z.number(),
});
type Loss = z.infer<typeof lossDoc>;

/**
 * The database of the box was lost or damaged: recording goes on with what is left, it is told loudly, and nothing is
 * shared until somebody consents anew. What the owner decided since the copy was made is not known, and it may have been
 * a no. Also keeps the copy fresh.
 */
export class StateLossWatch {
  readonly #o: StateLossOptions;
  #loss: Loss | null;
  #dirtyMono: number | undefined;
  #copiedMono: number | undefined;
  readonly #stops: (() => void)[] = [];

  private constructor(options: StateLossOptions, loss: Loss | null) {
    this.#o = options;
    this.#loss = loss;
  }

  /** Sharing has ended when this resolves: before anything could leave. */
  static async open(options: StateLossOptions): Promise<StateLossWatch> {
    const { store, clock, gate, log } = options;
    const found = await store.state.loss();
    const known = lossDoc.safeParse(await store.kv.get(KEY));
    if (found === null) return new StateLossWatch(options, known.success ? known.data : null);
    const loss: Loss = { ...found, foundMs: clock.now() };
    const watch = new StateLossWatch(options, loss);
    log.error({ ...loss }, watch.#words(loss));
    await gate.setEnrolment('ended', { kind: 'agent' }, watch.#words(loss));
    await store.kv.put({ key: KEY, value: loss });
    const note = { kind: 'box', outcome: 'failed', party: 'agent', door: 'auto', action: 'state.lost' } as const;
    await gate.note({ ...note, code: 'STATE_LOST', reason: watch.#words(loss), detail: loss });
    return watch;
  }

  start(): void {
    const { clock, gate } = this.#o;
    this.touch();
    this.#stops.push(
      gate.onChange(() => this.touch()),
      clock.every(1_000, () => this.#tick()),
    );
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** Something that must not be lost has changed. */
  touch(): void {
    this.#dirtyMono ??= this.#o.clock.monotonic();
  }

  /** From the loss until somebody consented anew. */
  get holds(): boolean {
    return this.#loss !== null;
  }

  facts(): Fact[] {
    if (this.#loss === null) return [];
    return [
      {
        kind: 'state.lost',
        onvif: null,
        severity: 'critical',
        camera: null,
        message: this.#words(this.#loss),
        hint: 'check cameras and logins, then consent to the terms anew (`bluelight policy accept`), at a site of the city claim the box anew; look at the health of the system disk',
        sinceMs: this.#loss.foundMs,
        raiseAfterMs: 0,
        clearAfterMs: 0,
      },
    ];
  }

  #words({ what, copyMs }: Loss): string {
    const rest = copyMs === null ? 'there was no copy, so it begins anew' : `its copy of ${toUtc(copyMs)} counts now`;
    return `the database of the box was ${what}: ${rest}; nothing is shared`;
  }

  async #tick(): Promise<void> {
    const { clock, gate, store, log } = this.#o;
    if (this.#loss !== null && gate.enrolment === 'active') {
      this.#loss = null;
      await store.kv.remove(KEY);
      this.touch();
    }
    const now = clock.monotonic();
    const due = this.#copiedMono === undefined || now - this.#copiedMono >= HOUR_MS;
    const quiet = this.#dirtyMono !== undefined && now - this.#dirtyMono >= QUIET_MS;
    if (!due && !quiet) return;
    this.#dirtyMono = undefined;
    this.#copiedMono = now;
    await store.state.copy().catch((error: unknown) => {
      log.warn({ reason: errorMessage(error) }, 'the copy of the database could not be made');
    });
  }
}
