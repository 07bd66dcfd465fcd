import { BluelightError } from '../base/errors.js';
import type { AccessRequest } from '../contract/policy.js';
import type { Sql } from './sql.js';

/** One version of the owner's terms. */
export interface StoredPolicy {
  id: string;
  version: number;
  state: 'proposed' | 'accepted' | 'superseded' | 'declined';
  authority: 'owner' | 'city';
  /** The exact text that was signed. */
  document: string;
  sha256: string;
  /** DSSE envelope; null: unsigned, from the policy file. */
  envelope: unknown;
  signedBy: string | null;
  note: string;
  createdMs: number;
  decidedMs: number | null;
}

const COLUMNS = `id, version, state, authority, document, sha256, envelope, signed_by as signedBy, note,
  created_ms as createdMs, decided_ms as decidedMs`;
type Row = Omit<StoredPolicy, 'envelope'> & { envelope: string | null };

export function policiesTable(sql: Sql) {
  const accepted = (): StoredPolicy | null => {
    const row = sql.one<Row>(`select ${COLUMNS} from policies where state = 'accepted'`);
    return row === undefined ? null : toPolicy(row);
  };
  return {
    /** In force; null: nothing was ever consented to, or it was withdrawn. */
    accepted,
    /** Waiting for an answer, newest first. */
    proposed(): StoredPolicy[] {
      return sql
        .all<Row>(`select ${COLUMNS} from policies where state = 'proposed' order by created_ms desc, id desc`)
        .map(toPolicy);
    },
    history(ask: { limit: number }): StoredPolicy[] {
      return sql
        .all<Row>(`select ${COLUMNS} from policies order by created_ms desc, id desc limit :limit`, ask)
        .map(toPolicy);
    },
    propose(policy: Omit<StoredPolicy, 'state' | 'decidedMs' | 'envelope' | 'signedBy'>): void {
      insert(sql, { ...policy, state: 'proposed', envelope: null, signedBy: null, decidedMs: null });
    },
    /**
     * Puts a version in force; the one before is superseded.
     * @throws BluelightError POLICY_OLD: a version is accepted once, and never one older than that in force
     */
    accept(policy: Omit<StoredPolicy, 'state'> & { decidedMs: number }): void {
      sql.transaction(() => {
        const highest =
          sql.one<{ version: number | null }>(
            `select max(version) as version from policies where state in ('accepted', 'superseded')`,
          )?.version ?? -1;
        if (policy.version <= highest) {
          throw new BluelightError(
            'POLICY_OLD',
            `policy version ${policy.version} is not newer than ${highest}, which was accepted before`,
            { fix: `give it version ${highest + 1} or higher` },
          );
        }
        sql.run(`update policies set state = 'superseded' where state = 'accepted'`);
        sql.run('delete from policies where id = :id', { id: policy.id });
        insert(sql, { ...policy, state: 'accepted' });
      });
    },
    decline(entry: { id: string; atMs: number }): boolean {
      const sqlText = `update policies set state = 'declined', decided_ms = :atMs where id = :id and state = 'proposed'`;
      return sql.run(sqlText, entry) > 0;
    },
    /** Ends sharing: nothing is in force afterwards. */
    withdraw(entry: { atMs: number }): void {
      sql.run(
        `update policies set state = case state when 'accepted' then 'superseded' else 'declined' end, decided_ms = :atMs
         where state in ('accepted', 'proposed')`,
        entry,
      );
    },
  };
}

function insert(sql: Sql, policy: StoredPolicy): void {
  sql.run(
    `insert into policies (id, version, state, authority, document, sha256, envelope, signed_by, note, created_ms,
       decided_ms)
     values (:id, :version, :state, :authority, :document, :sha256, :envelope, :signedBy, :note, :createdMs,
       :decidedMs)`,
    { ...policy, envelope: policy.envelope === null ? null : JSON.stringify(policy.envelope) },
  );
}

function toPolicy(row: Row): StoredPolicy {
  return { ...row, envelope: row.envelope === null ? null : (JSON.parse(row.envelope) as unknown) };
}

/** A time in which the owner shared nothing. */
export interface Pause {
  id: string;
  fromMs: number;
  /** Null: until resumed by hand. */
  untilMs: number | null;
  resumedMs: number | null;
  by: string;
  reason: string;
}

/** A window in which cameras of mode `emergency` may be seen. */
export interface EmergencyWindow {
  id: string;
  openedMs: number;
  untilMs: number;
  closedMs: number | null;
  by: string;
  test: boolean;
}

export function pausesTable(sql: Sql) {
  const columns = 'id, from_ms as fromMs, until_ms as untilMs, resumed_ms as resumedMs, by, reason';
  return {
    add(pause: Omit<Pause, 'resumedMs'>): void {
      sql.run(
        `insert into pauses (id, from_ms, until_ms, by, reason) values (:id, :fromMs, :untilMs, :by, :reason)
         on conflict do nothing`,
        { ...pause },
      );
    },
    /** Ends every pause that is not over. Gives how many. */
    resume(entry: { atMs: number }): number {
      return sql.run(
        `update pauses set resumed_ms = :atMs
         where resumed_ms is null and (until_ms is null or until_ms > :atMs)`,
        entry,
      );
    },
    /** All that were not over at `fromMs`, oldest first. */
    list(ask: { fromMs: number }): Pause[] {
      return sql.all<Pause>(
        `select ${columns} from pauses
         where coalesce(resumed_ms, until_ms, :fromMs + 1) > :fromMs order by from_ms, id`,
        ask,
      );
    },
  };
}

export function emergenciesTable(sql: Sql) {
  const columns = 'id, opened_ms as openedMs, until_ms as untilMs, closed_ms as closedMs, by, test';
  type WindowRow = Omit<EmergencyWindow, 'test'> & { test: number };
  return {
    open(window: Omit<EmergencyWindow, 'closedMs'>): void {
      sql.run(
        `insert into emergencies (id, opened_ms, until_ms, by, test) values (:id, :openedMs, :untilMs, :by, :test)
         on conflict do nothing`,
        { ...window, test: window.test ? 1 : 0 },
      );
    },
    close(entry: { atMs: number }): number {
      return sql.run('update emergencies set closed_ms = :atMs where closed_ms is null and until_ms > :atMs', entry);
    },
    list(ask: { fromMs: number }): EmergencyWindow[] {
      return sql
        .all<WindowRow>(
          `select ${columns} from emergencies where coalesce(closed_ms, until_ms) > :fromMs order by opened_ms, id`,
          ask,
        )
        .map((row) => ({ ...row, test: row.test === 1 }));
    },
  };
}

/** Ask mode: a request that waits for the owner's answer. */
export interface Approval {
  id: string;
  request: AccessRequest;
  camera: string;
  fromMs: number;
  toMs: number;
  kind: string;
  operator: string;
  agency: string;
  /** The command that waits for the answer. */
  job: string | null;
  state: 'waiting' | 'approved' | 'declined' | 'expired';
  askedMs: number;
  expiresMs: number;
  answeredMs: number | null;
  answeredBy: string | null;
}

export function approvalsTable(sql: Sql) {
  const columns = `id, request, camera, from_ms as fromMs, to_ms as toMs, kind, operator, agency, job, state,
    asked_ms as askedMs, expires_ms as expiresMs, answered_ms as answeredMs, answered_by as answeredBy`;
  type ApprovalRow = Omit<Approval, 'request'> & { request: string };
  const toApproval = (row: ApprovalRow): Approval => ({ ...row, request: JSON.parse(row.request) as AccessRequest });
  return {
    ask(approval: Omit<Approval, 'state' | 'answeredMs' | 'answeredBy'>): void {
      sql.run(
        `insert into approvals (id, request, camera, from_ms, to_ms, kind, operator, agency, job, state,
           asked_ms, expires_ms)
         values (:id, :request, :camera, :fromMs, :toMs, :kind, :operator, :agency, :job, 'waiting',
           :askedMs, :expiresMs)
         on conflict do nothing`,
        { ...approval, request: JSON.stringify(approval.request) },
      );
    },
    /** False: it was answered before, or too late. */
    answer(entry: {
      id: string;
      state: 'approved' | 'declined';
      by: string;
      atMs: number;
      expiresMs: number;
    }): boolean {
      return (
        sql.run(
          `update approvals set state = :state, answered_ms = :atMs, answered_by = :by, expires_ms = :expiresMs
           where id = :id and state = 'waiting' and expires_ms > :atMs`,
          entry,
        ) > 0
      );
    },
    /** Requests that nobody answered in time. Gives them. */
    expire(ask: { atMs: number }): Approval[] {
      return sql
        .all<ApprovalRow>(
          `update approvals set state = 'expired' where state = 'waiting' and expires_ms <= :atMs returning ${columns}`,
          ask,
        )
        .map(toApproval);
    },
    get(id: string): Approval | null {
      const row = sql.one<ApprovalRow>(`select ${columns} from approvals where id = :id`, { id });
      return row === undefined ? null : toApproval(row);
    },
    /** All that one command asked for, whatever became of them. */
    byJob(job: string): Approval[] {
      return sql
        .all<ApprovalRow>(`select ${columns} from approvals where job = :job order by id`, { job })
        .map(toApproval);
    },
    /** Newest first. */
    list(ask: { state?: Approval['state']; limit: number }): Approval[] {
      return sql
        .all<ApprovalRow>(
          `select ${columns} from approvals where :state is null or state = :state
           order by asked_ms desc, id desc limit :limit`,
          { state: ask.state ?? null, limit: ask.limit },
        )
        .map(toApproval);
    },
  };
}
