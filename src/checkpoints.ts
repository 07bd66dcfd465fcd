import { z } from 'zod';
import type { Clock } from './base/clock.js';
import { errorCode, errorMessage } from './base/errors.js';
import type { Log } from './base/log.js';
import type { Remote } from './base/rpc.js';
import { checkpoint as checkpointSchema, type Checkpoint, type Envelope } from './contract/evidence.js';
import type { TableCalls } from './store/calls.js';
import type { RingApi } from './threads.js';

export interface CheckpointsOptions {
  clock: Clock;
  log: Log;
  everyMs: number;
  ring: Pick<Remote<RingApi>, 'checkpoint' | 'checkpointsAfter'>;
  tables: Pick<TableCalls, 'kv' | 'audit'>;
  /** Null: the box is nobody's yet, and nobody can be told. */
  place: () => { site: string; box: string } | null;
  /** Durable when it resolves; false: no room for it now. */
  send: (checkpoint: Envelope) => Promise<boolean>;
  /** A new one was made. */
  onMade: () => Promise<void>;
}

/** A ring that just opens, or whose disk is away, is asked again after this. */
const TICK_MS = 2_000;
const AT_ONCE = 50;
const QUEUED = 'checkpoint.queued';
const queuedSchema = z.object({ disk: z.string(), n: z.number() });
/** As long as the box is nobody's. */
const NOWHERE = { site: 'unclaimed', box: 'unclaimed' };

/**
 * Every five minutes, and at a clean stop, the ring signs the heads of all chains, and the center gets what was signed:
 * what it holds nobody can take back, not even whoever has the box and its key. The ring commits a checkpoint before
 * anybody hears of it; what a power cut or a full outbox kept from the center goes out with the next one.
 */
export class Checkpoints {
  readonly #o: CheckpointsOptions;
  #dueMono = 0;
  #stop: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #complained = false;

  constructor(options: CheckpointsOptions) {
    this.#o = options;
  }

  start(): void {
    this.#stop = this.#o.clock.every(TICK_MS, () => {
      if (this.#o.clock.monotonic() >= this.#dueMono) return this.#once();
    });
  }

  /** Makes the last one: to be called when the last segments are closed. */
  async stop(): Promise<void> {
    this.#stop?.();
    await this.#running;
    await this.#once();
  }

  /** One at a time: two that overlap would send their numbers twice. */
  async #once(): Promise<void> {
    this.#running ??= this.#make().finally(() => (this.#running = undefined));
    await this.#running;
  }

  async #make(): Promise<void> {
    const { clock, log, everyMs, ring, tables, place, onMade } = this.#o;
    try {
      const { link } = await tables.audit.head();
      const made = await ring.checkpoint({ ...(place() ?? NOWHERE), audit: link });
      this.#dueMono = clock.monotonic() + everyMs;
      this.#complained = false;
      await this.#sendNew(contentOf(made).disk);
      await onMade();
    } catch (error) {
      if (this.#complained) return;
      this.#complained = true;
      log.warn({ code: errorCode(error), error: errorMessage(error) }, 'no checkpoint of the recordings could be made');
    }
  }

  /** Everything that the outbox never took, in order. */
  async #sendNew(disk: string): Promise<void> {
    const { ring, tables } = this.#o;
    const kept = queuedSchema.safeParse(await tables.kv.get(QUEUED));
    // Another disk counts from 1.
    let after = kept.success && kept.data.disk === disk ? kept.data.n : 0;
    for (;;) {
      const envelopes = await ring.checkpointsAfter({ n: after, limit: AT_ONCE });
      const taken = await this.#sendAll(envelopes);
      if (taken === 0) return;
      after = contentOf(envelopes[taken - 1]!).n;
      await tables.kv.put({ key: QUEUED, value: { disk, n: after } });
    }
  }

  /** How many of them need not be sent again. */
  async #sendAll(envelopes: readonly Envelope[]): Promise<number> {
    const here = this.#o.place();
    if (here === null) return 0;
    for (const [i, envelope] of envelopes.entries()) {
      const { site, box } = contentOf(envelope);
      // What was signed before this claim is none of this center's business.
      if (site === here.site && box === here.box && !(await this.#o.send(envelope))) return i;
    }
    return envelopes.length;
  }
}

function contentOf(envelope: Envelope): Checkpoint {
  return checkpointSchema.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8')));
}
