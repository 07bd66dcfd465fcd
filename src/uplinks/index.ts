import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ClaimFile } from '../contract/messages.js';
import type { BudgetState } from './budget.js';
import { Ledger, type LedgerPort } from './ledger.js';
import { planUpload, type LinkState, type QueuedUpload, type UploadPlan } from './plan.js';
import type { DialTarget, LinkConfig, UploadJob, UploadOutcome } from './ports.js';
import { httpAgent, LinkSockets } from './sockets.js';
import { uploadClip } from './upload.js';
import { LinkWatch, type LinkMeasure } from './watch.js';

export type { DialTarget, LinkConfig, UploadJob, UploadOutcome } from './ports.js';
export type { LedgerPort } from './ledger.js';
export { planUpload, uploadOrder, type LinkState, type QueuedUpload, type UploadPlan } from './plan.js';

export interface UplinksOptions {
  clock: Clock;
  log: Log;
  /** At least one. */
  links: readonly LinkConfig[];
  /** Where clips go; null: no center is claimed, nothing can be sent. */
  center: Pick<ClaimFile['center'], 'broker' | 'upload' | 'key' | 'ca'> | null;
  ledger: LedgerPort;
  /** Another link carries the box now. */
  onCurrent?: () => void;
  chunkBytes?: number;
  stallMs?: number;
}

/** A link as people see it. */
export interface LinkStatus extends LinkMeasure {
  id: string;
  kind: LinkConfig['kind'];
  cost: LinkConfig['cost'];
  interface: string | null;
  current: boolean;
  forMs: number;
  budget: BudgetState;
  /** Since the agent started, bytes of the sockets (TLS included, TCP and IP headers not). */
  sent: number;
  received: number;
  connections: number;
  lastError: string | null;
}

export interface Uplinks {
  /** Takes up the ledger where it was left; before the first upload. */
  open(): Promise<void>;
  /** Opens a connection to the outside over the link that carries the box now. @throws BluelightError NO_UPLINK */
  dial(target: DialTarget): Promise<Duplex>;
  /** The same over a link of one's choice. */
  connect(link: string, target: DialTarget): Promise<Duplex>;
  plan(queue: readonly QueuedUpload[]): UploadPlan;
  upload(job: UploadJob, link: string): Promise<UploadOutcome>;
  /** Writes down what moved since the last call. */
  settle(): Promise<void>;
  /** The link that carries the box now; null: none is up. */
  current(): LinkConfig | null;
  /** Measures a link now. @throws BluelightError NO_UPLINK */
  probe(link: string): Promise<LinkStatus>;
  status(): LinkStatus[];
  close(): void;
}

/** Every way out of the box. Nothing else opens an outside socket towards the center. */
export function createUplinks(options: UplinksOptions): Uplinks {
  const { clock } = options;
  const sockets = options.links.map((link) => new LinkSockets(link, clock, options.log));
  if (sockets.length === 0) {
    throw new BluelightError('NO_UPLINK', 'no uplink is configured', { fix: 'name at least one in [[uplinks.links]]' });
  }
  return new Ways(options, sockets, new Ledger({ clock, links: sockets, table: options.ledger }));
}

class Ways implements Uplinks {
  readonly #o: UplinksOptions;
  readonly #sockets: readonly LinkSockets[];
  readonly #ledger: Ledger;
  readonly #watch: LinkWatch;
  readonly #agents: Map<string, ReturnType<typeof httpAgent>>;

  constructor(options: UplinksOptions, sockets: readonly LinkSockets[], ledger: Ledger) {
    this.#o = options;
    this.#sockets = sockets;
    this.#ledger = ledger;
    const { center, clock } = options;
    const secure = center !== null && center.upload.startsWith('https:');
    this.#agents = new Map(sockets.map((one) => [one.link.id, httpAgent(one, secure, center?.ca)]));
    this.#watch = new LinkWatch({
      clock,
      log: options.log,
      links: sockets,
      targets: center === null ? [] : [center.broker, center.upload].map((url) => probeTarget(url, center.ca)),
      onCurrent: () => options.onCurrent?.(),
    });
  }

  open(): Promise<void> {
    return this.#ledger.open();
  }

  async dial(target: DialTarget): Promise<Duplex> {
    const link = this.#watch.current;
    if (link === null) throw noUplink('no uplink is up');
    return this.connect(link, target);
  }

  connect(link: string, target: DialTarget): Promise<Duplex> {
    return this.#of(link).dial(target);
  }

  plan(queue: readonly QueuedUpload[]): UploadPlan {
    if (this.#o.center === null) return { do: 'wait', untilMs: null, why: 'the box is not claimed by a center' };
    const now = this.#o.clock.now();
    const budget = Object.fromEntries(this.#sockets.map((one) => [one.link.id, this.#ledger.state(one).left]));
    return planUpload(queue, this.#states(now), budget, now);
  }

  async upload(job: UploadJob, link: string): Promise<UploadOutcome> {
    const { center, clock, log } = this.#o;
    const agent = this.#agents.get(link);
    if (center === null || agent === undefined) throw noUplink(`there is no way to the center over "${link}"`);
    const sockets = this.#of(link);
    const onProgress: UploadJob['onProgress'] = async (at) => {
      await job.onProgress(at);
      const { left } = this.#ledger.state(sockets);
      if (job.budgeted && left !== null && left <= 0) {
        throw new BluelightError('BUDGET_SPENT', `the budget of ${link} is spent`, { retryable: true });
      }
    };
    const outcome = await uploadClip(
      {
        clock,
        agent,
        base: center.upload,
        centerKey: center.key,
        chunkBytes: this.#o.chunkBytes ?? 1024 * 1024,
        stallMs: this.#o.stallMs ?? 30_000,
      },
      { ...job, onProgress },
    );
    if (outcome.state !== 'failed') return outcome;
    log.warn({ clip: job.clip, link, code: outcome.code }, outcome.message);
    // Not the fault of the clip: it goes on over another link, or over this one when it is back, without a wait.
    const left = !this.#states(clock.now()).some((one) => one.id === link && one.usable);
    return outcome.retryable && left ? { state: 'stopped', why: `the link ${link} was lost` } : outcome;
  }

  settle(): Promise<void> {
    return this.#ledger.take();
  }

  current(): LinkConfig | null {
    return this.#sockets.find((one) => one.link.id === this.#watch.current)?.link ?? null;
  }

  async probe(link: string): Promise<LinkStatus> {
    this.#of(link);
    await this.#watch.probe(link);
    return this.status().find((one) => one.id === link)!;
  }

  status(): LinkStatus[] {
    return this.#sockets.map((one) => ({
      id: one.link.id,
      kind: one.link.kind,
      cost: one.link.cost,
      interface: one.link.interface,
      current: one.link.id === this.#watch.current,
      ...this.#watch.of(one.link.id),
      budget: this.#ledger.state(one),
      ...one.totals(),
      lastError: one.lastError,
    }));
  }

  close(): void {
    this.#watch.close();
    for (const agent of this.#agents.values()) agent.destroy();
    for (const one of this.#sockets) one.drop();
  }

  #states(now: number): LinkState[] {
    return this.#sockets.map(({ link }) => ({
      id: link.id,
      usable: link.id === this.#watch.current,
      cost: link.cost,
      open: withinHours(link.hours, now),
      auto: link.auto,
      originals: link.originals,
    }));
  }

  #of(link: string): LinkSockets {
    const found = this.#sockets.find((one) => one.link.id === link);
    if (found === undefined) throw noUplink(`there is no link "${link}"`);
    return found;
  }
}

/** In the time zone of the box. */
function withinHours(hours: LinkConfig['hours'], nowMs: number): boolean {
  if (hours.length === 0) return true;
  const at = new Date(nowMs);
  const minute = at.getHours() * 60 + at.getMinutes();
  return hours.some(({ fromMinute, toMinute }) =>
    fromMinute <= toMinute ? minute >= fromMinute && minute < toMinute : minute >= fromMinute || minute < toMinute,
  );
}

const PORT: Record<string, number> = { 'http:': 80, 'https:': 443, 'mqtt:': 1883, 'mqtts:': 8883 };

function probeTarget(address: string, ca: string | undefined): Omit<DialTarget, 'purpose'> {
  const url = new URL(address);
  const secure = url.protocol === 'https:' || url.protocol === 'mqtts:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (PORT[url.protocol] ?? 443) : Number(url.port);
  return { host, port, ...(secure ? { tls: { servername: host, ca } } : {}) };
}

function noUplink(message: string): BluelightError {
  return new BluelightError('NO_UPLINK', message, { fix: 'look at `bluelight uplink list`', retryable: true });
}
