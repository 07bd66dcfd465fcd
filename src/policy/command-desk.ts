import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import {
  COMMANDS,
  type CommandArgs,
  type CommandName,
  type FootageCommand,
  type JobMessage,
} from '../contract/commands.js';
import type { Grant } from '../contract/grant.js';
import type { AccessRequest } from '../contract/policy.js';
import { toUtc } from '../contract/primitives.js';
import type { TableCalls } from '../store/calls.js';
import type { Job } from '../store/jobs.js';
import type { Approval } from '../store/policies.js';
import type { Asks } from './asks.js';
import { partyColumns } from './audit-note.js';
import { admitCommand, admitOperators, CommandRefused, type Admitted, type Bound } from './command-admission.js';
import { commandTargets } from './command-targets.js';
import type { Gate } from './gate.js';
import { accessRequest, fingerprint, newJob, partyOf, type OperatorParty } from './job-row.js';
import { RefusalLog } from './refusal-log.js';

interface Call<N extends CommandName> {
  job: Job;
  args: CommandArgs<N>;
  party: OperatorParty;
  /** Aborts when the job is cancelled. */
  signal: AbortSignal;
  /** Tells the center how it goes on. */
  progress(progress: unknown): Promise<void>;
}
interface FootageCall<N extends FootageCommand> extends Call<N> {
  /** One per camera that may be seen. */
  grants: readonly Grant[];
  /** What may not, and why. */
  refused: readonly Refused[];
}

/**
 * What carries a command out. Its result is the job's; what it throws is the job's error. It may be called again for
 * the same job after a restart, so it must take up what is there. A command that shows footage gets grants; there is
 * no other way to them.
 */
export type Handlers = {
  [N in CommandName]?: (call: N extends FootageCommand ? FootageCall<N> : Call<N>) => Promise<unknown>;
};

export interface Refused {
  camera: string;
  code: string;
  message: string;
}

export interface DeskPorts {
  tables: Pick<TableCalls, 'jobs' | 'operators' | 'approvals' | 'kv'>;
  gate: Gate;
  asks: Pick<Asks, 'ask'>;
  clock: Clock;
  log: Log;
  bound(): Bound | null;
  handlers: Handlers;
  /** For the topic of the job. */
  publish(message: JobMessage): void | Promise<void>;
}

const MOST_RUNNING = 64;
/** Ended jobs are kept for repeated commands; longer than any command lives. */
const KEEP_MS = 30 * 24 * 3_600_000;
const NEWEST_ISSUED = 'commands.newestIssuedMs';
/** Refused, as distinct from tried without success. */
const REJECTIONS = new Set([
  'POLICY_DENIED',
  'OUTSIDE_HOURS',
  'PAUSED_BY_OWNER',
  'OWNER_APPROVAL_REQUIRED',
  'NOT_ENROLLED',
  'UNSUPPORTED',
]);

/** Takes the commands of the center: checks, asks the gate, carries out once, answers always the same. */
export class CommandDesk {
  readonly #ports: DeskPorts;
  readonly #refusals: RefusalLog;
  readonly #running = new Map<string, { abort: AbortController; done: Promise<void> }>();
  readonly #closing = new AbortController();

  constructor(ports: DeskPorts) {
    this.#ports = ports;
    this.#refusals = new RefusalLog(ports.clock, (note) => ports.gate.note(note));
  }

  /** Takes up what a stop of the agent interrupted. */
  async resume(): Promise<void> {
    const { jobs } = this.#ports.tables;
    await jobs.prune({ beforeMs: this.#ports.clock.now() - KEEP_MS });
    // Not one after the other: some wait for a network, and none may hold up the next.
    await Promise.all((await jobs.open()).map((job) => this.#run(job)));
  }

  /** What runs is let go; it is taken up again at the next start. */
  async close(): Promise<void> {
    this.#closing.abort(new BluelightError('SHUTDOWN', 'the agent stops'));
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    await this.#refusals.close();
  }

  /** Ends every open job: the box belongs to its center no more. */
  async endAll(code: string, why: string): Promise<void> {
    const { jobs } = this.#ports.tables;
    for (const job of await jobs.open()) {
      const error = new BluelightError(code, why);
      await this.#end(job, 'REJECTED', null, error);
      this.#running.get(job.id)?.abort.abort(error);
    }
  }

  /** Open jobs and the newest that ended, as the center is told of them. */
  async recent(limit: number): Promise<JobMessage[]> {
    return (await this.#ports.tables.jobs.list({ limit })).map((job) => this.#message(job));
  }

  /** A message on a `cmd/` topic. Never rejects for what is in it; resolves when the command has come to its end. */
  async take(text: string): Promise<void> {
    const { tables, clock, gate } = this.#ports;
    let admitted: Admitted;
    try {
      admitted = await admitCommand(text, this.#ports.bound(), await this.#now(), (who) => tables.operators.get(who));
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      return this.#refuse(error);
    }
    const { command } = admitted;
    if (this.#running.size >= MOST_RUNNING) {
      return this.#refuse(new CommandRefused('BUSY', `${MOST_RUNNING} commands are being carried out`, command));
    }
    const tooLate = this.#tooLate(admitted);
    if (tooLate !== null && (await tables.jobs.get(command.jobId)) === null) return this.#refuse(tooLate);
    const taken = await tables.jobs.take(newJob(admitted, text, clock.now()));
    if (taken.job.fingerprint !== fingerprint(text)) {
      return this.#refuse(new CommandRefused('DUPLICATE', 'this job id was used for another command', command));
    }
    // The same command again: the same answer, and nothing is done twice.
    if (!taken.added) return this.#publish(taken.job);
    await this.#remember(Date.parse(command.issuedAt));
    const delay = command.notifyDelaySeconds ?? 0;
    if (delay > 0) await gate.later.add(taken.job.id, delay * 1_000);
    const row = this.#row(taken.job);
    const detail = delay > 0 ? { ...row.detail, notifyDelaySeconds: delay } : row.detail;
    await gate.note({ ...row, outcome: 'granted', reason: command.reason, detail });
    await this.#run(taken.job);
  }

  /** The signed list of operators. */
  async takeOperators(text: string): Promise<void> {
    const { tables, gate, clock } = this.#ports;
    try {
      const bound = this.#ports.bound();
      const message = admitOperators(text, bound);
      const key = `operators.version.${bound!.centerKeys[0] ?? ''}`;
      const before = await tables.kv.get(key);
      if (typeof before === 'number' && message.version <= before) return;
      await tables.operators.replace({ atMs: clock.now(), operators: message.operators });
      await tables.kv.put({ key, value: message.version });
      const reason = `${message.operators.length} operators are enrolled (version ${message.version})`;
      await gate.note({ kind: 'config', outcome: 'done', party: 'center', door: 'mqtt', action: 'operators', reason });
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      await this.#refuse(error);
    }
  }

  /** The owner answered a request, or nobody did. */
  async answered(approval: Approval): Promise<void> {
    if (approval.job === null) return;
    const job = await this.#ports.tables.jobs.get(approval.job);
    if (job !== null && job.doneMs === null) await this.#run(job);
  }

  /** Why the owner cannot be told of this as late as the center asks; null: he can. */
  #tooLate({ command, name }: Admitted): CommandRefused | null {
    const delay = command.notifyDelaySeconds ?? 0;
    if (delay === 0) return null;
    const { access } = COMMANDS[name];
    // The owner must know of a hold, since he can release it.
    const limit = access === null || name === 'hold.set' ? 0 : this.#ports.gate.notifyLimitS();
    if (delay <= limit) return null;
    const why = `the owner is to be told ${delay} s later, and his terms allow ${limit} s for this`;
    return new CommandRefused('NOTIFY_DELAY', why, command);
  }

  #run(job: Job): Promise<void> {
    if (this.#running.has(job.id) || this.#closing.signal.aborted) return Promise.resolve();
    const abort = new AbortController();
    const done = this.#toItsEnd(job, AbortSignal.any([abort.signal, this.#closing.signal])).finally(() =>
      this.#running.delete(job.id),
    );
    this.#running.set(job.id, { abort, done });
    return done;
  }

  async #toItsEnd(job: Job, signal: AbortSignal): Promise<void> {
    const { tables, clock } = this.#ports;
    try {
      const approvals = await tables.approvals.byJob(job.id);
      if (approvals.some((one) => one.state === 'waiting')) return;
      // Put before the owner it has begun, and he has his own time to answer.
      const asked = approvals.length > 0;
      if (job.expiresMs <= clock.now() && job.state === 'QUEUED' && !asked) {
        return await this.#end(
          job,
          'TIMED_OUT',
          null,
          new BluelightError('EXPIRED', 'its time ran out before it began'),
        );
      }
      await this.#carryOut(job, asked, signal);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const state = REJECTIONS.has(errorCode(error) ?? '') ? 'REJECTED' : 'FAILED';
      await this.#end(job, state, null, error);
    }
  }

  /** @param asked the owner has answered: he is not asked again */
  async #carryOut(job: Job, asked: boolean, signal: AbortSignal): Promise<void> {
    const name = job.name as CommandName;
    const handler = (this.#ports.handlers[name] ?? this.#ownHandlers()[name]) as
      ((call: unknown) => Promise<unknown>) | undefined;
    if (handler === undefined) {
      throw new BluelightError('UNSUPPORTED', `this box does not carry out ${name}`);
    }
    const party = partyOf(job);
    const access = COMMANDS[name].access;
    let reached: { grants: Grant[]; refused: Refused[] } | undefined;
    if (access !== null) {
      const answer = await this.#askGate(job, party, asked);
      if (answer === 'waiting') return;
      reached = answer;
    }
    await this.#progress(job, job.progress);
    const progress = (value: unknown): Promise<void> => this.#progress(job, value);
    // Cancelled, or the agent stops: nobody waits for what does not listen.
    const over = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const result = await Promise.race([handler({ job, args: job.args, party, signal, progress, ...reached }), over]);
    await this.#end(job, 'SUCCEEDED', result, null);
  }

  /** Grants for what may be seen; `waiting` if the owner was asked. @throws the refusal, if nothing may be seen */
  async #askGate(
    job: Job,
    party: OperatorParty,
    asked: boolean,
  ): Promise<{ grants: Grant[]; refused: Refused[] } | 'waiting'> {
    const { gate, clock } = this.#ports;
    const requests = commandTargets(job, clock.now()).map((target) => accessRequest(job, party, target));
    const asks = requests.filter((request) => {
      const answer = gate.preview(request);
      return !answer.allow && answer.code === 'OWNER_APPROVAL_REQUIRED';
    });
    if (asks.length > 0 && !asked) return this.#askOwner(job, asks);
    const grants: Grant[] = [];
    const refused: Refused[] = [];
    let first: BluelightError | undefined;
    for (const request of requests) {
      try {
        grants.push(await gate.authorise(request));
      } catch (error) {
        if (!(error instanceof BluelightError) || error.retryable) throw error;
        first ??= error;
        refused.push({ camera: request.camera, code: error.code, message: error.message });
      }
    }
    if (grants.length === 0 && first !== undefined) throw first;
    return { grants, refused };
  }

  async #askOwner(job: Job, requests: AccessRequest[]): Promise<'waiting'> {
    const approvals: string[] = [];
    // Who is asked knows of it.
    await this.#ports.gate.later.remove(job.id);
    for (const request of requests) approvals.push((await this.#ports.asks.ask(request, job.id)).id);
    await this.#publish(await this.#update(job, 'QUEUED', { waiting: 'owner', approvals }));
    return 'waiting';
  }

  async #progress(job: Job, progress: unknown): Promise<void> {
    await this.#publish(await this.#update(job, 'IN_PROGRESS', progress));
  }

  #update(job: Job, state: Job['state'], progress: unknown): Promise<Job> {
    return this.#ports.tables.jobs.update({ id: job.id, atMs: this.#ports.clock.now(), state, progress });
  }

  /** Commands that end another job need nothing but the desk. */
  #ownHandlers(): Handlers {
    const cancel = (call: { args: { job: string }; party: OperatorParty }): Promise<unknown> =>
      this.#cancel(call.args.job, call.party);
    return { 'clip.cancel': cancel, 'live.stop': cancel, 'sighting.unwatch': cancel };
  }

  async #cancel(id: string, by: OperatorParty): Promise<unknown> {
    const { tables, clock } = this.#ports;
    const job = await tables.jobs.get(id);
    if (job === null || job.agency !== by.agency) {
      throw new BluelightError('JOB_UNKNOWN', `there is no job ${id}`, { fix: 'check the id of the job' });
    }
    if (job.doneMs !== null) return { job: id, state: job.state };
    const ended = await tables.jobs.update({ id, atMs: clock.now(), state: 'CANCELED' });
    this.#running.get(id)?.abort.abort(new BluelightError('CANCELED', `cancelled by ${by.operator}`));
    await this.#publish(ended);
    return { job: id, state: ended.state };
  }

  async #end(job: Job, state: Job['state'], result: unknown, error: unknown): Promise<void> {
    const { tables, gate, clock, log } = this.#ports;
    // Cancelled while it ran: that was its end, and the center knows.
    if ((await tables.jobs.get(job.id))?.doneMs !== null) return;
    const told = error === null ? null : { code: errorCode(error) ?? 'INTERNAL', message: errorMessage(error) };
    const ended = await tables.jobs.update({
      id: job.id,
      atMs: clock.now(),
      state,
      result,
      error: told === null ? null : { ...told, retryable: error instanceof BluelightError && error.retryable },
    });
    if (told !== null)
      log.info({ job: job.id, command: job.name, code: told.code }, `command not done: ${told.message}`);
    const outcome = told === null ? 'done' : state === 'REJECTED' ? 'refused' : 'failed';
    await gate.note({ ...this.#row(job), outcome, code: told?.code ?? null, reason: told?.message ?? job.reason });
    await this.#publish(ended);
  }

  async #refuse(error: CommandRefused): Promise<void> {
    const { command } = error;
    await this.#refusals.add({
      kind: 'command',
      outcome: 'refused',
      party: command?.by.operator ?? 'unknown',
      agency: command?.by.agency ?? null,
      role: command?.by.role ?? null,
      door: 'mqtt',
      action: command?.name.slice(0, 40) ?? 'unknown',
      code: error.code,
      reason: error.message,
      caseNo: command?.case ?? null,
      detail: command === null ? null : { job: command.jobId, why: command.reason },
    });
    // Without a good signature nobody is answered: the job id is as forged as the rest.
    if (command === null) return;
    await this.#ports.publish({
      schema: 1,
      jobId: command.jobId,
      name: command.name,
      state: 'REJECTED',
      progress: null,
      result: null,
      error: { code: error.code, message: error.message, retryable: error.code === 'BUSY' },
      ts: toUtc(this.#ports.clock.now()),
    });
  }

  async #publish(job: Job): Promise<void> {
    await this.#ports.publish(this.#message(job));
  }

  #message(job: Job): JobMessage {
    const { id: jobId, name, state, progress, result } = job;
    const error = job.error as JobMessage['error'];
    const ts = toUtc(job.doneMs ?? this.#ports.clock.now());
    return { schema: 1, jobId, name, state, progress, result, error, ts };
  }

  #row(job: Job) {
    const party = partyColumns(partyOf(job));
    return { kind: 'command', ...party, door: 'mqtt', action: job.name, caseNo: job.caseNo, detail: { job: job.id } };
  }

  /** While the clock is not trusted, it is at least as late as the newest command that was taken. */
  async #now(): Promise<number> {
    const now = this.#ports.clock.now();
    if (this.#ports.gate.clockHolds()) return now;
    const newest = await this.#ports.tables.kv.get(NEWEST_ISSUED);
    return typeof newest === 'number' ? Math.max(now, newest) : now;
  }

  async #remember(issuedMs: number): Promise<void> {
    const newest = await this.#ports.tables.kv.get(NEWEST_ISSUED);
    if (typeof newest === 'number' && newest >= issuedMs) return;
    await this.#ports.tables.kv.put({ key: NEWEST_ISSUED, value: issuedMs });
  }
}
