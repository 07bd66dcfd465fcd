import { timingSafeEqual } from 'node:crypto';
import { BluelightError } from '../base/errors.js';

/** Of a socket; undefined on the agent's Unix socket. */
export interface Peer {
  localAddress: string | undefined;
  remoteAddress: string | undefined;
}

/** `::ffff:10.0.0.5` and `[::1]` as they are written elsewhere. */
export function plainAddress(text: string): string {
  return text
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:(?=\d+\.)/i, '')
    .toLowerCase();
}

export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = plainAddress(address);
  return plain === '::1' || /^127(\.\d{1,3}){3}$/.test(plain);
}

/**
 * Against DNS rebinding: a page of another site whose name was made to resolve to this box sends that name.
 * Allowed are the configured names, `localhost`, and the very address at which the request arrived.
 */
export function checkHost(host: string | undefined, allowed: readonly string[], peer: Peer): void {
  const name = host === undefined ? undefined : hostName(host);
  const known =
    name !== undefined &&
    (name === 'localhost' ||
      allowed.some((entry) => plainAddress(entry) === name) ||
      (peer.localAddress !== undefined && plainAddress(peer.localAddress) === name));
  if (!known) {
    throw new BluelightError('BAD_HOST', 'This box is not known under the name in the address bar.', {
      fix: 'Open the page by the address of the box, or add the name to web.hosts in the configuration.',
    });
  }
}

function hostName(host: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/.exec(host);
  return match === null ? undefined : plainAddress(match[1]!);
}

/**
 * Against requests that another site's page makes in a visitor's browser. `needed` where the browser's cookie is
 * what lets the request in: browsers send Origin with everything that changes something and with WebSockets.
 */
export function checkOrigin(origin: string | undefined, host: string | undefined, needed: boolean): void {
  if (origin === undefined && !needed) return;
  if (origin !== undefined && host !== undefined && origin.toLowerCase() === `https://${host.toLowerCase()}`) return;
  throw new BluelightError('BAD_ORIGIN', 'This request does not come from the page of this box.', {
    fix: 'Use the page of the box itself, or a program that logs in with a token.',
  });
}

export function checkCsrf(given: string | undefined, wanted: string): void {
  const a = Buffer.from(given ?? '');
  const b = Buffer.from(wanted);
  if (a.length === b.length && timingSafeEqual(a, b)) return;
  throw new BluelightError('BAD_CSRF', 'The page is out of date with its session.', { fix: 'Reload the page.' });
}

/** `name=value; …` -> the value, undefined if it is not there. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}

/**
 * Sent with every answer. No HSTS: the certificate may be self-signed, and HSTS takes away the way past the warning.
 * `wss:` by name, because older Safari does not count it to 'self'.
 */
export function securityHeaders(host: string | undefined): Record<string, string> {
  const sockets = host === undefined || hostName(host) === undefined ? '' : ` wss://${host}`;
  return {
    'content-security-policy': [
      "default-src 'self'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data: blob:",
      "media-src 'self' blob:",
      `connect-src 'self'${sockets}`,
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ].join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    // The camera of the phone reads the QR code of a claim; what it sees stays in the browser.
    'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
  };
}
