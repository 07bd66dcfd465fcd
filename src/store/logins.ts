import { ulid } from '../base/ids.js';
import type { AuditTable } from './audit.js';
import type { Sql } from './sql.js';

export type LoginRole = 'technician' | 'owner' | 'viewer';

export interface Login {
  name: string;
  role: LoginRole;
  /** scrypt, see identity/passwords. */
  secretHash: string;
  expiresMs: number | null;
  createdMs: number;
}

const LOGIN = 'name, role, secret_hash as secretHash, expires_ms as expiresMs, created_ms as createdMs';
/** Who may log in to the local page. Every change has its row in the audit log, in one transaction. */
export function loginsTable(sql: Sql, audit: Pick<AuditTable, 'append'>) {
  const told = (action: string, reason: string, atMs: number): void => {
    const base = { kind: 'login', outcome: 'done', party: 'agent', door: 'auto' } as const;
    audit.append({ ...base, id: ulid(atMs), atMs, action, reason });
  };
  return {
    get(name: string): Login | null {
      return sql.one<Login>(`select ${LOGIN} from logins where name = :name`, { name }) ?? null;
    },
    list(): Login[] {
      return sql.all<Login>(`select ${LOGIN} from logins order by name`);
    },
    put(login: Login): void {
      sql.transaction(() => {
        sql.run(
          `insert into logins (name, role, secret_hash, expires_ms, created_ms)
           values (:name, :role, :secretHash, :expiresMs, :createdMs)
           on conflict (name) do update set role = excluded.role, secret_hash = excluded.secret_hash,
             expires_ms = excluded.expires_ms, created_ms = excluded.created_ms`,
          { ...login },
        );
        told('set', `${login.name}, ${login.role}`, login.createdMs);
      });
    },
    remove(entry: { name: string; atMs: number }): void {
      sql.transaction(() => {
        if (sql.run('delete from logins where name = :name', { name: entry.name }) > 0) {
          told('removed', entry.name, entry.atMs);
        }
      });
    },
  };
}
