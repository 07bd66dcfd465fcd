import { BluelightError } from '../base/errors.js';
import type { ClaimTicket } from '../contract/enrolment.js';
import type { ClaimFile } from '../contract/messages.js';
import type { KeysTable } from './keys.js';
import type { KvTable } from './kv.js';
import type { Seal } from './seal.js';
import type { Sql } from './sql.js';

/** To which center the box belongs. */
export interface Claim {
  id: string;
  state: 'pending' | 'active' | 'ended';
  site: string;
  box: string;
  /** Without its password. */
  center: Omit<ClaimFile['center'], 'password'>;
  createdMs: number;
  activatedMs: number | null;
  endedMs: number | null;
  endedWhy: string | null;
}

/** A claim whose one-time secret the center has not seen yet. */
export interface Waiting {
  ticket: ClaimTicket;
  /** Id of the claim that its file made; null: a code, the center will say who the box is. */
  claim: string | null;
  sinceMs: number;
}

interface Row extends Omit<Claim, 'center'> {
  center: string;
}

/** What the broker of an ended claim still shows of the box, and the login that is kept to take it back. */
export interface Farewell {
  /** Of the claim. */
  id: string;
  site: string;
  box: string;
  center: Claim['center'];
  /** For the broker; null: it has none. */
  password: string | null;
  sinceMs: number;
}

const FAREWELL = 'claim.farewell';
interface StoredFarewell extends Omit<Farewell, 'password'> {
  /** base64 */
  sealed: string | null;
}

const WAITING = 'claim.waiting';
/** Where the center took the secret. */
const ADDRESS = 'claim.address';
interface StoredWaiting extends Omit<Waiting, 'ticket'> {
  ticket: Omit<ClaimTicket, 'secret'>;
  /** base64 */
  sealed: string;
}

const COLUMNS = `id, state, site, box, center, created_ms as createdMs, activated_ms as activatedMs,
  ended_ms as endedMs, ended_why as endedWhy`;

export function claimsTable(sql: Sql, seal: Seal, keys: KeysTable, kv: KvTable) {
  const current = (): Claim | null => {
    const row = sql.one<Row>(`select ${COLUMNS} from claims where state in ('pending', 'active')`);
    return row === undefined ? null : toClaim(row);
  };
  const waiting = (): Waiting | null => {
    const kept = kv.get(WAITING) as StoredWaiting | null;
    if (kept === null) return null;
    const secret = seal.open(WAITING, Buffer.from(kept.sealed, 'base64'));
    return { ticket: { ...kept.ticket, secret }, claim: kept.claim, sinceMs: kept.sinceMs };
  };
  const wait = ({ ticket: { secret, ...ticket }, ...more }: Waiting): void => {
    const sealed = Buffer.from(seal.close(WAITING, secret)).toString('base64');
    const value: StoredWaiting = { ...more, ticket, sealed };
    kv.put({ key: WAITING, value });
  };
  const refuseIfBound = (): void => {
    const present = current();
    if (present !== null) {
      throw new BluelightError('CLAIMED', `this box already belongs to ${present.center.id} as ${present.box}`, {
        fix: 'end that enrolment first (`bluelight optout`)',
      });
    }
    if (waiting() !== null) {
      throw new BluelightError('CLAIMED', 'another claim of this box waits for its center', {
        fix: 'wait until it is complete, or take it back (`bluelight claim --cancel`)',
      });
    }
  };
  const add = (entry: NewClaim): Claim => {
    insert(sql, seal, entry);
    oweNoMore(entry.file);
    keys.install({
      kid: entry.file.center.key,
      role: 'center',
      statement: entry.id,
      atMs: entry.atMs,
      comeBack: true,
    });
    if (entry.file.authority !== undefined) {
      keys.install({
        kid: entry.file.authority.key,
        role: 'city',
        statement: entry.id,
        atMs: entry.atMs,
        comeBack: true,
      });
    }
    return current()!;
  };
  const password = (id: string): Buffer | null =>
    sql.one<{ sealed: Buffer | null }>('select sealed_password as sealed from claims where id = :id', { id })?.sealed ??
    null;
  const owe = ({ id, atMs }: { id: string; atMs: number }): void => {
    const { site, box, center } = current()!;
    const value: StoredFarewell = { id, site, box, center, sealed: password(id)?.toString('base64') ?? null, sinceMs: atMs }; // prettier-ignore
    kv.put({ key: FAREWELL, value });
  };
  /** Claimed anew by the same center: what it shows is of the new claim from now on. */
  const oweNoMore = (file: ClaimFile): void => {
    const left = kv.get(FAREWELL) as StoredFarewell | null;
    const same = left?.site === file.site && left.box === file.box && left.center.broker === file.center.broker;
    if (same) kv.remove(FAREWELL);
  };
  const end = ({ id, atMs, why }: { id: string; atMs: number; why: string }): void => {
    sql.run(
      `update claims set state = 'ended', ended_ms = :atMs, ended_why = :why, sealed_password = null
       where id = :id and state <> 'ended'`,
      { id, atMs, why },
    );
    kv.remove(ADDRESS);
    for (const role of ['center', 'city'] as const) {
      const key = keys.current(role);
      if (key !== null) keys.revoke({ kid: key.kid, atMs });
    }
  };
  return {
    /** The claim in force or still to be confirmed; null: the box is free. */
    current,
    /** The claim whose secret is still to be shown to the center; null: none. */
    waiting,
    /** Where the center of the claim answers to enrolment; null: the claim came without a secret to show. */
    address: (): string | null => kv.get(ADDRESS) as string | null,
    /** Password for the broker of this claim; null: it has none. */
    password(id: string): string | null {
      const sealed = password(id);
      return sealed === null ? null : seal.open(`claims/${id}`, sealed);
    },
    /**
     * Binds the box and takes the keys of the center, both or neither. The same file again gives the claim that it
     * already made.
     * @throws BluelightError CLAIMED: the box belongs to a center; CLAIM_USED: this file was used and ended; KEY_USED
     */
    add(entry: NewClaim & { ticket: ClaimTicket | null }): Claim {
      return sql.transaction(() => {
        const same = sql.one<Row>(`select ${COLUMNS} from claims where fingerprint = :fingerprint`, {
          fingerprint: entry.fingerprint,
        });
        if (same !== undefined) return again(toClaim(same));
        refuseIfBound();
        const added = add(entry);
        if (entry.ticket !== null) wait({ ticket: entry.ticket, claim: entry.id, sinceMs: entry.atMs });
        return added;
      });
    },
    /**
     * A code: who the box is will be known when the center has answered.
     * @throws BluelightError CLAIMED
     */
    wait(entry: { ticket: ClaimTicket; atMs: number }): void {
      sql.transaction(() => {
        const present = waiting();
        if (present !== null && isSame(present.ticket, entry.ticket)) return;
        refuseIfBound();
        wait({ ticket: entry.ticket, claim: null, sinceMs: entry.atMs });
      });
    },
    /** The center took the secret. With the claim of a file only the login for the broker is new. */
    enrolled(entry: NewClaim): Claim {
      return sql.transaction(() => {
        const present = current();
        const shown = waiting();
        if (shown !== null) kv.put({ key: ADDRESS, value: shown.ticket.address });
        kv.remove(WAITING);
        if (present === null) return add(entry);
        const { username, password } = entry.file.center;
        const center = { ...present.center, ...(username === undefined ? {} : { username }) };
        sql.run(
          'update claims set center = :center, sealed_password = coalesce(:sealed, sealed_password) where id = :id',
          {
            id: present.id,
            center: JSON.stringify(center),
            sealed: password === undefined ? null : seal.close(`claims/${present.id}`, password),
          },
        );
        return current()!;
      });
    },
    /** The center refused the secret, or a person took the claim back: the box is free again. */
    giveUp(entry: { atMs: number; why: string }): void {
      sql.transaction(() => {
        const present = waiting();
        if (present === null) return;
        kv.remove(WAITING);
        if (present.claim !== null) end({ id: present.claim, ...entry });
      });
    },
    activate(entry: { id: string; atMs: number }): void {
      sql.run(`update claims set state = 'active', activated_ms = :atMs where id = :id and state = 'pending'`, entry);
    },
    /**
     * Ends the claim, forgets the password and revokes the keys that came with it.
     * @param cleared false: its broker was not reached; the password is kept sealed until `farewellDone`
     */
    end({ cleared, ...entry }: { id: string; atMs: number; why: string; cleared: boolean }): void {
      sql.transaction(() => {
        kv.remove(WAITING);
        if (!cleared) owe(entry);
        end(entry);
      });
    },
    /** What is still to be taken back from a broker; null: nothing. */
    farewell(): Farewell | null {
      const left = kv.get(FAREWELL) as StoredFarewell | null;
      if (left === null) return null;
      const { sealed, ...more } = left;
      return {
        ...more,
        password: sealed === null ? null : seal.open(`claims/${left.id}`, Buffer.from(sealed, 'base64')),
      };
    },
    /** It was taken back: the login is erased. */
    farewellDone(): void {
      kv.remove(FAREWELL);
    },
  };
}

interface NewClaim {
  id: string;
  file: ClaimFile;
  fingerprint: string;
  state: 'pending' | 'active';
  atMs: number;
}

function isSame(a: ClaimTicket, b: ClaimTicket): boolean {
  return a.address === b.address && a.secret === b.secret && a.fingerprint === b.fingerprint;
}

function again(claim: Claim): Claim {
  if (claim.state !== 'ended') return claim;
  throw new BluelightError('CLAIM_USED', 'this claim was used before and has ended', {
    fix: 'ask the center for a new claim file',
  });
}

function insert(sql: Sql, seal: Seal, entry: NewClaim): void {
  const { password, ...center } = entry.file.center;
  sql.run(
    `insert into claims (id, state, site, box, center_id, center, sealed_password, fingerprint, created_ms,
       activated_ms)
     values (:id, :state, :site, :box, :centerId, :center, :sealed, :fingerprint, :at, :activated)`,
    {
      id: entry.id,
      state: entry.state,
      site: entry.file.site,
      box: entry.file.box,
      centerId: center.id,
      center: JSON.stringify(center),
      sealed: password === undefined ? null : seal.close(`claims/${entry.id}`, password),
      fingerprint: entry.fingerprint,
      at: entry.atMs,
      activated: entry.state === 'active' ? entry.atMs : null,
    },
  );
}

function toClaim(row: Row): Claim {
  return { ...row, center: JSON.parse(row.center) as Claim['center'] };
}
