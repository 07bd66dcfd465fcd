import { readFile } from 'node:fs/promises';
import type { Clock } from '../base/clock.js';
import { billingPeriod, budgetState, type BudgetState } from './budget.js';
import { apportion, counterDelta, parseCounters, type Counter } from './counters.js';
import type { LinkSockets, ByteCount } from './sockets.js';

/** The tables that the ledger lives in. */
export interface LedgerPort {
  add(entries: { uplink: string; class: string; atMs: number; sent: number; received: number }[]): Promise<void>;
  sums(ask: { fromMs: number; toMs: number; uplink?: string }): Promise<(Counter & { uplink: string })[]>;
  /** Last counters of the kernel, by link; `boot` tells whether they still count on. */
  loadCounters(): Promise<unknown>;
  saveCounters(counters: StoredCounters): Promise<void>;
}

export interface StoredCounters {
  boot: string;
  links: Record<string, Counter>;
}

export interface LedgerOptions {
  clock: Clock;
  links: readonly LinkSockets[];
  table: LedgerPort;
  readText?: (path: string) => Promise<string>;
}

/** What headers add to the payload until the kernel's own count says it. */
const HEADERS = 1.1;

/**
 * Bytes per link, purpose and day, both directions. The total of a link with an interface is what the kernel counted
 * there, also while the agent was stopped; of a link without one, what its sockets moved.
 */
export class Ledger {
  readonly #o: LedgerOptions;
  #boot = '';
  #counters: Record<string, Counter> = {};
  /** Bytes of each link's sockets up to the last `take`. */
  readonly #taken = new Map<string, number>();
  readonly #used = new Map<string, { fromMs: number; bytes: number }>();
  /** Taken from the counters, not yet in the table: a store that fails must not lose them. */
  #unsaved: ByteCount[] = [];

  constructor(options: LedgerOptions) {
    this.#o = options;
  }

  async open(): Promise<void> {
    this.#boot = (await this.#read('/proc/sys/kernel/random/boot_id')).trim();
    const stored = (await this.#o.table.loadCounters()) as StoredCounters | null;
    const now = parseCounters(await this.#read('/proc/net/dev'));
    for (const { link } of this.#o.links) {
      const counter = now.get(link.interface ?? '');
      if (counter === undefined) continue;
      const before = stored?.links[link.id];
      // First start ever: what the interface did before is not ours to count. After a boot it counts from 0.
      if (stored === null || before === undefined) this.#counters[link.id] = counter;
      else if (stored.boot === this.#boot) this.#counters[link.id] = before;
    }
    await this.#load();
  }

  /** Takes down what moved since the last call. */
  async take(): Promise<void> {
    const now = parseCounters(await this.#read('/proc/net/dev'));
    for (const sockets of this.#o.links) {
      const { id, interface: device } = sockets.link;
      const counter = device === null ? undefined : now.get(device);
      const counts = sockets.takeCounts();
      const { sent, received } = sockets.totals();
      this.#taken.set(id, sent + received);
      if (counter === undefined) this.#unsaved.push(...counts);
      else {
        const delta = counterDelta(this.#counters[id], counter);
        this.#counters[id] = counter;
        this.#unsaved.push(...apportion(delta, counts).map((one) => ({ ...one, uplink: id })));
      }
    }
    const atMs = this.#o.clock.now();
    const entries = this.#unsaved.map((count) => ({ ...count, atMs }));
    await this.#o.table.add(entries);
    this.#unsaved = [];
    // After the entries: a power cut between the two counts a few seconds twice. A budget errs to that side.
    await this.#o.table.saveCounters({ boot: this.#boot, links: this.#counters });
    for (const { uplink, sent, received } of entries) {
      const used = this.#used.get(uplink);
      if (used !== undefined) used.bytes += sent + received;
    }
    if (this.#o.links.some(({ link }) => this.#used.get(link.id)?.fromMs !== this.#period(link.id))) await this.#load();
  }

  /** Where a link stands, what its sockets moved since the last `take` included. */
  state(sockets: LinkSockets): BudgetState {
    const { link } = sockets;
    const { sent, received } = sockets.totals();
    const since = sent + received - (this.#taken.get(link.id) ?? 0);
    const used = (this.#used.get(link.id)?.bytes ?? 0) + Math.ceil(since * HEADERS);
    return budgetState(link, used, this.#o.clock.now());
  }

  #period(id: string): number {
    const day = this.#o.links.find(({ link }) => link.id === id)?.link.budget?.billingDay ?? 1;
    return billingPeriod(day, this.#o.clock.now()).fromMs;
  }

  async #load(): Promise<void> {
    for (const { link } of this.#o.links) {
      const fromMs = this.#period(link.id);
      const sums = await this.#o.table.sums({ fromMs, toMs: this.#o.clock.now(), uplink: link.id });
      this.#used.set(link.id, { fromMs, bytes: sums.reduce((sum, one) => sum + one.sent + one.received, 0) });
    }
  }

  #read(path: string): Promise<string> {
    return (this.#o.readText ?? ((file) => readFile(file, 'utf8')))(path);
  }
}
