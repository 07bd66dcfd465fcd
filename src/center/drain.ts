import type { Clock } from '../base/clock.js';
import { isAbort } from '../base/errors.js';
import type { EventEnvelope } from '../contract/messages.js';
import { toUtc } from '../contract/primitives.js';
import type { OutboxEntry } from '../store/outbox.js';
import type { OutboxPort } from './ports.js';

export interface DrainOptions {
  clock: Clock;
  outbox: OutboxPort;
  source: string;
  publish: (envelope: EventEnvelope) => Promise<void>;
  /** Highest sequence ever sent per stream in the life of the process. */
  sent: Map<string, number>;
  /** Rows sent ahead of the center's acknowledgement. */
  window: number;
  perSecond: number;
  /** Sent, not acknowledged although the center lives: sent again after this. */
  resendAfterMs: number;
}

/**
 * Sends the outbox over one connection: in order per stream, paced, with a window. What the broker has confirmed is
 * not delivered; rows leave the outbox on the center's acknowledgement alone. A new connection is a new drain, which
 * starts again at the oldest row.
 */
export class Drain {
  readonly #o: DrainOptions;
  readonly #stop = new AbortController();
  readonly #cursor = new Map<string, number>();
  readonly #acked = new Map<string, number>();
  /** Oldest row of each stream when this connection began. */
  readonly #first = new Map<string, number>();
  #wake: AbortController | undefined;
  #again = false;
  #lastProgressMono: number;

  constructor(options: DrainOptions) {
    this.#o = options;
    this.#lastProgressMono = options.clock.monotonic();
  }

  /** Runs until `stop`. Rejects when the connection or the store fails. */
  async run(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        const room = this.#o.window - this.inFlight();
        const rows = room > 0 ? await this.#o.outbox.next({ after: this.#after(), limit: Math.min(room, 50) }) : [];
        if (rows.length === 0) await this.#idle();
        else await this.#send(rows);
      }
    } catch (error) {
      if (!isAbort(error) || !this.#stop.signal.aborted) throw error;
    }
  }

  stop(): void {
    this.#stop.abort();
    this.#wake?.abort();
  }

  /** There may be something to send. */
  kick(): void {
    this.#again = true;
    this.#wake?.abort();
  }

  /** The center has everything up to these sequences, and no more than these. */
  acked(streams: Record<string, number>): void {
    const now = this.#o.clock.monotonic();
    for (const [stream, sequence] of Object.entries(streams)) {
      if (sequence <= (this.#acked.get(stream) ?? -1)) continue;
      this.#acked.set(stream, sequence);
      this.#lastProgressMono = now;
    }
    if (this.inFlight() === 0) this.#lastProgressMono = now;
    else if (now - this.#lastProgressMono >= this.#o.resendAfterMs) this.#rewind(now);
    this.kick();
  }

  /** Sent over this connection and not acknowledged yet. */
  inFlight(): number {
    let count = 0;
    for (const [stream, last] of this.#cursor) count += Math.max(0, last - this.#floor(stream));
    return count;
  }

  /** The center lives (it has just acknowledged a heartbeat) and still lacks what we sent long ago: it was lost. */
  #rewind(now: number): void {
    for (const stream of this.#cursor.keys()) this.#cursor.set(stream, this.#floor(stream));
    this.#lastProgressMono = now;
  }

  #floor(stream: string): number {
    return Math.max(this.#acked.get(stream) ?? 0, (this.#first.get(stream) ?? 1) - 1);
  }

  #after(): Record<string, number> {
    return Object.fromEntries(this.#cursor);
  }

  async #send(rows: OutboxEntry[]): Promise<void> {
    const started = this.#o.clock.monotonic();
    if (this.inFlight() === 0) this.#lastProgressMono = started;
    const confirmed = rows.map((row) => {
      const before = this.#cursor.get(row.stream);
      if (before === undefined) this.#first.set(row.stream, row.sequence);
      this.#cursor.set(row.stream, row.sequence);
      this.#o.sent.set(row.stream, Math.max(row.sequence, this.#o.sent.get(row.stream) ?? 0));
      // What the center has acknowledged is not held any more: then nothing at all lies before this row.
      const after = before !== undefined && before > this.#floor(row.stream) ? before : 0;
      return this.#o.publish(envelope(row, this.#o.source, after));
    });
    await Promise.all(confirmed);
    const due = (rows.length / this.#o.perSecond) * 1000 - (this.#o.clock.monotonic() - started);
    if (due > 0) await this.#o.clock.sleep(due, this.#stop.signal);
  }

  async #idle(): Promise<void> {
    if (this.#again) {
      this.#again = false;
      return;
    }
    this.#wake = new AbortController();
    try {
      await this.#o.clock.sleep(60_000, this.#wake.signal);
    } catch (error) {
      if (!isAbort(error)) throw error;
    } finally {
      this.#wake = undefined;
      this.#again = false;
    }
  }
}

/** CloudEvents 1.0 structured mode (spec §3.2), with our extensions `schema`, `stream`, `sequence` and `after`. */
function envelope(row: OutboxEntry, source: string, after: number): EventEnvelope {
  return {
    specversion: '1.0',
    id: row.id,
    source,
    type: row.type,
    time: toUtc(row.timeMs),
    datacontenttype: 'application/json',
    schema: 1,
    stream: row.stream,
    sequence: row.sequence,
    after,
    data: row.data,
  };
}
