import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { selfSigned } from '../base/self-signed.js';
import { isSiteName } from '../contract/enrolment.js';
import type { TableCalls } from '../store/calls.js';

const FILE = 'page.pem';
const DAY_MS = 86_400_000;
const RENEW_BEFORE_MS = 30 * DAY_MS;
export const PAGE_SUBJECT = 'CN=bluelight box';

/** PEM, as node:https takes it. */
export interface PageCertificate {
  key: string;
  /** With that of the authority behind it, if it has one. */
  cert: string;
  /** SHA-256 of the certificate, as browsers show it. */
  fingerprint: string;
  issuer: 'center' | 'self';
  fromMs: number;
  toMs: number;
  /** Made just now: running servers must take it up. */
  fresh: boolean;
}

export interface CertificatePorts {
  tables: Pick<TableCalls, 'files'>;
  clock: Clock;
  log: Log;
}

/**
 * The certificate of the local page: the one at hand as long as it is good, else a self-signed one, made on the box. It
 * is no longer good when it runs out, or, self-signed, when the box is reached by a name or address that it does not
 * name. ECDSA P-256, because browsers take no Ed25519.
 * @param names host names and IP addresses under which the page is opened; localhost is always among them
 * @param only keep no other than a self-signed one
 */
export async function pageCertificate(
  ports: CertificatePorts,
  names: readonly string[],
  only?: 'self',
): Promise<PageCertificate> {
  const wanted = pageNames(names);
  const kept = await ports.tables.files.get(FILE);
  const present = kept === null ? null : read(kept, ports.log);
  const fits = present !== null && (only === undefined || present.issuer === only);
  if (fits && isGood(present, wanted, ports.clock.now())) return { ...present, fresh: false };
  const text = await selfSigned(PAGE_SUBJECT, wanted, ports.clock.now());
  await ports.tables.files.put({ name: FILE, text });
  return { ...read(text, ports.log)!, fresh: true };
}

/** Every name under which the page is opened, as certificates can hold it. */
export function pageNames(names: readonly string[]): string[] {
  return [...new Set(['localhost', '127.0.0.1', '::1', ...names])].filter(isName);
}

/** Those that a center signs. */
export function siteNames(names: readonly string[]): string[] {
  return pageNames(names).filter((name) => isIP(name) !== 0 || isSiteName(name));
}

/**
 * Whether it is time to ask the center for a certificate: for the first, two thirds into the life of the last, or when
 * the box got another name or address.
 */
export function wantsIssued(present: PageCertificate, names: readonly string[], now: number): boolean {
  if (present.issuer === 'self' || !covers(present.cert, siteNames(names))) return true;
  return now >= present.fromMs + ((present.toMs - present.fromMs) * 2) / 3;
}

/**
 * Takes what the center issued for this key, if it is what was asked for.
 * @throws BluelightError CERTIFICATE_BAD
 */
export async function keepIssued(
  ports: CertificatePorts,
  issued: { key: string; certificate: string; ca: string },
  names: readonly string[],
): Promise<PageCertificate> {
  const text = `${issued.key}${line(issued.certificate)}${line(issued.ca)}`;
  const made = read(text, ports.log);
  if (made === null) throw bad('it is not over the key of the page');
  const [leaf, ca] = [new X509Certificate(issued.certificate), new X509Certificate(issued.ca)];
  if (leaf.ca || !ca.ca) throw bad('it is for an authority, or not by one');
  if (!leaf.checkIssued(ca) || !leaf.verify(ca.publicKey)) throw bad('its authority did not sign it');
  if (!covers(made.cert, siteNames(names))) throw bad('it does not hold the names that were asked for');
  if (!isGood(made, [], ports.clock.now())) throw bad('it is not good at this time');
  await ports.tables.files.put({ name: FILE, text });
  return { ...made, fresh: true };
}

function line(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}

function bad(why: string): BluelightError {
  return new BluelightError('CERTIFICATE_BAD', `the certificate that the center issued cannot be used: ${why}`, {
    fix: 'tell the center; the page keeps its own certificate meanwhile',
  });
}

function isName(name: string): boolean {
  // An address with a zone (fe80::1%eth0) means nothing to anybody else.
  return (isIP(name) !== 0 && !name.includes('%')) || /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i.test(name);
}

function read(text: string, log: Log): Omit<PageCertificate, 'fresh'> | null {
  const key = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----\n?/.exec(text)?.[0];
  const certs = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n?/g);
  if (key === undefined || certs === null) return null;
  try {
    const parsed = new X509Certificate(certs[0]!);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) return null;
    return {
      key,
      cert: certs.join(''),
      fingerprint: parsed.fingerprint256,
      issuer: parsed.issuer === parsed.subject ? 'self' : 'center',
      fromMs: Date.parse(parsed.validFrom),
      toMs: Date.parse(parsed.validTo),
    };
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, `${FILE} cannot be read; a new certificate is made`);
    return null;
  }
}

/** One of the center is used until it runs out, with whatever names: a better one is asked for long before. */
function isGood(present: Omit<PageCertificate, 'fresh'>, wanted: readonly string[], now: number): boolean {
  const { cert, issuer, fromMs, toMs } = present;
  if (issuer === 'center') return fromMs <= now && now < toMs;
  return fromMs <= now && now < toMs - RENEW_BEFORE_MS && covers(cert, wanted);
}

function covers(pem: string, names: readonly string[]): boolean {
  const parsed = new X509Certificate(pem);
  return names.every((name) => (isIP(name) ? parsed.checkIP(name) : parsed.checkHost(name)) !== undefined);
}
