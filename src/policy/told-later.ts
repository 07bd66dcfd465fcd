import { z } from 'zod';
import type { Clock } from '../base/clock.js';
import type { TableCalls } from '../store/calls.js';

const KEY = 'policy.toldLater';
const kept = z.record(z.string(), z.strictObject({ fromMs: z.number(), untilMs: z.number() }));

interface Later {
  /** Wall clock: when the command was taken, and when the owner is told at the latest. */
  fromMs: number;
  untilMs: number;
  /** Monotonic end: no jump of the wall clock makes it later. */
  untilMono: number;
}

export interface ToldLaterPorts {
  clock: Clock;
  kv: Pick<TableCalls['kv'], 'get' | 'put'>;
  /** Whether times can be told at this moment. */
  clockHolds(): boolean;
  /** What the terms in force allow, ms; 0: the owner is told at once. */
  limitMs(): number;
}

/**
 * Looks of which the owner is told later because the center asked for it within his terms, by the job of their
 * command. The audit log has them at once; what he is shown leaves them out until then. Wherever it is not certain that
 * the time still runs (clock not trusted, jumped back before the look, nothing kept of it) he is told.
 */
export class ToldLater {
  readonly #ports: ToldLaterPorts;
  readonly #jobs = new Map<string, Later>();

  constructor(ports: ToldLaterPorts) {
    this.#ports = ports;
  }

  async load(): Promise<void> {
    const { clock, kv } = this.#ports;
    const now = clock.now();
    for (const [job, { fromMs, untilMs }] of Object.entries(kept.catch({}).parse(await kv.get(KEY)))) {
      // What is left of it can be no longer than all of it was.
      const leftMs = Math.min(untilMs - now, untilMs - fromMs);
      this.#jobs.set(job, { fromMs, untilMs, untilMono: clock.monotonic() + leftMs });
    }
  }

  /** On disk when it resolves. @param delayMs checked against `limitMs` before */
  add(job: string, delayMs: number): Promise<void> {
    const { clock } = this.#ports;
    const fromMs = clock.now();
    this.#jobs.set(job, { fromMs, untilMs: fromMs + delayMs, untilMono: clock.monotonic() + delayMs });
    return this.#write();
  }

  /** The owner was told otherwise, as when he is asked. */
  async remove(job: string): Promise<void> {
    if (this.#jobs.delete(job)) await this.#write();
  }

  has(job: string | null): boolean {
    return job !== null && this.jobs().includes(job);
  }

  /** Jobs of which the owner is not told yet. */
  jobs(): string[] {
    for (const [job, later] of this.#jobs) if (!this.#runs(later)) this.#jobs.delete(job);
    return [...this.#jobs.keys()];
  }

  #runs({ fromMs, untilMs, untilMono }: Later): boolean {
    const { clock, clockHolds, limitMs } = this.#ports;
    const now = clock.now();
    // The limit is that of the terms now: an owner who takes it back is told at once.
    const inTime = fromMs <= now && now < Math.min(untilMs, fromMs + limitMs());
    return inTime && clock.monotonic() < untilMono && clockHolds();
  }

  async #write(): Promise<void> {
    const value = Object.fromEntries(this.jobs().map((job) => [job, this.#times(job)]));
    await this.#ports.kv.put({ key: KEY, value });
  }

  #times(job: string): { fromMs: number; untilMs: number } {
    const { fromMs, untilMs } = this.#jobs.get(job)!;
    return { fromMs, untilMs };
  }
}
