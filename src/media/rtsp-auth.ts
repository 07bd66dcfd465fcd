import { createHash } from 'node:crypto';
import { BluelightError } from '../base/errors.js';

/** One way to log in that a server offers (`WWW-Authenticate`, RFC 7235 §4.1). Parameter names in lower case. */
export interface Challenge {
  scheme: string;
  parameters: ReadonlyMap<string, string>;
}

/** Schemes and parameters of all `WWW-Authenticate` headers; one header may hold several challenges. */
export function parseChallenges(values: readonly string[]): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  for (const value of values) {
    for (const match of value.matchAll(/([\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g)) {
      const [, name = '', quoted, plain] = match;
      if (quoted === undefined && plain === undefined)
        found.push({ scheme: name.toLowerCase(), parameters: new Map() });
      else found.at(-1)?.parameters.set(name.toLowerCase(), plain ?? quoted!.replace(/\\(.)/g, '$1'));
    }
  }
  return found;
}

/** Hash functions by their names in RFC 7616 §6.1, strongest first. */
const ALGORITHMS: readonly (readonly [string, string])[] = [
  ['SHA-512-256', 'sha512-256'],
  ['SHA-256', 'sha256'],
  ['MD5', 'md5'],
];

interface DigestTerms {
  kind: 'digest';
  realm: string;
  nonce: string;
  opaque: string | undefined;
  /** As the server wrote it; undefined if it did not. */
  algorithm: string | undefined;
  hash: string;
  session: boolean;
  qop: boolean;
}

/** Why no login is tried where only Basic is offered, and what to do. */
export const CLEAR_ONLY = {
  message: 'the camera wants the password in clear text only',
  fix: 'switch it to digest authentication; if it knows none, its address in the setting cameras.basic_login allows it, and everybody in its network can then read the password',
} as const;

/** How to log in, chosen from what is offered. */
export type Terms = DigestTerms | { kind: 'basic' };

/**
 * The best of the ways offered. Basic hands the password to everybody on the line, so it is taken only if allowed.
 * Undefined if nothing is usable; `clearOnly` of the second result tells that only Basic is offered.
 */
export function chooseTerms(
  challenges: readonly Challenge[],
  allowBasic: boolean,
): { terms: Terms | undefined; clearOnly: boolean } {
  const digests = challenges.filter((one) => one.scheme === 'digest').map(digestTerms);
  const usable = digests.filter((one) => one !== undefined);
  usable.sort((a, b) => strength(a) - strength(b));
  if (usable[0] !== undefined) return { terms: usable[0], clearOnly: false };
  const basic = challenges.some((one) => one.scheme === 'basic');
  return { terms: basic && allowBasic ? { kind: 'basic' } : undefined, clearOnly: basic && !allowBasic };
}

function strength(terms: DigestTerms): number {
  return ALGORITHMS.findIndex(([, hash]) => hash === terms.hash);
}

function digestTerms(challenge: Challenge): DigestTerms | undefined {
  const get = (name: string): string | undefined => challenge.parameters.get(name);
  const algorithm = get('algorithm');
  const plain = (algorithm ?? 'MD5').toUpperCase();
  const session = plain.endsWith('-SESS');
  const hash = ALGORITHMS.find(([name]) => name === plain.replace(/-SESS$/, ''))?.[1];
  const offered = get('qop')?.split(',').map((one) => one.trim().toLowerCase()); // prettier-ignore
  const qop = offered?.includes('auth') ?? false;
  const nonce = get('nonce');
  if (hash === undefined || nonce === undefined || (offered !== undefined && !qop && !offered.includes('')))
    return undefined;
  return { kind: 'digest', realm: get('realm') ?? '', nonce, opaque: get('opaque'), algorithm, hash, session, qop };
}

/** Whether the server only wants a fresh nonce: the password was right (RFC 7616 §3.3 stale). */
export function isStale(challenges: readonly Challenge[]): boolean {
  return challenges.some((one) => one.parameters.get('stale')?.toLowerCase() === 'true');
}

export interface LoginRequest {
  username: string;
  password: string;
  method: string;
  uri: string;
  /** Requests made with this nonce, this one included. */
  count: number;
  /** Our own random value; the same as long as the nonce is the same. */
  cnonce: string;
}

/** The value of `Authorization` for one request (RFC 7616 §3.4; without qop RFC 2069; Basic: RFC 7617). */
export function authorization(terms: Terms, login: LoginRequest): string {
  const { username, password, method, uri, cnonce } = login;
  if (/[\r\n\0]/.test(username + password)) {
    throw new BluelightError('CAMERA_CREDENTIALS', 'user name or password contains a line break');
  }
  if (terms.kind === 'basic') return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
  const h = (text: string): string => createHash(terms.hash).update(text, 'utf8').digest('hex');
  const secret = h(`${username}:${terms.realm}:${password}`);
  const ha1 = terms.session ? h(`${secret}:${terms.nonce}:${cnonce}`) : secret;
  const ha2 = h(`${method}:${uri}`);
  const nc = login.count.toString(16).padStart(8, '0');
  const response = terms.qop
    ? h(`${ha1}:${terms.nonce}:${nc}:${cnonce}:auth:${ha2}`)
    : h(`${ha1}:${terms.nonce}:${ha2}`);
  const parts = [
    `username=${quote(username)}`,
    `realm=${quote(terms.realm)}`,
    `nonce=${quote(terms.nonce)}`,
    `uri=${quote(uri)}`,
    `response="${response}"`,
  ];
  if (terms.algorithm !== undefined) parts.push(`algorithm=${terms.algorithm}`);
  if (terms.opaque !== undefined) parts.push(`opaque=${quote(terms.opaque)}`);
  if (terms.qop) parts.push('qop=auth', `nc=${nc}`);
  if (terms.qop || terms.session) parts.push(`cnonce="${cnonce}"`);
  return `Digest ${parts.join(', ')}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
