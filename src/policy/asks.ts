import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import type { GrantKind } from '../contract/grant.js';
import type { AccessRequest, Party } from '../contract/policy.js';
import type { TableCalls } from '../store/calls.js';
import type { Approval } from '../store/policies.js';
import { partyColumns } from './audit-note.js';
import type { Gate } from './gate.js';

/** No answer within this is no. */
export const ANSWER_WITHIN_MS = 24 * 3_600_000;
/** How long a yes opens what was asked. */
const APPROVED_FOR_MS = 24 * 3_600_000;
/** A live look that the owner approved. */
const LIVE_MS = 3_600_000;
/** The owner is asked for the whole segments to which the footage will be rounded out, at most. */
const ROUND_OUT_MS = 15_000;
const MOST_WAITING = 100;
const EXPIRE_EVERY_MS = 10_000;

export interface AskPorts {
  tables: Pick<TableCalls, 'approvals'>;
  gate: Gate;
  clock: Clock;
  /** A request was put before the owner: its footage must still be there when he answers. */
  onAsked?(approval: Approval): void | Promise<void>;
  /** A request was answered, or nobody answered in time. Must not wait for what the answer sets going. */
  onAnswer(approval: Approval): void | Promise<void>;
}

/** Ask mode: a request waits for the owner, who sees who asks, why, and stills of his own footage. */
export class Asks {
  readonly #ports: AskPorts;
  readonly #stop: () => void;

  constructor(ports: AskPorts) {
    this.#ports = ports;
    this.#stop = ports.clock.every(EXPIRE_EVERY_MS, () => this.expire());
  }

  close(): void {
    this.#stop();
  }

  /**
   * Puts a refused request before the owner.
   * @throws BluelightError OWNER_BUSY: so many wait that one more would drown them
   */
  async ask(request: AccessRequest, job: string | null): Promise<Approval> {
    const { tables, clock, gate } = this.#ports;
    const { party } = request;
    if (party.kind !== 'operator') {
      throw new BluelightError('POLICY_DENIED', 'only operators of the center ask the owner');
    }
    const waiting = await tables.approvals.list({ state: 'waiting', limit: MOST_WAITING });
    if (waiting.length >= MOST_WAITING) {
      throw new BluelightError('OWNER_BUSY', `${MOST_WAITING} requests wait for the owner already`, {
        fix: 'wait for the answers',
        retryable: true,
      });
    }
    const now = clock.now();
    const id = ulid(now);
    await gate.note({
      ...partyColumns(party),
      kind: 'policy',
      outcome: 'done',
      door: request.door,
      action: 'ask',
      camera: request.camera,
      reason: request.reason,
      caseNo: request.case ?? null,
      detail: { approval: id, kind: request.kind },
    });
    const [fromMs, toMs] =
      request.kind === 'live'
        ? [now, now + LIVE_MS]
        : [request.range.fromMs - ROUND_OUT_MS, request.range.toMs + ROUND_OUT_MS];
    await tables.approvals.ask({
      id,
      request: { ...request, range: { fromMs, toMs } },
      camera: request.camera,
      fromMs,
      toMs,
      kind: request.kind,
      operator: party.operator,
      agency: party.agency,
      job,
      askedMs: now,
      expiresMs: now + ANSWER_WITHIN_MS,
    });
    const approval = (await tables.approvals.get(id))!;
    await this.#ports.onAsked?.(approval);
    return approval;
  }

  waiting(): Promise<Approval[]> {
    return this.#ports.tables.approvals.list({ state: 'waiting', limit: MOST_WAITING });
  }

  /**
   * The owner answers. A yes opens exactly what was asked, for that operator, for a day.
   * @throws BluelightError ASK_UNKNOWN: answered before, or too late; FORBIDDEN: not the owner
   */
  async answer(id: string, yes: boolean, by: Party): Promise<Approval> {
    const { tables, gate, clock } = this.#ports;
    if (by.kind !== 'local' || by.role !== 'owner') {
      throw new BluelightError('FORBIDDEN', 'only the owner answers', { fix: 'log in as the owner' });
    }
    const now = clock.now();
    const state = yes ? 'approved' : 'declined';
    const expiresMs = now + APPROVED_FOR_MS;
    if (!(await tables.approvals.answer({ id, state, by: by.name, atMs: now, expiresMs }))) {
      throw new BluelightError('ASK_UNKNOWN', 'this request was answered before, or nobody answered it in time', {
        fix: 'the city can ask again',
      });
    }
    const approval = (await tables.approvals.get(id))!;
    await this.#note(approval, partyColumns(by), state);
    if (yes) {
      const { camera, operator, agency, fromMs, toMs } = approval;
      const untilMs = approval.kind === 'live' ? now + LIVE_MS : expiresMs;
      const kind = approval.kind as GrantKind;
      gate.approve({ id, camera, kind, range: { fromMs, toMs }, operator, agency, untilMs });
    }
    await this.#ports.onAnswer(approval);
    return approval;
  }

  /** Ends what nobody answered; `all`: whatever waits, as when the owner leaves. */
  async expire(all = false): Promise<void> {
    const atMs = all ? Number.MAX_SAFE_INTEGER : this.#ports.clock.now();
    const late = await this.#ports.tables.approvals.expire({ atMs });
    for (const approval of late) {
      await this.#note(approval, { party: 'agent' }, 'expired');
      await this.#ports.onAnswer(approval);
    }
  }

  #note(approval: Approval, by: { party: string }, state: string): Promise<void> {
    return this.#ports.gate.note({
      kind: 'policy',
      outcome: 'done',
      ...by,
      door: 'page',
      action: `ask.${state}`,
      camera: approval.camera,
      fromMs: approval.fromMs,
      toMs: approval.toMs,
      reason: approval.request.reason,
      caseNo: approval.request.case ?? null,
      detail: { approval: approval.id, operator: approval.operator, agency: approval.agency, kind: approval.kind },
    });
  }
}
