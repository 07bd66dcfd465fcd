import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { selfSigned } from '../base/self-signed.js';
import type { TableCalls } from '../store/calls.js';

const FILE = 'page.pem';
const DAY_MS = 86_400_000;
const RENEW_BEFORE_MS = 30 * DAY_MS;

/** PEM, as node:https takes it. */
export interface PageCertificate {
  key: string;
  cert: string;
  /** SHA-256 of the certificate, as browsers show it. */
  fingerprint: string;
  /** Made just now: running servers must take it up. */
  fresh: boolean;
}

/**
 * The certificate of the local page: self-signed, made on the box, kept until it runs out or the box is reached by a
 * name or address that it does not name. ECDSA P-256, because browsers take no Ed25519.
 * @param names host names and IP addresses under which the page is opened; localhost is always among them
 */
export async function pageCertificate(
  ports: { tables: Pick<TableCalls, 'files'>; clock: Clock; log: Log },
  names: readonly string[],
): Promise<PageCertificate> {
  const wanted = [...new Set(['localhost', '127.0.0.1', '::1', ...names])].filter(isName);
  const kept = await ports.tables.files.get(FILE);
  const present = kept === null ? null : read(kept, ports.log);
  if (present !== null && isGood(present.cert, wanted, ports.clock.now())) return { ...present, fresh: false };
  const text = await selfSigned('CN=bluelight box', wanted, ports.clock.now());
  await ports.tables.files.put({ name: FILE, text });
  return { ...read(text, ports.log)!, fresh: true };
}

function isName(name: string): boolean {
  // An address with a zone (fe80::1%eth0) means nothing to anybody else.
  return (isIP(name) !== 0 && !name.includes('%')) || /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i.test(name);
}

function read(text: string, log: Log): Omit<PageCertificate, 'fresh'> | null {
  const key = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----\n?/.exec(text)?.[0];
  const cert = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n?/.exec(text)?.[0];
  if (key === undefined || cert === undefined) return null;
  try {
    const parsed = new X509Certificate(cert);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) return null;
    return { key, cert, fingerprint: parsed.fingerprint256 };
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, `${FILE} cannot be read; a new certificate is made`);
    return null;
  }
}

function isGood(pem: string, wanted: readonly string[], now: number): boolean {
  const cert = new X509Certificate(pem);
  const inTime = Date.parse(cert.validFrom) <= now && now < Date.parse(cert.validTo) - RENEW_BEFORE_MS;
  return inTime && wanted.every((name) => (isIP(name) ? cert.checkIP(name) : cert.checkHost(name)) !== undefined);
}
