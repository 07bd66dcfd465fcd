import Database from 'better-sqlite3';
import { join } from 'node:path';
import { ulid } from '../../../../src/base/ids.js';
import { StateDb } from '../../../../src/store/state-db.js';

/** What state.db acknowledged last. */
export interface StateAck {
  event: number;
  audit: { seq: number; link: string };
}

const STREAM = 'events';
/** The center empties the outbox from time to time. */
const WAITING = 200;

const fileOf = (directory: string): string => join(`${directory}-state`, 'state.db');

/** state.db beside the ring, on the same disk: one event for the center and one row of the audit log at each step. */
export class StateLoad {
  readonly #db: StateDb;
  #first = 1;

  constructor(directory: string) {
    this.#db = new StateDb({ path: fileOf(directory), alone: true });
  }

  /** @throws what SQLite says; nothing is acknowledged then */
  step(nowMs: number): StateAck {
    const { outbox, audit } = this.#db.tables;
    const id = ulid(nowMs);
    const event = outbox.append({ stream: STREAM, id, class: 'normal', type: 'load', timeMs: nowMs, data: { nowMs } })!;
    if (event - this.#first > WAITING) outbox.ack({ [STREAM]: (this.#first = event - 1) });
    const note = { party: 'load', door: 'local', action: 'view', reason: 'load' };
    const row = audit.append({ id, atMs: nowMs, kind: 'access', outcome: 'granted', ...note });
    return { event, audit: { seq: row.seq, link: row.link } };
  }
}

/** What is wrong with the state.db that was left behind. */
export function inspectState(directory: string, said: StateAck | undefined): string[] {
  const problems: string[] = [];
  const state = new StateDb({ path: fileOf(directory), alone: true });
  const { outbox, audit } = state.tables;
  const loss = state.tables.state.loss();
  if (loss !== null) problems.push(`state.db was lost: ${JSON.stringify(loss)}`);
  if (said !== undefined) {
    const waiting = outbox.next({ after: {}, limit: 10 * WAITING }).map((entry) => entry.sequence);
    const newest = Math.max(outbox.acked()[STREAM] ?? 0, ...waiting);
    if (newest < said.event) problems.push(`event ${said.event} was acknowledged, the newest is ${newest}`);
    if (waiting.some((sequence, i) => sequence !== waiting[0]! + i)) problems.push('the events have a hole');
    const [row] = audit.after({ seq: said.audit.seq - 1, limit: 1 });
    if (row?.link !== said.audit.link)
      problems.push(`row ${said.audit.seq} of the audit log was acknowledged and is gone`);
  }
  state.close();
  const db = new Database(fileOf(directory), { readonly: true });
  const integrity = String(db.pragma('integrity_check', { simple: true }));
  db.close();
  if (integrity !== 'ok') problems.push(`integrity of state.db: ${integrity}`);
  return problems;
}
