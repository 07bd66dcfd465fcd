import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import type { TableCalls } from '../store/calls.js';
import type { Login, LoginRole } from '../store/logins.js';
import { hashPassword, newCode, passwordFits, readCode } from './passwords.js';

const NAME = /^[\p{L}\p{N}][\p{L}\p{N} .'-]{0,39}$/u;
const SHORTEST_PASSWORD = 10;
const TECHNICIAN = 'technician';

/**
 * Who may log in to the local page. The first code is made on the first start and shown once; nothing has a default
 * password. Sessions are the matter of the page.
 */
export class Logins {
  readonly #tables: Pick<TableCalls, 'logins'>;
  readonly #clock: Clock;

  constructor(tables: Pick<TableCalls, 'logins'>, clock: Clock) {
    this.#tables = tables;
    this.#clock = clock;
  }

  /** The code for the technician if this is the first start, to be printed once; null: there are logins already. */
  async firstCode(): Promise<string | null> {
    return (await this.#tables.logins.list()).length === 0 ? this.newTechnicianCode(null) : null;
  }

  /** A new code for the technician; the one before no longer opens. @param expiresMs null: until replaced */
  async newTechnicianCode(expiresMs: number | null): Promise<string> {
    const code = newCode();
    await this.#put(TECHNICIAN, 'technician', code, expiresMs);
    return code;
  }

  /** @throws BluelightError LOGIN_NAME_BAD | PASSWORD_SHORT | LOGIN_TAKEN */
  async setPassword(name: string, role: LoginRole, password: string): Promise<void> {
    const text = name.normalize('NFC');
    if (!NAME.test(text)) {
      throw new BluelightError('LOGIN_NAME_BAD', 'a name has 1 to 40 letters, digits, spaces, dots and dashes', {
        fix: 'choose another name',
      });
    }
    if ([...password].length < SHORTEST_PASSWORD) {
      throw new BluelightError('PASSWORD_SHORT', `a password has at least ${SHORTEST_PASSWORD} characters`, {
        fix: 'take three or four words',
      });
    }
    const present = await this.#tables.logins.get(text);
    if (present !== null && present.role !== role) {
      throw new BluelightError('LOGIN_TAKEN', `"${text}" is already a ${present.role}`, { fix: 'choose another name' });
    }
    await this.#put(text, role, password, null);
  }

  async remove(name: string): Promise<void> {
    await this.#tables.logins.remove({ name, atMs: this.#clock.now() });
  }

  /** Without the hashes. */
  async list(): Promise<Omit<Login, 'secretHash'>[]> {
    const logins = await this.#tables.logins.list();
    return logins.map(({ secretHash: _, ...login }) => login);
  }

  /**
   * Whose code or password this is; null: nobody's. Slow by design. Every login is tried, so that the time tells
   * nothing of whether one fits.
   */
  async verify(typed: string): Promise<{ name: string; role: LoginRole; expiresMs: number | null } | null> {
    const now = this.#clock.now();
    const code = readCode(typed);
    let found: Login | null = null;
    for (const login of await this.#tables.logins.list()) {
      const secret = login.name === TECHNICIAN && code !== null ? code : typed;
      const fits = await passwordFits(secret, login.secretHash);
      if (fits && (login.expiresMs === null || now < login.expiresMs)) found ??= login;
    }
    return found === null ? null : { name: found.name, role: found.role, expiresMs: found.expiresMs };
  }

  async #put(name: string, role: LoginRole, secret: string, expiresMs: number | null): Promise<void> {
    const secretHash = await hashPassword(secret);
    await this.#tables.logins.put({ name, role, secretHash, expiresMs, createdMs: this.#clock.now() });
  }
}
