import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { DigestAlgorithm, LockOut, LoginCount } from './options.js';

/** The camera's only account, counted as real cameras count: what failed, and when nobody is let in any more. */
export class LoginGuard {
  #accepted = 0;
  #refused = 0;
  #inARow = 0;
  #lockedUntil = -Infinity;

  constructor(
    readonly username: string,
    private readonly password: () => string,
    private readonly lockOut: LockOut | undefined,
    private readonly monotonic: () => number,
  ) {}

  /** Judges one login. `proof` computes from the password whether the client knew it. */
  login(username: string, proof: (password: string) => boolean): boolean {
    const right = !this.#locked() && username === this.username && proof(this.password());
    if (right) {
      this.#accepted++;
      this.#inARow = 0;
      return true;
    }
    this.#refused++;
    this.#inARow++;
    if (this.lockOut !== undefined && this.#inARow >= this.lockOut.after && !this.#locked()) {
      this.#lockedUntil = this.monotonic() + this.lockOut.forMs;
      this.#inARow = 0;
    }
    return false;
  }

  counts(): LoginCount {
    return { accepted: this.#accepted, refused: this.#refused, lockedOut: this.#locked() };
  }

  #locked(): boolean {
    return this.monotonic() < this.#lockedUntil;
  }
}

const NONCE_LIFE_MS = 300_000;

export type DigestVerdict = 'ok' | 'refused' | 'stale' | 'absent';

/** The server's half of HTTP Digest (RFC 7616), for RTSP, SOAP and snapshots alike. */
export class DigestServer {
  readonly #secret = randomBytes(16);

  constructor(
    private readonly realm: string,
    private readonly algorithms: readonly DigestAlgorithm[],
    private readonly guard: LoginGuard,
    private readonly monotonic: () => number,
  ) {}

  /** Values of the `WWW-Authenticate` headers, one per algorithm. */
  challenges(stale = false): string[] {
    const time = Math.floor(this.monotonic()).toString(16);
    const nonce = `${time}.${this.#sign(time)}`;
    return this.algorithms.map(
      (algorithm) =>
        `Digest realm="${this.realm}", qop="auth", nonce="${nonce}", algorithm=${algorithm}` +
        (stale ? ', stale=true' : ''),
    );
  }

  /** Checks an `Authorization` header. Only an answer to a fresh challenge counts as a login. */
  verify(method: string, header: string | undefined): DigestVerdict {
    if (header === undefined) return 'absent';
    const fields = parseDigest(header);
    if (fields === undefined) {
      this.guard.login('', () => false);
      return 'refused';
    }
    const { nonce = '', uri = '', response = '', qop, nc = '', cnonce = '' } = fields;
    const [time = '', signature] = nonce.split('.');
    if (signature !== this.#sign(time)) return 'stale';
    if (this.monotonic() - parseInt(time, 16) > NONCE_LIFE_MS) return 'stale';
    const algorithm = (fields.algorithm ?? 'MD5').toUpperCase();
    if (!this.algorithms.some((known) => known === algorithm)) return 'refused';
    const hash = (text: string): string =>
      createHash(algorithm === 'SHA-256' ? 'sha256' : 'md5')
        .update(text, 'utf8')
        .digest('hex');
    const right = this.guard.login(fields.username ?? '', (password) => {
      const ha1 = hash(`${fields.username ?? ''}:${this.realm}:${password}`);
      const ha2 = hash(`${method}:${uri}`);
      const wanted = qop === undefined ? `${ha1}:${nonce}:${ha2}` : `${ha1}:${nonce}:${nc}:${cnonce}:${qop}:${ha2}`;
      return same(hash(wanted), response);
    });
    return right ? 'ok' : 'refused';
  }

  #sign(time: string): string {
    return createHmac('sha256', this.#secret).update(time).digest('hex').slice(0, 24);
  }
}

function parseDigest(header: string): Record<string, string> | undefined {
  const match = /^Digest\s+(.*)$/is.exec(header.trim());
  if (match === null) return undefined;
  const fields: Record<string, string> = {};
  for (const part of match[1]!.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,]*))/g)) {
    fields[part[1]!.toLowerCase()] = part[2] ?? part[3] ?? '';
  }
  return fields;
}

export interface UsernameToken {
  username: string;
  password: string;
  digest: boolean;
  nonce: string;
  created: string;
}

/** How far `Created` may be from the camera's own clock; real devices allow about 5 s. */
const CREATED_WINDOW_MS = 5_000;

/** WS-UsernameToken with PasswordDigest = Base64(SHA-1(nonce + created + password)) (WSS UsernameToken Profile 1.0 §3.1). */
export function verifyUsernameToken(token: UsernameToken, guard: LoginGuard, cameraNowMs: number): boolean {
  const created = Date.parse(token.created);
  const inTime = Number.isFinite(created) && Math.abs(created - cameraNowMs) <= CREATED_WINDOW_MS;
  return guard.login(token.username, (password) => {
    if (!token.digest || !inTime) return false;
    const nonce = Buffer.from(token.nonce, 'base64');
    const sum = createHash('sha1').update(nonce).update(token.created, 'utf8').update(password, 'utf8');
    return same(sum.digest('base64'), token.password);
  });
}

function same(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
