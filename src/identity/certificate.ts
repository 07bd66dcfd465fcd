import { createPrivateKey, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import type * as X509 from '@peculiar/x509';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { TableCalls } from '../store/calls.js';

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
  const text = await make(wanted, ports.clock.now());
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

const KEY: webcrypto.EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-256' };

/** The key and an X.509 v3 certificate over it (RFC 5280 §4.1), signed with itself, as PEM. */
async function make(names: readonly string[], now: number): Promise<string> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      keys,
      signingAlgorithm: { ...KEY, hash: 'SHA-256' },
      name: 'CN=bluelight box',
      // A leading 1 keeps it positive and never zero.
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      // A day back, for clients whose clock is behind.
      notBefore: new Date(now - DAY_MS),
      notAfter: new Date(now - DAY_MS + LIFETIME_MS),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) =>
            isIP(name) === 0 ? { type: 'dns', value: name } : { type: 'ip', value: plainAddress(name) },
          ),
        ),
      ],
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return `${key}${certificate.toString('pem')}\n`;
}

/** IPv6 in hexadecimal groups only, as the URL parser writes it: the library misreads `::ffff:1.2.3.4`. */
function plainAddress(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/**
 * Loaded only where a certificate is made, once a year: it takes longer to load than most commands run. The container
 * inside of it refuses to load without the metadata functions of a decorator proposal, but keeps nothing that the
 * certificate needs in them: functions that know nothing are enough.
 */
async function library(): Promise<typeof X509> {
  const reflect = Reflect as typeof Reflect &
    Partial<Record<'getMetadata' | 'getOwnMetadata' | 'defineMetadata', unknown>>;
  reflect.getMetadata ??= () => undefined;
  reflect.getOwnMetadata ??= () => undefined;
  reflect.defineMetadata ??= () => undefined;
  return import('@peculiar/x509');
}
