import type { Clock } from '../base/clock.js';
import type { GrantKind } from '../contract/grant.js';
import type { AccessRequest, Decision } from '../contract/policy.js';
import type { TimeRange } from '../contract/primitives.js';

const LOCAL_MS = 5 * 60_000;
const AGENT_MS = 60 * 60_000;
const MOST = 2_000;
/** Lists and marks without pictures: their range moves on with the clock while a page stays open. */
const MARKS: readonly GrantKind[] = ['timeline', 'motion', 'clip'];

interface Row {
  id: string;
  range: TimeRange;
  untilMono: number;
}

/**
 * One row of the audit log for what a page asks again every few seconds: the same person, door, kind, camera and
 * reason within 5 minutes, for footage that the row already names. The same for the agent's own refusals within an
 * hour. Requests of operators always have their own row.
 */
export class Repeats {
  readonly #clock: Clock;
  readonly #rows = new Map<string, Row>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Audit id of the row that already tells this; null: it needs its own. */
  find(request: AccessRequest, answer: Decision): string | null {
    const key = keyOf(request, answer);
    const row = key === null ? undefined : this.#rows.get(key);
    if (row === undefined || this.#clock.monotonic() >= row.untilMono) return null;
    if (request.party.kind === 'agent') return row.id;
    const slack = MARKS.includes(request.kind) ? LOCAL_MS : 0;
    const told = request.range.fromMs >= row.range.fromMs && request.range.toMs <= row.range.toMs + slack;
    return told ? row.id : null;
  }

  add(request: AccessRequest, answer: Decision, id: string): void {
    const key = keyOf(request, answer);
    if (key === null) return;
    const forMs = request.party.kind === 'agent' ? AGENT_MS : LOCAL_MS;
    this.#rows.delete(key);
    this.#rows.set(key, { id, range: { ...request.range }, untilMono: this.#clock.monotonic() + forMs });
    if (this.#rows.size > MOST) this.#rows.delete(this.#rows.keys().next().value!);
  }

  clear(): void {
    this.#rows.clear();
  }
}

function keyOf(request: AccessRequest, answer: Decision): string | null {
  const { party } = request;
  if (party.kind === 'operator' || (party.kind === 'agent' && answer.allow)) return null;
  const who = party.kind === 'agent' ? ['agent'] : [party.role, party.name, request.reason, request.case];
  return JSON.stringify([
    ...who,
    request.door,
    request.sends === true,
    request.kind,
    request.camera,
    answer.allow || answer.code,
  ]);
}
