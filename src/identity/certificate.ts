import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { TableCalls } from '../store/calls.js';
import {
  bits,
  boolean,
  context,
  generalNames,
  integer,
  octets,
  oid,
  pem,
  sequence,
  set,
  time,
  utf8,
  type Der,
} from './der.js';

const FILE = 'page.pem';
const DAY_MS = 86_400_000;
/** What browsers accept of a server certificate. */
const LIFETIME_MS = 397 * DAY_MS;
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
  const text = make(wanted, ports.clock.now());
  await ports.tables.files.put({ name: FILE, text });
  return { ...read(text, ports.log)!, fresh: true };
}

function isName(name: string): boolean {
  return isIP(name) !== 0 || /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i.test(name);
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

/** X.509 v3 (RFC 5280 §4.1), signed with its own key by ecdsa-with-SHA256 (RFC 5758 §3.2). */
function make(names: readonly string[], now: number): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const name = sequence(set(sequence(oid('2.5.4.3'), utf8('bluelight box'))));
  const body = sequence(
    context(0, integer(Buffer.of(2))),
    // A leading 1 keeps it positive and never zero.
    integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    algorithm,
    name,
    // A day back, for clients whose clock is behind.
    sequence(time(now - DAY_MS), time(now - DAY_MS + LIFETIME_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...extensions(names))),
  );
  const certificate = sequence(body, algorithm, bits(sign('sha256', body, privateKey)));
  return `${privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()}${pem('CERTIFICATE', certificate)}`;
}

function extensions(names: readonly string[]): Der[] {
  const extension = (id: string, critical: boolean, value: Der): Der =>
    sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
  return [
    // basicConstraints: no CA.
    extension('2.5.29.19', true, sequence()),
    // keyUsage: digitalSignature, the first of 8 bits.
    extension('2.5.29.15', true, bits(Buffer.of(0x80), 7)),
    // extKeyUsage: serverAuth.
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', false, generalNames(names)),
  ];
}
