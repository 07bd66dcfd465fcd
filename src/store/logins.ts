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
/** Who may log in to the local page. */
export function loginsTable(sql: Sql) {
  return {
    get(name: string): Login | null {
      return sql.one<Login>(`select ${LOGIN} from logins where name = :name`, { name }) ?? null;
    },
    list(): Login[] {
      return sql.all<Login>(`select ${LOGIN} from logins order by name`);
    },
    put(login: Login): void {
      sql.run(
        `insert into logins (name, role, secret_hash, expires_ms, created_ms)
         values (:name, :role, :secretHash, :expiresMs, :createdMs)
         on conflict (name) do update set role = excluded.role, secret_hash = excluded.secret_hash,
           expires_ms = excluded.expires_ms, created_ms = excluded.created_ms`,
        { ...login },
      );
    },
    remove(name: string): void {
      sql.run('delete from logins where name = :name', { name });
    },
  };
}
