import type { Clock } from '../base/clock.js';
import { ulid } from '../base/ids.js';
import type { Alarm } from '../contract/alarm.js';
import { toUtc } from '../contract/primitives.js';

/** Something that is wrong at this moment. */
export interface Fact {
  kind: string;
  onvif: string | null;
  severity: Alarm['severity'];
  camera: string | null;
  message: string;
  hint: string;
  /** Since when, ms since 1970; default: since it was first told. */
  sinceMs?: number;
  /** It must hold, or be gone, for so long before it is an alarm, or none any more. */
  raiseAfterMs: number;
  clearAfterMs: number;
  evidence?: boolean;
}

interface Entry {
  alarm: Alarm;
  /** Monotonic: since when the fact is not told any more. */
  goneMono: number | undefined;
  clearAfterMs: number;
}

export interface AlarmDeskOptions {
  clock: Clock;
  /** What an earlier life of the agent left. */
  known?: readonly Alarm[];
  onChange: (alarm: Alarm, state: 'raised' | 'cleared') => void;
}

/** What comes again so soon after it went is the same alarm, and is then slower to be taken for gone. */
const AGAIN_MS = 10 * 60_000;
const SLOWER = 4;
/** After a start nothing is taken for gone before everything could have been looked at again. */
const START_MS = 180_000;
/** Cleared alarms that are remembered. */
const MOST_CLEARED = 100;

/** Makes alarms out of facts: told again and again what is wrong, it says what begins and what ends. */
export class AlarmDesk {
  readonly #o: AlarmDeskOptions;
  readonly #pending = new Map<string, number>();
  readonly #active = new Map<string, Entry>();
  /** Newest first. */
  #cleared: Alarm[];

  constructor(options: AlarmDeskOptions) {
    this.#o = options;
    const known = options.known ?? [];
    this.#cleared = known.filter((one) => one.clearedAt !== null);
    const goneMono = options.clock.monotonic();
    for (const alarm of known) {
      if (alarm.clearedAt === null) this.#active.set(keyOf(alarm), { alarm, goneMono, clearAfterMs: START_MS });
    }
  }

  get active(): Alarm[] {
    return [...this.#active.values()].map((entry) => entry.alarm);
  }

  /** Those that hold, then those that did, newest first. */
  list(): Alarm[] {
    const byTime = (a: Alarm, b: Alarm): number => b.raisedAt.localeCompare(a.raisedAt);
    return [...this.active.sort(byTime), ...this.#cleared];
  }

  /** All that is wrong now; what is missing has ended. */
  settle(facts: readonly Fact[]): void {
    const now = this.#o.clock.monotonic();
    const told = new Set(facts.map(keyOf));
    for (const key of [...this.#pending.keys()]) if (!told.has(key)) this.#pending.delete(key);
    for (const fact of facts) this.#take(fact, now);
    for (const [key, entry] of this.#active) if (!told.has(key)) this.#leave(key, entry, now);
  }

  /** A camera that is not watched any more has no alarms. */
  forget(camera: string): void {
    for (const [key, entry] of this.#active) if (entry.alarm.camera === camera) this.#clear(key, entry);
  }

  #take(fact: Fact, now: number): void {
    const key = keyOf(fact);
    const entry = this.#active.get(key);
    if (entry !== undefined) {
      entry.goneMono = undefined;
      // It may have another cause by now, or be of an earlier life of the agent: what is told is what holds.
      entry.alarm = { ...entry.alarm, message: fact.message, hint: fact.hint };
      return;
    }
    const since = this.#pending.get(key) ?? now;
    this.#pending.set(key, since);
    if (now - since < fact.raiseAfterMs) return;
    this.#pending.delete(key);
    this.#raise(key, fact, now - since);
  }

  #raise(key: string, fact: Fact, heldMs: number): void {
    const nowMs = this.#o.clock.now();
    const before = this.#cleared.find((one) => keyOf(one) === key);
    const again = before !== undefined && nowMs - Date.parse(before.clearedAt!) < AGAIN_MS ? before : undefined;
    const { kind, onvif, severity, camera, message, hint } = fact;
    const alarm: Alarm = {
      id: again?.id ?? ulid(nowMs),
      ...{ kind, onvif, severity, camera, message, hint },
      since: again?.since ?? toUtc(fact.sinceMs ?? nowMs - heldMs),
      raisedAt: toUtc(nowMs),
      clearedAt: null,
      count: (again?.count ?? 0) + 1,
      evidence: fact.evidence ?? false,
    };
    this.#cleared = this.#cleared.filter((one) => one !== again);
    const slower = SLOWER ** Math.min(4, alarm.count - 1);
    const clearAfterMs =
      again === undefined ? fact.clearAfterMs : Math.min(AGAIN_MS, (fact.clearAfterMs + 5_000) * slower);
    this.#active.set(key, { alarm, goneMono: undefined, clearAfterMs });
    this.#o.onChange(alarm, 'raised');
  }

  #leave(key: string, entry: Entry, now: number): void {
    entry.goneMono ??= now;
    if (now - entry.goneMono >= entry.clearAfterMs) this.#clear(key, entry);
  }

  #clear(key: string, { alarm }: Entry): void {
    this.#active.delete(key);
    const cleared = { ...alarm, clearedAt: toUtc(this.#o.clock.now()) };
    this.#cleared = [cleared, ...this.#cleared].slice(0, MOST_CLEARED);
    this.#o.onChange(cleared, 'cleared');
  }
}

function keyOf(about: { kind: string; camera: string | null }): string {
  return `${about.kind} ${about.camera ?? ''}`;
}
