import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../base/clock.js';
import { errorCode, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { readTcpTable } from '../base/tcp-table.js';
import { chooseLink, probeDue, SUSPICIOUS_MS } from './link-state.js';
import type { DialTarget } from './ports.js';
import type { LinkSockets } from './sockets.js';

/** What was last measured of a link. Times in ms; null: not measured, or not there. */
export interface LinkMeasure {
  state: 'unknown' | 'up' | 'down' | 'captive';
  why: string;
  carrier: boolean | null;
  address: string | null;
  /** Of opening a connection to the center (TCP; with TLS where the center has it). */
  roundTripMs: number | null;
}

export interface WatchOptions {
  clock: Clock;
  log: Log;
  links: readonly LinkSockets[];
  /** Where reaching the center is tried, one after the other; none: every link with an address counts as up. */
  targets: readonly Omit<DialTarget, 'purpose'>[];
  /** The link that carries the box now has changed; null: none. */
  onCurrent: (link: string | null) => void;
}

interface Watched extends LinkMeasure {
  sockets: LinkSockets;
  sinceMono: number;
  probedMono: number | null;
  probing: boolean;
  failures: number;
  /** Since when what was sent is not acknowledged; null: the other side answers, or has nothing to answer. */
  silentSince: number | null;
}

const TICK_MS = 1_000;
/**
 * After a connection sent something the kernel's table is read for so long: what is not acknowledged was sent again by
 * then. Reading it costs a walk over every slot that the kernel has for connections, whether used or not.
 */
const LOOK_MS = 5_000;
/** A link that worked is down after so many failed measurements in a row; one that never did, after the first. */
const FAILURES = 2;

/** Measures the links and says which one carries the box. */
export class LinkWatch {
  readonly #o: WatchOptions;
  readonly #links: Watched[];
  readonly #stop: () => void;
  #current: string | null = null;
  /** The link that was used last: to resume on it has no hold-down. */
  #last: string | null = null;

  constructor(options: WatchOptions) {
    this.#o = options;
    const now = options.clock.monotonic();
    this.#links = options.links.map((sockets) => ({
      sockets,
      // Tried first and judged then: an agent that starts must not wait for a measurement.
      state: 'unknown',
      why: 'not measured yet',
      carrier: null,
      address: null,
      roundTripMs: null,
      sinceMono: now,
      probedMono: null,
      probing: false,
      failures: 0,
      silentSince: null,
    }));
    // The first one is told by `current`: whoever listens is still being built.
    this.#choose(false);
    this.#stop = options.clock.every(TICK_MS, () => this.#tick());
  }

  get current(): string | null {
    return this.#current;
  }

  of(id: string): LinkMeasure & { forMs: number } {
    const link = this.#links.find((one) => one.sockets.link.id === id)!;
    const { state, why, carrier, address, roundTripMs } = link;
    return { state, why, carrier, address, roundTripMs, forMs: this.#o.clock.monotonic() - link.sinceMono };
  }

  /** Measures one link now. */
  async probe(id: string): Promise<void> {
    await this.#probe(this.#links.find((one) => one.sockets.link.id === id)!);
    this.#choose();
  }

  close(): void {
    this.#stop();
  }

  async #tick(): Promise<void> {
    await Promise.all(this.#links.map((link) => this.#look(link)));
    // All are asked, also behind one that says yes: being asked is how they notice.
    const looked = this.#links.filter((link) => link.sockets.sentWithin(LOOK_MS) || link.silentSince !== null);
    const unanswered = looked.length > 0 ? await unansweredPorts() : new Set<number>();
    const now = this.#o.clock.monotonic();
    for (const link of this.#links) {
      const silent = link.sockets.localPorts().some((port) => unanswered.has(port));
      link.silentSince = silent ? (link.silentSince ?? now) : null;
    }
    for (const link of this.#links) {
      if (link.probing || link.carrier === false || link.address === null) continue;
      const due = probeDue({
        cost: link.sockets.link.cost,
        up: link.state === 'up' || link.state === 'unknown',
        probed: link.probedMono !== null,
        current: link.sockets.link.id === this.#current,
        sinceProbeMs: link.probedMono === null ? Infinity : now - link.probedMono,
        silentMs: silentMs(link, now),
        failed: link.failures > 0,
      });
      // Not waited for: a link that does not answer must not delay the look at the others.
      if (due) void this.#probe(link).then(() => this.#choose());
    }
    this.#choose();
  }

  /** Carrier and address, from the kernel. */
  async #look(link: Watched): Promise<void> {
    const name = link.sockets.link.interface;
    const all = networkInterfaces();
    const list = name === null ? Object.values(all).flatMap((one) => one ?? []) : (all[name] ?? []);
    const usable = list.filter((one) => !one.address.startsWith('fe80:') && (name !== null || !one.internal));
    link.address = usable[0]?.address ?? (name === null ? '127.0.0.1' : null);
    link.carrier = name === null ? null : await hasCarrier(name);
    if (link.carrier === false || link.address === null) {
      this.#set(link, 'down', link.carrier === false ? 'there is no carrier' : 'there is no address');
      link.failures = FAILURES;
    } else if (link.state === 'down' && /carrier|no address/.test(link.why)) {
      // It is back: to be measured at once.
      link.probedMono = null;
    }
  }

  async #probe(link: Watched): Promise<void> {
    const { clock } = this.#o;
    link.probing = true;
    const started = clock.monotonic();
    // A link under suspicion is judged fast: its packets were not answered for seconds already.
    const withinMs = silentMs(link, started) >= SUSPICIOUS_MS ? 2_000 : 5_000;
    const tries = this.#hosts().map((target) => this.#reach(link, target, withinMs));
    const troubles = await Promise.all(tries);
    const reached = troubles.length === 0 || troubles.includes(undefined);
    if (reached) link.roundTripMs = Math.round(clock.monotonic() - started);
    this.#judge(link, reached ? undefined : troubles[0]);
    link.probing = false;
    link.probedMono = clock.monotonic();
  }

  /** Gives what went wrong. Whoever refuses was reached: the center may be ill, the link is not. */
  async #reach(link: Watched, target: Omit<DialTarget, 'purpose'>, withinMs: number): Promise<unknown> {
    try {
      (await link.sockets.dial({ ...target, purpose: 'probe' }, withinMs)).destroy();
      return undefined;
    } catch (error) {
      return refuses(error) ? undefined : error;
    }
  }

  /** One address of each host: what is tried is the way, not the service. */
  #hosts(): Omit<DialTarget, 'purpose'>[] {
    const { targets } = this.#o;
    return targets.filter((one, i) => targets.findIndex((other) => other.host === one.host) === i);
  }

  #judge(link: Watched, trouble: unknown): void {
    if (trouble === undefined) {
      link.failures = 0;
      this.#set(link, 'up', '');
      return;
    }
    link.failures++;
    // Another certificate than the center's: what answers on this link is not the center.
    const portal = errorCode(trouble) === 'LINK_TLS' && /certificate|altname/i.test(errorMessage(trouble));
    const never = link.state !== 'up';
    if (portal) this.#set(link, 'captive', errorMessage(trouble));
    else if (never || link.failures >= FAILURES) this.#set(link, 'down', errorMessage(trouble));
  }

  #set(link: Watched, state: LinkMeasure['state'], why: string): void {
    link.why = why;
    if (link.state === state) return;
    const { id } = link.sockets.link;
    this.#o.log.info({ link: id, was: link.state, state, why }, 'a link changed');
    const ended = link.state === 'up' || link.state === 'unknown';
    link.state = state;
    // One that fell silent has been gone since then.
    const now = this.#o.clock.monotonic();
    link.sinceMono = state === 'down' ? (link.silentSince ?? now) : now;
    if (ended && state !== 'up') link.sockets.drop();
  }

  #choose(tell = true): void {
    const now = this.#o.clock.monotonic();
    const facts = this.#links.map(({ sockets: { link }, state, sinceMono }) => {
      return { id: link.id, cost: link.cost, up: state === 'up' || state === 'unknown', forMs: now - sinceMono };
    });
    const chosen = chooseLink(facts, this.#last);
    if (chosen === this.#current) return;
    const left = this.#last !== null && chosen !== null && chosen !== this.#last ? this.#last : null;
    this.#current = chosen;
    if (chosen !== null) this.#last = chosen;
    // What still runs over the link that is left goes on over the new one.
    this.#links.find((one) => one.sockets.link.id === left)?.sockets.drop();
    if (tell) this.#o.onCurrent(chosen);
  }
}

function silentMs({ silentSince }: Watched, now: number): number {
  return silentSince === null ? 0 : now - silentSince;
}

/** Local ports on which the kernel sent again because nothing acknowledged it. A way that is merely slow acknowledges. */
async function unansweredPorts(): Promise<Set<number>> {
  const rows = await readTcpTable();
  return new Set(rows.filter(({ established, again }) => established && again > 0).map(({ localPort }) => localPort));
}

function refuses(error: unknown): boolean {
  return error instanceof Error && errorCode(error.cause) === 'ECONNREFUSED';
}

async function hasCarrier(name: string): Promise<boolean | null> {
  try {
    return (await readFile(`/sys/class/net/${name}/carrier`, 'utf8')).trim() === '1';
  } catch (error) {
    // sysfs refuses to tell while the interface is set down (EINVAL); it may not be there at all.
    return errorCode(error) === 'EACCES' ? null : false;
  }
}
