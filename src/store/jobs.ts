import { BluelightError } from '../base/errors.js';
import type { Sql } from './sql.js';

export type JobState = 'QUEUED' | 'IN_PROGRESS' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'REJECTED' | 'CANCELED';

/** A command of the center that is being carried out, or was. */
export interface Job {
  /** ULID given by the center; the idempotency key. */
  id: string;
  /** SHA-256 of the command as signed. */
  fingerprint: string;
  name: string;
  args: unknown;
  operator: string;
  agency: string;
  role: string;
  reason: string;
  caseNo: string | null;
  priority: string;
  state: JobState;
  progress: unknown;
  result: unknown;
  error: unknown;
  issuedMs: number;
  expiresMs: number;
  receivedMs: number;
  doneMs: number | null;
}

interface Row extends Omit<Job, 'args' | 'progress' | 'result' | 'error'> {
  args: string;
  progress: string | null;
  result: string | null;
  error: string | null;
}

const COLUMNS = `id, fingerprint, name, args, operator, agency, role, reason, case_no as caseNo, priority, state,
  progress, result, error, issued_ms as issuedMs, expires_ms as expiresMs, received_ms as receivedMs, done_ms as doneMs`;
const FINAL: readonly JobState[] = ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'REJECTED', 'CANCELED'];

export function jobsTable(sql: Sql) {
  const get = (id: string): Job | null => {
    const row = sql.one<Row>(`select ${COLUMNS} from jobs where id = :id`, { id });
    return row === undefined ? null : toJob(row);
  };
  return {
    get,
    /** Takes a job once. `added` false: it is known already and `job` is what became of it. */
    take(job: Omit<Job, 'progress' | 'result' | 'doneMs'>): { added: boolean; job: Job } {
      return sql.transaction(() => {
        const added = sql.run(
          `insert into jobs (id, fingerprint, name, args, operator, agency, role, reason, case_no, priority, state,
             error, issued_ms, expires_ms, received_ms, done_ms)
           values (:id, :fingerprint, :name, :args, :operator, :agency, :role, :reason, :caseNo, :priority, :state,
             :error, :issuedMs, :expiresMs, :receivedMs, :doneMs) on conflict do nothing`,
          {
            ...job,
            args: JSON.stringify(job.args),
            error: json(job.error),
            doneMs: FINAL.includes(job.state) ? job.receivedMs : null,
          },
        );
        return { added: added > 0, job: get(job.id)! };
      });
    },
    /**
     * How it goes on. A job that has come to its end stays as it is.
     * @throws BluelightError JOB_UNKNOWN | JOB_DONE
     */
    update(entry: {
      id: string;
      atMs: number;
      state: JobState;
      progress?: unknown;
      result?: unknown;
      error?: unknown;
    }): Job {
      return sql.transaction(() => {
        const now = get(entry.id);
        if (now === null) throw new BluelightError('JOB_UNKNOWN', `there is no job ${entry.id}`);
        if (FINAL.includes(now.state)) {
          throw new BluelightError('JOB_DONE', `job ${entry.id} has already ended as ${now.state}`);
        }
        sql.run(
          `update jobs set state = :state, progress = coalesce(:progress, progress),
             result = coalesce(:result, result), error = coalesce(:error, error), done_ms = :done where id = :id`,
          {
            id: entry.id,
            state: entry.state,
            progress: json(entry.progress),
            result: json(entry.result),
            error: json(entry.error),
            done: FINAL.includes(entry.state) ? entry.atMs : null,
          },
        );
        return get(entry.id)!;
      });
    },
    /** In the order in which they came. */
    open(): Job[] {
      return sql
        .all<Row>(`select ${COLUMNS} from jobs where state in ('QUEUED', 'IN_PROGRESS') order by received_ms, id`)
        .map(toJob);
    },
    list(ask: { limit: number }): Job[] {
      return sql
        .all<Row>(`select ${COLUMNS} from jobs order by received_ms desc, id desc limit :limit`, ask)
        .map(toJob);
    },
    /** Forgets ended jobs; keep them at least as long as a command can still be repeated. */
    prune(ask: { beforeMs: number }): number {
      return sql.run('delete from jobs where done_ms < :beforeMs and expires_ms < :beforeMs', ask);
    },
  };
}

function json(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}

function toJob(row: Row): Job {
  const parse = (text: string | null): unknown => (text === null ? null : (JSON.parse(text) as unknown));
  return {
    ...row,
    args: parse(row.args),
    progress: parse(row.progress),
    result: parse(row.result),
    error: parse(row.error),
  };
}
