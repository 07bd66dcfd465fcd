import { BluelightError } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import type { AuditTable } from './audit.js';
import type { Sql } from './sql.js';

export type KeyRole = 'box' | 'center' | 'owner' | 'city';

/** A public key that counts for this box, or did. */
export interface StoredKey {
  /** Raw Ed25519, base64url. */
  kid: string;
  role: KeyRole;
  state: 'current' | 'former' | 'revoked';
  /** The owner's private key under the owner's passphrase. */
  wrapped: unknown;
  /** The signed statement that brought it in. */
  statement: string | null;
  sinceMs: number;
  endedMs: number | null;
}

const COLUMNS = 'kid, role, state, wrapped, statement, since_ms as sinceMs, ended_ms as endedMs';
type Row = Omit<StoredKey, 'wrapped'> & { wrapped: string | null };

export function keysTable(sql: Sql, audit: Pick<AuditTable, 'append'>) {
  // In the transaction of the change: no key comes or goes without a row.
  const told = (action: string, kid: string, atMs: number): void => {
    const base = { kind: 'key', outcome: 'done', party: 'agent', door: 'auto' } as const;
    audit.append({ ...base, id: ulid(atMs), atMs, action, reason: `key ${kid}` });
  };
  const current = (role: KeyRole): StoredKey | null => {
    const row = sql.one<Row>(`select ${COLUMNS} from keys where role = :role and state = 'current'`, { role });
    return row === undefined ? null : toKey(row);
  };
  return {
    current,
    list(): StoredKey[] {
      return sql.all<Row>(`select ${COLUMNS} from keys order by role, since_ms, kid`).map(toKey);
    },
    /**
     * Makes a key the current one of its role; the one before becomes `former`.
     * @param key.comeBack a new claim brings it: a key that went with an ended claim (`revoked`) counts again; one that
     *   was replaced by another (`former`) never
     * @throws BluelightError KEY_USED: a key that was replaced or revoked never comes back
     */
    install(key: {
      kid: string;
      role: KeyRole;
      wrapped?: unknown;
      statement?: string;
      atMs: number;
      comeBack?: boolean;
    }): void {
      sql.transaction(() => {
        const known = sql.one<{ role: string; state: string }>('select role, state from keys where kid = :kid', {
          kid: key.kid,
        });
        if (known?.state === 'current' && known.role === key.role) return;
        const back = key.comeBack === true && known?.state === 'revoked' && known.role === key.role;
        if (known !== undefined && !back) {
          throw new BluelightError('KEY_USED', `the key ${key.kid} was in use before (${known.role}, ${known.state})`, {
            fix: 'make a new key',
          });
        }
        sql.run(`update keys set state = 'former', ended_ms = :at where role = :role and state = 'current'`, {
          at: key.atMs,
          role: key.role,
        });
        sql.run(
          `insert into keys (kid, role, state, wrapped, statement, since_ms)
           values (:kid, :role, 'current', :wrapped, :statement, :at)
           on conflict (kid) do update set state = 'current', statement = excluded.statement,
             since_ms = excluded.since_ms, ended_ms = null`,
          {
            kid: key.kid,
            role: key.role,
            wrapped: key.wrapped === undefined ? null : JSON.stringify(key.wrapped),
            statement: key.statement ?? null,
            at: key.atMs,
          },
        );
        told(`${key.role}.new`, key.kid, key.atMs);
      });
    },
    /** The same key under another passphrase. */
    rewrap(entry: { kid: string; wrapped: unknown; atMs: number }): void {
      sql.transaction(() => {
        sql.run('update keys set wrapped = :wrapped where kid = :kid', {
          kid: entry.kid,
          wrapped: JSON.stringify(entry.wrapped),
        });
        told('passphrase', entry.kid, entry.atMs);
      });
    },
    revoke(entry: { kid: string; atMs: number }): void {
      sql.transaction(() => {
        const role = sql.one<{ role: string }>('select role from keys where kid = :kid', { kid: entry.kid })?.role;
        if (role === undefined) return;
        sql.run(`update keys set state = 'revoked', ended_ms = :atMs, wrapped = null where kid = :kid`, entry);
        told(`${role}.revoked`, entry.kid, entry.atMs);
      });
    },
  };
}

export type KeysTable = ReturnType<typeof keysTable>;

function toKey(row: Row): StoredKey {
  return { ...row, wrapped: row.wrapped === null ? null : (JSON.parse(row.wrapped) as unknown) };
}
