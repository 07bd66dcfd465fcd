import { BluelightError } from '../base/errors.js';
import type { ClaimFile } from '../contract/messages.js';
import type { KeysTable } from './keys.js';
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

interface Row extends Omit<Claim, 'center'> {
  center: string;
}

const COLUMNS = `id, state, site, box, center, created_ms as createdMs, activated_ms as activatedMs,
  ended_ms as endedMs, ended_why as endedWhy`;

export function claimsTable(sql: Sql, seal: Seal, keys: KeysTable) {
  const current = (): Claim | null => {
    const row = sql.one<Row>(`select ${COLUMNS} from claims where state in ('pending', 'active')`);
    return row === undefined ? null : toClaim(row);
  };
  return {
    /** The claim in force or still to be confirmed; null: the box is free. */
    current,
    /** Password for the broker of this claim; null: it has none. */
    password(id: string): string | null {
      const row = sql.one<{ sealed: Buffer | null }>('select sealed_password as sealed from claims where id = :id', {
        id,
      });
      return row?.sealed ? seal.open(`claims/${id}`, row.sealed) : null;
    },
    /**
     * Binds the box and takes the keys of the center, both or neither. The same file again gives the claim that it
     * already made.
     * @throws BluelightError CLAIMED: the box belongs to a center; CLAIM_USED: this file was used and ended; KEY_USED
     */
    add(entry: { id: string; file: ClaimFile; fingerprint: string; state: 'pending' | 'active'; atMs: number }): Claim {
      return sql.transaction(() => {
        const same = sql.one<Row>(`select ${COLUMNS} from claims where fingerprint = :fingerprint`, {
          fingerprint: entry.fingerprint,
        });
        if (same !== undefined) return again(toClaim(same));
        const present = current();
        if (present !== null) {
          throw new BluelightError('CLAIMED', `this box already belongs to ${present.center.id} as ${present.box}`, {
            fix: 'end that enrolment first (`bluelight optout`)',
          });
        }
        insert(sql, seal, entry);
        keys.install({ kid: entry.file.center.key, role: 'center', statement: entry.id, atMs: entry.atMs });
        if (entry.file.authority !== undefined) {
          keys.install({ kid: entry.file.authority.key, role: 'city', statement: entry.id, atMs: entry.atMs });
        }
        return current()!;
      });
    },
    activate(entry: { id: string; atMs: number }): void {
      sql.run(`update claims set state = 'active', activated_ms = :atMs where id = :id and state = 'pending'`, entry);
    },
    /** Ends the claim, forgets the password and revokes the keys that came with it. */
    end(entry: { id: string; atMs: number; why: string }): void {
      sql.transaction(() => {
        sql.run(
          `update claims set state = 'ended', ended_ms = :atMs, ended_why = :why, sealed_password = null
           where id = :id and state <> 'ended'`,
          entry,
        );
        for (const role of ['center', 'city'] as const) {
          const key = keys.current(role);
          if (key !== null) keys.revoke({ kid: key.kid, atMs: entry.atMs });
        }
      });
    },
  };
}

function again(claim: Claim): Claim {
  if (claim.state !== 'ended') return claim;
  throw new BluelightError('CLAIM_USED', 'this claim was used before and has ended', {
    fix: 'ask the center for a new claim file',
  });
}

function insert(
  sql: Sql,
  seal: Seal,
  entry: { id: string; file: ClaimFile; fingerprint: string; state: string; atMs: number },
): void {
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
