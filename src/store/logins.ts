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

export interface StoredSession {
  /** SHA-256 of the token, hex. */
  tokenHash: string;
  name: string;
  role: LoginRole;
  csrfHash: string;
  createdMs: number;
  expiresMs: number;
}

const LOGIN = 'name, role, secret_hash as secretHash, expires_ms as expiresMs, created_ms as createdMs';
const SESSION = `token_hash as tokenHash, name, role, csrf_hash as csrfHash, created_ms as createdMs,
  expires_ms as expiresMs`;

/** Who may log in to the local page, and who is logged in. */
export function loginsTable(sql: Sql) {
  return {
    get(name: string): Login | null {
      return sql.one<Login>(`select ${LOGIN} from logins where name = :name`, { name }) ?? null;
    },
    list(): Login[] {
      return sql.all<Login>(`select ${LOGIN} from logins order by name`);
    },
    /** Adds or replaces a login; whoever was logged in under that name is logged out. */
    put(login: Login): void {
      sql.transaction(() => {
        sql.run('delete from sessions where name = :name', { name: login.name });
        sql.run(
          `insert into logins (name, role, secret_hash, expires_ms, created_ms)
           values (:name, :role, :secretHash, :expiresMs, :createdMs)
           on conflict (name) do update set role = excluded.role, secret_hash = excluded.secret_hash,
             expires_ms = excluded.expires_ms, created_ms = excluded.created_ms`,
          { ...login },
        );
      });
    },
    remove(name: string): void {
      sql.run('delete from logins where name = :name', { name });
    },
    putSession(session: StoredSession): void {
      sql.run(
        `insert into sessions (token_hash, name, role, csrf_hash, created_ms, expires_ms)
         values (:tokenHash, :name, :role, :csrfHash, :createdMs, :expiresMs)`,
        { ...session },
      );
    },
    session(tokenHash: string): StoredSession | null {
      return (
        sql.one<StoredSession>(`select ${SESSION} from sessions where token_hash = :tokenHash`, { tokenHash }) ?? null
      );
    },
    removeSession(tokenHash: string): void {
      sql.run('delete from sessions where token_hash = :tokenHash', { tokenHash });
    },
    pruneSessions(ask: { atMs: number }): number {
      return sql.run('delete from sessions where expires_ms <= :atMs', ask);
    },
  };
}
