import { createCipheriv, createDecipheriv, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { privateKeyFromSeed, publicKeyText, signerFromKey, type Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';
import type { Logins } from './logins.js';
import { derive } from './passwords.js';

/** Twice the cost of a login, RFC 7914: 64 MiB per guess for who holds a copy of the database. */
const COST = { N: 2 ** 16, r: 8, p: 1 } as const;

const base64 = z.string().regex(/^[A-Za-z0-9+/]+=*$/);
const wrappedKey = z.object({
  v: z.literal(1),
  kdf: z.literal('scrypt'),
  N: z
    .number()
    .int()
    .max(2 ** 20),
  r: z.number().int().max(32),
  p: z.number().int().max(16),
  salt: base64,
  nonce: base64,
  tag: base64,
  body: base64,
});
type WrappedKey = z.infer<typeof wrappedKey>;

/**
 * The owner's signing key: made on the box, kept only wrapped by the owner's passphrase. Nobody can reset it, neither
 * the technician nor the city: who loses the passphrase can end sharing (`forget`), but not open it.
 */
export class Owner {
  readonly #tables: Pick<TableCalls, 'keys'>;
  readonly #logins: Logins;
  readonly #clock: Clock;

  constructor(tables: Pick<TableCalls, 'keys'>, logins: Logins, clock: Clock) {
    this.#tables = tables;
    this.#logins = logins;
    this.#clock = clock;
  }

  /** The owner's public key; null: nobody has set one up. */
  async keyId(): Promise<string | null> {
    return (await this.#tables.keys.current('owner'))?.kid ?? null;
  }

  /**
   * Makes key and login, both under one passphrase. Gives the public key.
   * @throws BluelightError OWNER_EXISTS | LOGIN_NAME_BAD | PASSWORD_SHORT
   */
  async setUp(name: string, passphrase: string): Promise<string> {
    if ((await this.keyId()) !== null) {
      throw new BluelightError('OWNER_EXISTS', 'this box has an owner', {
        fix: 'the owner changes the passphrase; if it is lost, end sharing and set up the box anew',
      });
    }
    await this.#logins.setPassword(name, 'owner', passphrase);
    const { privateKey } = generateKeyPairSync('ed25519');
    const kid = publicKeyText(privateKey);
    const wrapped = await wrap(privateKey, kid, passphrase);
    await this.#tables.keys.install({ kid, role: 'owner', wrapped, atMs: this.#clock.now() });
    return kid;
  }

  /**
   * The key, open for as long as the caller holds it. Guessing is slowed down at the doors.
   * @throws BluelightError NO_OWNER | PASSPHRASE_WRONG
   */
  async unlock(passphrase: string): Promise<Signer> {
    const key = await this.#tables.keys.current('owner');
    if (key === null) {
      throw new BluelightError('NO_OWNER', 'nobody has set up an owner', { fix: 'set up the owner on the page first' });
    }
    const opened = await unwrap(wrappedKey.parse(key.wrapped), key.kid, passphrase);
    if (opened === null) throw wrong();
    return signerFromKey(opened);
  }

  /**
   * Another passphrase for the same key and for the owner's login, whose name it gives.
   * @throws as `unlock`; PASSWORD_SHORT
   */
  async changePassphrase(before: string, after: string): Promise<string> {
    const key = await this.#tables.keys.current('owner');
    await this.unlock(before);
    const opened = await unwrap(wrappedKey.parse(key!.wrapped), key!.kid, before);
    const name = (await this.#login()) ?? 'owner';
    // A power cut in between leaves the key under the old one: the change can be made again.
    await this.#logins.setPassword(name, 'owner', after);
    const wrapped = await wrap(opened!, key!.kid, after);
    await this.#tables.keys.rewrap({ kid: key!.kid, wrapped, atMs: this.#clock.now() });
    return name;
  }

  /** Gives up the key for good, and the login, whose name it gives. The caller ends sharing. */
  async forget(): Promise<string | null> {
    const login = await this.#login();
    const kid = await this.keyId();
    if (kid !== null) await this.#tables.keys.revoke({ kid, atMs: this.#clock.now() });
    if (login !== null) await this.#logins.remove(login);
    return login;
  }

  async #login(): Promise<string | null> {
    return (await this.#logins.list()).find(({ role }) => role === 'owner')?.name ?? null;
  }

  /** Whether an owner gave up his key, or lost it, at any time. */
  async wasLost(): Promise<boolean> {
    return (await this.#tables.keys.list()).some(({ role, state }) => role === 'owner' && state === 'revoked');
  }
}

function wrong(): BluelightError {
  return new BluelightError('PASSPHRASE_WRONG', 'the passphrase of the owner is wrong', { fix: 'try again' });
}

/** AES-256-GCM over the 32-byte seed, bound to the public key. */
async function wrap(key: KeyObject, kid: string, passphrase: string): Promise<WrappedKey> {
  const seed = Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url');
  const salt = randomBytes(16);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, salt, COST, 32), nonce);
  cipher.setAAD(Buffer.from(kid));
  const body = Buffer.concat([cipher.update(seed), cipher.final()]);
  return {
    v: 1,
    kdf: 'scrypt',
    ...COST,
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    body: body.toString('base64'),
  };
}

/** Null: the passphrase does not open it. */
async function unwrap(wrapped: WrappedKey, kid: string, passphrase: string): Promise<KeyObject | null> {
  const { N, r, p } = wrapped;
  const secret = await derive(passphrase, Buffer.from(wrapped.salt, 'base64'), { N, r, p }, 32);
  const decipher = createDecipheriv('aes-256-gcm', secret, Buffer.from(wrapped.nonce, 'base64'));
  decipher.setAAD(Buffer.from(kid));
  decipher.setAuthTag(Buffer.from(wrapped.tag, 'base64'));
  const seed = decipher.update(Buffer.from(wrapped.body, 'base64'));
  try {
    decipher.final();
  } catch {
    return null;
  }
  const key = privateKeyFromSeed(seed);
  return publicKeyText(key) === kid ? key : null;
}
