import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { BluelightError, errorCode } from '../base/errors.js';
import { auditHeadKey, auditTable } from './audit.js';
import { backupTable } from './backup.js';
import { byteLedgerTable } from './byte-ledger.js';
import { camerasTable, credentialsTable } from './cameras.js';
import { claimsTable } from './claims.js';
import { clipsTable } from './clips.js';
import { holdsTable } from './holds.js';
import { jobsTable } from './jobs.js';
import { keysTable } from './keys.js';
import { kvTable } from './kv.js';
import { loginsTable } from './logins.js';
import { migrate } from './migrations.js';
import { motionEventsTable } from './motion-events.js';
import { outboxTable } from './outbox.js';
import { approvalsTable, emergenciesTable, pausesTable, policiesTable } from './policies.js';
import { operatorsTable, receiptsTable } from './receipts.js';
import { sealKey, secretFiles } from './secret-files.js';
import { afterLoss, copyState, recoverState, type StateLoss } from './state-loss.js';
import { sealWith } from './seal.js';
import { Sql } from './sql.js';

export interface StateDbOptions {
  /** File of the database. Key files live beside it. */
  path: string;
  /** Bound of the outbox. */
  outboxBytes?: number;
  /** Only this state (`StateDb.id`), which must be there already; any, or a new one, when absent. */
  expect?: string;
  /**
   * Nobody else opens the file meanwhile. SQLite then does without shared memory, which is a mapped file: touching one
   * on a disk that is gone would end the process.
   */
  alone?: boolean;
}

const OUTBOX_BYTES = 64 * 1024 * 1024;
const ID = 'state.id';

function tables(sql: Sql, key: Uint8Array, dir: string, outboxBytes: number, loss: StateLoss | null) {
  const seal = sealWith(key);
  const audit = auditTable(sql, auditHeadKey(key));
  const keys = keysTable(sql, audit);
  const kv = kvTable(sql);
  return {
    kv,
    claims: claimsTable(sql, seal, keys, kv),
    keys,
    logins: loginsTable(sql, audit),
    cameras: camerasTable(sql),
    credentials: credentialsTable(sql, seal),
    policies: policiesTable(sql),
    pauses: pausesTable(sql),
    emergencies: emergenciesTable(sql),
    approvals: approvalsTable(sql),
    operators: operatorsTable(sql),
    audit,
    outbox: outboxTable(sql, outboxBytes),
    motion: motionEventsTable(sql),
    clips: clipsTable(sql),
    holds: holdsTable(sql),
    jobs: jobsTable(sql),
    bytes: byteLedgerTable(sql),
    receipts: receiptsTable(sql),
    files: secretFiles(dir),
    backup: backupTable(sql, dir),
    state: {
      /** What was found at this opening; null: all was well. */
      loss: (): StateLoss | null => loss,
      /** For the next time that it is lost. */
      copy: (): void => copyState(sql, dir),
    },
  };
}

/** Every table by its name; each function takes one argument, so that the same set can be served to another thread. */
export type Tables = ReturnType<typeof tables>;

/** state.db, synchronous: for the store thread and for tests. Everything is on disk when a function returns. */
export class StateDb {
  readonly tables: Tables;
  /** Tells this state from that of any other box. */
  readonly id: string;
  readonly #db: Database.Database;

  /** @throws BluelightError STATE_DB_CORRUPT | STATE_DB_NEWER | STATE_DB_FOREIGN | STATE_DB_UNREADABLE | STATE_DISK_WRONG */
  constructor(options: StateDbOptions) {
    const dir = dirname(options.path);
    let loss: StateLoss | null = null;
    try {
      if (options.expect === undefined) {
        mkdirSync(dir, { recursive: true, mode: 0o700 });
        loss = recoverState(options.path);
      }
      this.#db = openDatabase(options);
    } catch (error) {
      throw explain(options.path, error);
    }
    const sql = new Sql(this.#db);
    if (loss !== null) afterLoss(sql);
    this.id = options.expect ?? identify(kvTable(sql));
    this.tables = tables(sql, sealKey(dir), dir, options.outboxBytes ?? OUTBOX_BYTES, loss);
  }

  close(): void {
    this.#db.close();
  }
}

function identify(kv: ReturnType<typeof kvTable>): string {
  const known = kv.get(ID);
  if (typeof known === 'string') return known;
  const id = randomUUID();
  kv.put({ key: ID, value: id });
  return id;
}

/** WAL for readers beside the writer; FULL, because in WAL the built-in default (NORMAL) loses acknowledged commits. */
function openDatabase({ path, expect, alone }: StateDbOptions): Database.Database {
  const db = new Database(path, { fileMustExist: expect !== undefined });
  try {
    if (alone === true) db.pragma('locking_mode = EXCLUSIVE');
    // Before anything is written: it may be the disk of another box.
    if (expect !== undefined) refuseOther(db, expect);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    // Removed credentials and keys must not stay readable in free pages.
    db.pragma('secure_delete = ON');
    db.pragma('busy_timeout = 2000');
    db.pragma('trusted_schema = OFF');
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function refuseOther(db: Database.Database, expect: string): void {
  if (kvTable(new Sql(db)).get(ID) === expect) return;
  throw new BluelightError('STATE_DISK_WRONG', 'the disk with state_dir is that of another box', {
    fix: 'put the right disk in, or restart the agent to make this another box',
    retryable: true,
  });
}

function explain(path: string, error: unknown): unknown {
  if (error instanceof BluelightError) return error;
  const code = errorCode(error) ?? '';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new BluelightError('STATE_DB_CORRUPT', `${path} is damaged (${code})`, {
      fix: 'restore the newest backup of this box, or move the file away and adopt the cameras again',
      cause: error,
    });
  }
  return new BluelightError('STATE_DB_UNREADABLE', `${path} cannot be opened (${code})`, {
    fix: 'check that state_dir exists, has room and belongs to the user of the agent',
    cause: error,
  });
}
