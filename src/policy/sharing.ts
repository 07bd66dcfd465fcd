import type { Clock } from '../base/clock.js';
import { ulid } from '../base/ids.js';
import { z } from 'zod';
import type { GrantKind } from '../contract/grant.js';
import type { TimeRange } from '../contract/primitives.js';
import type { TableCalls } from '../store/calls.js';
import type { Approved, PolicyState } from './state.js';

export type SharingTables = Pick<TableCalls, 'pauses' | 'emergencies' | 'approvals' | 'kv'>;

const ENROLMENT = 'policy.enrolment';
const TECHNICIAN = 'policy.technicianUntilMs';
const enrolment = z.enum(['none', 'pending', 'active', 'ended']);

interface Ends {
  id: string;
  range: { fromMs: number; toMs: number };
  /** Monotonic end: a jump of the wall clock does not shorten a pause that was made since the start. */
  untilMono: number;
}

/**
 * What the owner switched: enrolment, pauses, emergency windows, approvals. Every change counts in memory first and is
 * written then: a disk that hangs must not keep sharing going.
 */
export class Sharing {
  readonly #clock: Clock;
  readonly #tables: SharingTables;
  #enrolment: PolicyState['enrolment'] = 'none';
  #technicianUntilMs: number | null = null;
  #pauses: Ends[] = [];
  #emergencies: { id: string; range: TimeRange }[] = [];
  #approvals: Approved[] = [];

  constructor(clock: Clock, tables: SharingTables) {
    this.#clock = clock;
    this.#tables = tables;
  }

  async load(): Promise<void> {
    const now = this.#clock.now();
    const mono = this.#clock.monotonic();
    this.#enrolment = enrolment.catch('none').parse(await this.#tables.kv.get(ENROLMENT));
    this.#technicianUntilMs = z
      .number()
      .nullable()
      .catch(null)
      .parse(await this.#tables.kv.get(TECHNICIAN));
    this.#pauses = (await this.#tables.pauses.list({ fromMs: 0 })).map((pause) => ({
      id: pause.id,
      range: { fromMs: pause.fromMs, toMs: pause.resumedMs ?? pause.untilMs ?? Infinity },
      untilMono: pause.resumedMs === null ? mono + ((pause.untilMs ?? Infinity) - now) : mono,
    }));
    this.#emergencies = (await this.#tables.emergencies.list({ fromMs: now })).map((window) => ({
      id: window.id,
      range: { fromMs: window.openedMs, toMs: window.closedMs ?? window.untilMs },
    }));
    const approved = await this.#tables.approvals.list({ state: 'approved', limit: 1_000 });
    this.#approvals = approved
      .filter((one) => one.expiresMs > now)
      .map((one) => ({
        id: one.id,
        camera: one.camera,
        kind: one.kind as GrantKind,
        range: { fromMs: one.fromMs, toMs: one.toMs },
        operator: one.operator,
        agency: one.agency,
        untilMs: one.expiresMs,
      }));
  }

  state(clockTrusted: boolean): PolicyState {
    const mono = this.#clock.monotonic();
    return {
      enrolment: this.#enrolment,
      pauses: this.#pauses.map((pause) => pause.range),
      pausedNow: this.#pauses.some((pause) => mono < pause.untilMono),
      emergencies: this.#emergencies.map((window) => window.range),
      approvals: this.#approvals,
      clockTrusted,
      technicianUntilMs: this.#technicianUntilMs,
    };
  }

  /** Until when it is paused: null not at all, Infinity until resumed. */
  pausedUntil(): number | null {
    const now = this.#clock.now();
    const mono = this.#clock.monotonic();
    const ends = this.#pauses.filter((p) => mono < p.untilMono || (p.range.fromMs <= now && now < p.range.toMs));
    return ends.length === 0 ? null : Math.max(...ends.map((pause) => pause.range.toMs));
  }

  setEnrolment(value: PolicyState['enrolment']): Promise<void> {
    this.#enrolment = value;
    return this.#tables.kv.put({ key: ENROLMENT, value });
  }

  /** @param untilMs null: not at all any more */
  letTechnicianLook(untilMs: number | null): Promise<void> {
    this.#technicianUntilMs = untilMs;
    return this.#tables.kv.put({ key: TECHNICIAN, value: untilMs });
  }

  /** @param untilMs null: until resumed by hand */
  pause(untilMs: number | null, by: string, reason: string): Promise<void> {
    const now = this.#clock.now();
    const id = ulid(now);
    this.#pauses.push({
      id,
      range: { fromMs: now, toMs: untilMs ?? Infinity },
      untilMono: this.#clock.monotonic() + ((untilMs ?? Infinity) - now),
    });
    return this.#tables.pauses.add({ id, fromMs: now, untilMs, by, reason });
  }

  async resume(): Promise<void> {
    const now = this.#clock.now();
    // Written first: if the disk refuses, it stays paused.
    await this.#tables.pauses.resume({ atMs: now });
    const mono = this.#clock.monotonic();
    for (const pause of this.#pauses) {
      if (mono < pause.untilMono || now < pause.range.toMs) {
        pause.range.toMs = Math.min(pause.range.toMs, Math.max(now, pause.range.fromMs));
        pause.untilMono = Math.min(pause.untilMono, mono);
      }
    }
  }

  async openEmergency(untilMs: number, by: string, test: boolean): Promise<string> {
    const now = this.#clock.now();
    const id = ulid(now);
    // A test shows that the button works; it opens nothing.
    if (!test) this.#emergencies.push({ id, range: { fromMs: now, toMs: untilMs } });
    await this.#tables.emergencies.open({ id, openedMs: now, untilMs, by, test });
    return id;
  }

  closeEmergency(): Promise<number> {
    const now = this.#clock.now();
    for (const window of this.#emergencies) window.range = { ...window.range, toMs: Math.min(window.range.toMs, now) };
    return this.#tables.emergencies.close({ atMs: now });
  }

  /** An answer of the owner that was written before. */
  approve(approved: Approved): void {
    this.#approvals = [...this.#approvals.filter((one) => one.id !== approved.id), approved];
  }

  forgetApprovals(): void {
    this.#approvals = [];
  }
}
