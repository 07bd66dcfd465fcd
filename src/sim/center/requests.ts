import type Database from 'better-sqlite3';
import { z } from 'zod';
import type { Clock } from '../../base/clock.js';
import { BluelightError } from '../../base/errors.js';
import { ulid } from '../../base/ids.js';
import {
  COMMANDS,
  COMMAND_TYPE,
  operator as operatorShape,
  OPERATORS_TYPE,
  type Command,
  type CommandName,
  type JobMessage,
  type OperatorsMessage,
} from '../../contract/commands.js';
import { priority } from '../../contract/clip.js';
import { PROPOSAL_TYPE, topics, type PolicyProposal, type PolicyReported } from '../../contract/messages.js';
import { policyDocument } from '../../contract/policy.js';
import { slug, toUtc } from '../../contract/primitives.js';
import { signJws } from '../../proof/jws.js';
import type { Signer } from '../../proof/keys.js';
import type { CenterDb } from './db.js';

/** A person at this center. */
export type Operator = z.infer<typeof operatorShape>;

/** What a person at the console asks of a box; the center signs it in his name. */
export const requestBody = z.strictObject({
  site: slug,
  box: slug,
  name: z.string().refine((name) => Object.hasOwn(COMMANDS, name), 'no such command'),
  args: z.unknown().default({}),
  operator: z.string(),
  agency: z.string(),
  reason: z.string().trim().min(3).max(500),
  case: z.string().optional(),
  /** The owner is told so much later, as far as his terms allow. */
  notifyDelaySeconds: z.number().int().nonnegative().optional(),
  priority: priority.default('routine'),
  /** Seconds until the command is void. */
  lifeS: z
    .number()
    .int()
    .min(1)
    .max(7 * 86_400)
    .default(3_600),
});
export type RequestBody = z.input<typeof requestBody>;

export const operatorsBody = z.strictObject({ operators: z.array(operatorShape).max(2_000) });
export const proposalBody = z.strictObject({
  site: slug,
  box: slug,
  document: policyDocument,
  note: z.string().max(500).default(''),
});

/** A command and what its box said of it. */
export interface JobRecord {
  job: string;
  site: string;
  box: string;
  name: string;
  operator: string;
  agency: string;
  reason: string;
  issuedAt: number;
  /** The JWS; sent again until the box answers. */
  text: string;
  expiresAt: number;
  /** Null: the box has not said a word of it. */
  message: JobMessage | null;
}

const SCHEMA = `
create table if not exists operators (agency text not null, operator text not null, name text not null,
  role text not null, primary key (agency, operator)) strict, without rowid;
create table if not exists jobs (job text primary key, site text not null, box text not null, name text not null,
  operator text not null, agency text not null, reason text not null, issued_at integer not null, text text not null,
  expires_at integer not null, message text) strict, without rowid;
create table if not exists policies (site text not null, box text not null, message text not null,
  primary key (site, box)) strict, without rowid;
`;
/** So that the first trial needs no setting up. */
const FIRST: Operator = { operator: 'op-1', agency: 'rtcc', name: 'Operator One', role: 'operator' };

export interface Outgoing {
  topic: string;
  text: string;
  retain: boolean;
  expiryS?: number;
}

/** The commands of this center: signed in the name of operators whom it enrols with the boxes, and how they went. */
export class Requests {
  readonly #db: Database.Database;
  readonly #center: CenterDb;
  readonly #signer: Signer;
  readonly #clock: Clock;
  #send: (message: Outgoing) => void = () => undefined;

  constructor(center: CenterDb, signer: Signer, clock: Clock) {
    this.#center = center;
    this.#db = center.raw;
    this.#signer = signer;
    this.#clock = clock;
    this.#db.exec(SCHEMA);
    if (this.operators().length === 0) this.#put(FIRST);
  }

  /** Where messages to boxes go. */
  sendBy(send: (message: Outgoing) => void): void {
    this.#send = send;
  }

  operators(): Operator[] {
    const sql = 'select operator, agency, name, role from operators order by agency, operator';
    return this.#db.prepare(sql).all() as Operator[];
  }

  /** Replaces the list; every box is told. */
  setOperators(operators: readonly Operator[]): void {
    this.#db.transaction(() => {
      this.#db.prepare('delete from operators').run();
      for (const one of operators) this.#put(one);
    })();
    for (const { site, box } of this.#center.boxes()) this.enrol(site, box);
  }

  /** Tells a box who may command it. The version is the time: it rises also when this center lost its memory. */
  enrol(site: string, box: string): void {
    const version = this.#clock.now();
    const message: OperatorsMessage = { schema: 1, site, box, version, operators: this.operators() };
    this.#send({
      topic: topics(site, box).operators,
      text: signJws(OPERATORS_TYPE, message, this.#signer),
      retain: true,
    });
  }

  /** @throws BluelightError UNKNOWN_OPERATOR | BOX_UNKNOWN */
  request(body: z.output<typeof requestBody>): JobRecord {
    const { site, box, operator, agency, reason } = body;
    const known = this.operators().find((one) => one.operator === operator && one.agency === agency);
    if (known === undefined) {
      throw new BluelightError('UNKNOWN_OPERATOR', `${operator} of ${agency} is nobody here`, {
        fix: 'enrol this operator first',
      });
    }
    if (this.#center.box(site, box) === undefined) {
      throw new BluelightError('BOX_UNKNOWN', `no box ${site}/${box} has said hello`, { fix: 'claim it first' });
    }
    const now = this.#clock.now();
    const name = body.name as CommandName;
    const command: Command = {
      schema: 1,
      site,
      box,
      jobId: ulid(now),
      name,
      args: body.args,
      by: { agency, operator, role: known.role },
      reason,
      ...(body.case === undefined || body.case === '' ? {} : { case: body.case }),
      ...(body.notifyDelaySeconds === undefined ? {} : { notifyDelaySeconds: body.notifyDelaySeconds }),
      priority: body.priority,
      issuedAt: toUtc(now),
      expiresAt: toUtc(now + body.lifeS * 1000),
    };
    const text = signJws(COMMAND_TYPE, command, this.#signer);
    const record: JobRecord = {
      job: command.jobId,
      site,
      box,
      name,
      operator,
      agency,
      reason,
      issuedAt: now,
      text,
      expiresAt: now + body.lifeS * 1000,
      message: null,
    };
    this.#db
      .prepare(
        'insert into jobs values (:job, :site, :box, :name, :operator, :agency, :reason, :issuedAt, :text, :expiresAt, null)',
      )
      .run({ ...record, message: undefined });
    this.#sendCommand(record);
    return record;
  }

  /** The box is there: what it has not answered is sent again. The same job id does nothing twice. */
  repeat(site: string, box: string): void {
    const now = this.#clock.now();
    for (const one of this.jobs(1_000)) {
      if (one.site === site && one.box === box && one.message === null && one.expiresAt > now) this.#sendCommand(one);
    }
  }

  /** A proposal of terms; the owner of the site decides. */
  propose({ site, box, document, note }: z.output<typeof proposalBody>): void {
    const proposal: PolicyProposal = { schema: 1, site, box, version: this.#clock.now(), note, document };
    const text = signJws(PROPOSAL_TYPE, proposal, this.#signer);
    this.#send({ topic: topics(site, box).policyProposed, text, retain: true });
  }

  /** What a box says of a job of its own. */
  answered(site: string, box: string, message: JobMessage): void {
    this.#db
      .prepare('update jobs set message = :message where job = :job and site = :site and box = :box')
      .run({ message: JSON.stringify(message), job: message.jobId, site, box });
  }

  reported(site: string, box: string, message: PolicyReported): void {
    this.#db
      .prepare('insert or replace into policies values (:site, :box, :message)')
      .run({ site, box, message: JSON.stringify(message) });
  }

  policy(site: string, box: string): PolicyReported | null {
    const row = this.#db.prepare('select message from policies where site = ? and box = ?').get(site, box) as
      { message: string } | undefined;
    return row === undefined ? null : (JSON.parse(row.message) as PolicyReported);
  }

  /** Newest first. */
  jobs(limit: number): JobRecord[] {
    const rows = this.#db
      .prepare(
        `select job, site, box, name, operator, agency, reason, issued_at as issuedAt, text, expires_at as expiresAt,
           message from jobs order by job desc limit ?`,
      )
      .all(limit) as (Omit<JobRecord, 'message'> & { message: string | null })[];
    return rows.map((row) => ({
      ...row,
      message: row.message === null ? null : (JSON.parse(row.message) as JobMessage),
    }));
  }

  #sendCommand({ site, box, name, text, expiresAt }: JobRecord): void {
    const expiryS = Math.max(1, Math.ceil((expiresAt - this.#clock.now()) / 1000));
    this.#send({ topic: topics(site, box).command(name), text, retain: false, expiryS });
  }

  #put(one: Operator): void {
    const sql = 'insert or replace into operators values (:agency, :operator, :name, :role)';
    this.#db.prepare(sql).run(one);
  }
}
