import { createHash } from 'node:crypto';
import Database from 'better-sqlite3';

const SCHEMA = `
create table if not exists claims (
  number integer primary key,
  site text not null, box text not null,
  -- SHA-256 of the long secret (file, QR) and of the typed code.
  secret_hash text not null unique, code_hash text not null unique,
  issued_at integer not null, expires_at integer not null,
  -- Made void by a newer one before anybody used it.
  void integer not null default 0,
  used_at integer, used_by text,
  -- The box was heard after that: even it may not ask again.
  done_at integer
) strict;
create table if not exists enrolment_tries (
  at integer not null, key text not null, outcome text not null, site text, box text
) strict;
create index if not exists enrolment_tries_by_time on enrolment_tries (at);
create table if not exists box_keys (
  site text not null, box text not null, key text not null, since integer not null, until integer,
  primary key (site, box, key)
) strict, without rowid;
create table if not exists rotations (
  number integer primary key, site text not null, box text not null, statement text not null
) strict;
create table if not exists revocations (
  site text not null, box text not null, statement text not null, primary key (site, box)
) strict, without rowid;
`;

export type TryOutcome = 'enrolled' | 'CLAIM_WRONG' | 'CLAIM_USED' | 'CLAIM_EXPIRED';

/** What came of one attempt to enrol. */
export interface EnrolmentTry {
  at: number;
  /** Of the box that asked. */
  key: string;
  outcome: TryOutcome;
  site: string | null;
  box: string | null;
}

interface ClaimRow {
  number: number;
  site: string;
  box: string;
  expires_at: number;
  void: number;
  used_by: string | null;
  done_at: number | null;
}

/** Which claims the center gave out, who used them, and which keys its boxes have had. */
export class ClaimBook {
  readonly #db: Database.Database;

  constructor(path: string) {
    this.#db = new Database(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.exec(SCHEMA);
  }

  close(): void {
    this.#db.close();
  }

  /** A new claim of this box; older ones that nobody used no longer count. */
  issue(claim: { site: string; box: string; secret: string; code: string; atMs: number; expiresMs: number }): void {
    this.#db.transaction(() => {
      this.#run('update claims set void = 1 where site = ? and box = ? and used_at is null', claim.site, claim.box);
      this.#run(
        'insert into claims (site, box, secret_hash, code_hash, issued_at, expires_at) values (?, ?, ?, ?, ?, ?)',
        claim.site,
        claim.box,
        hash(claim.secret),
        hash(claim.code),
        claim.atMs,
        claim.expiresMs,
      );
    })();
  }

  /** Whether a box by this name must show a secret before it is heard. */
  isIssued(site: string, box: string): boolean {
    return this.#db.prepare('select 1 from claims where site = ? and box = ? limit 1').get(site, box) !== undefined;
  }

  /** Uses a secret up, once: the first key that shows it has it, and may ask again until its box was heard. */
  use(secret: string, key: string, atMs: number): EnrolmentTry {
    return this.#db.transaction(() => {
      const secretHash = hash(secret);
      const row = this.#db
        .prepare('select * from claims where secret_hash = ? or code_hash = ?')
        .get(secretHash, secretHash) as ClaimRow | undefined;
      const outcome = judge(row, key, atMs);
      const found = outcome === 'CLAIM_WRONG' ? undefined : row;
      const tried = { at: atMs, key, outcome, site: found?.site ?? null, box: found?.box ?? null };
      this.#run('insert into enrolment_tries values (?, ?, ?, ?, ?)', atMs, key, outcome, tried.site, tried.box);
      if (outcome === 'enrolled' && found !== undefined) {
        this.#run('update claims set used_at = ?, used_by = ? where number = ? and used_at is null', atMs, key, found.number); // prettier-ignore
        this.#run('delete from revocations where site = ? and box = ?', found.site, found.box);
        this.#run('delete from rotations where site = ? and box = ?', found.site, found.box);
        this.setKey(found.site, found.box, key, atMs);
      }
      return tried;
    })();
  }

  /** Wrong secrets since then, of all boxes: what a guesser makes. */
  wrongSince(atMs: number): number {
    const { n } = this.#db
      .prepare(`select count(*) as n from enrolment_tries where at > ? and outcome = 'CLAIM_WRONG'`)
      .get(atMs) as { n: number };
    return n;
  }

  /** Newest first. */
  tries(limit: number): EnrolmentTry[] {
    return this.#db.prepare('select * from enrolment_tries order by at desc, rowid desc limit ?').all(limit) as EnrolmentTry[]; // prettier-ignore
  }

  /** The box was heard under its new key. */
  done(site: string, box: string, key: string, atMs: number): void {
    this.#run(
      'update claims set done_at = ? where site = ? and box = ? and used_by = ? and done_at is null',
      atMs,
      site,
      box,
      key,
    );
  }

  /** From now on the box signs with this key. */
  setKey(site: string, box: string, key: string, atMs: number): void {
    this.#run('update box_keys set until = ? where site = ? and box = ? and until is null and key <> ?', atMs, site, box, key); // prettier-ignore
    this.#run(
      'insert into box_keys values (?, ?, ?, ?, null) on conflict do update set until = null',
      site,
      box,
      key,
      atMs,
    );
  }

  /** Every key that the box has had: what it signed before a rotation still counts. */
  keys(site: string, box: string): string[] {
    const rows = this.#db.prepare('select key from box_keys where site = ? and box = ?').all(site, box);
    return (rows as { key: string }[]).map((row) => row.key);
  }

  /** Boxes that hold the key of this center. */
  claimed(): { site: string; box: string }[] {
    return this.#db.prepare('select distinct site, box from box_keys where until is null').all() as {
      site: string;
      box: string;
    }[];
  }

  addRotation(site: string, box: string, statement: string): void {
    this.#run('insert into rotations (site, box, statement) values (?, ?, ?)', site, box, statement);
  }

  rotations(site: string, box: string): string[] {
    const rows = this.#db.prepare('select statement from rotations where site = ? and box = ? order by number');
    return (rows.all(site, box) as { statement: string }[]).map((row) => row.statement);
  }

  revoke(site: string, box: string, statement: string): void {
    this.#run('insert or replace into revocations values (?, ?, ?)', site, box, statement);
  }

  /** Null: it was not let go. */
  revocation(site: string, box: string): string | null {
    const row = this.#db.prepare('select statement from revocations where site = ? and box = ?').get(site, box);
    return (row as { statement: string } | undefined)?.statement ?? null;
  }

  /** In one write, or not at all. */
  all(work: () => void): void {
    this.#db.transaction(work)();
  }

  #run(sql: string, ...values: (string | number | null)[]): void {
    this.#db.prepare(sql).run(...values);
  }
}

function judge(row: ClaimRow | undefined, key: string, now: number): TryOutcome {
  if (row === undefined || row.void === 1) return 'CLAIM_WRONG';
  if (row.used_by !== null) return row.used_by === key && row.done_at === null ? 'enrolled' : 'CLAIM_USED';
  return now < row.expires_at ? 'enrolled' : 'CLAIM_EXPIRED';
}

function hash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
