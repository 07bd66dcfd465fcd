import { createPrivateKey, createPublicKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import type * as X509 from '@peculiar/x509';

const DAY_MS = 86_400_000;

export const PAGE_KEY: webcrypto.EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-256' };

/** What browsers accept of a server certificate. */
const LIFETIME_MS = 397 * DAY_MS;

/**
 * The key and an X.509 v3 certificate over it (RFC 5280 §4.1), signed with itself, as PEM.
 * @param subject such as `CN=bluelight box`
 * @param names host names and IP addresses that it is good for
 */
export async function selfSigned(subject: string, names: readonly string[], now: number): Promise<string> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(PAGE_KEY, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      keys,
      signingAlgorithm: { ...PAGE_KEY, hash: 'SHA-256' },
      name: subject,
      ...serverCertificate(x509, names, now),
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return `${key}${certificate.toString('pem')}\n`;
}

/** A new key and a request for a certificate over it (PKCS #10, RFC 2986), as PEM. */
export async function certificateRequest(
  subject: string,
  names: readonly string[],
): Promise<{ key: string; csr: string }> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(PAGE_KEY, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      keys,
      signingAlgorithm: { ...PAGE_KEY, hash: 'SHA-256' },
      name: subject,
      extensions: [namesExtension(x509, names)],
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { key, csr: `${request.toString('pem')}\n` };
}

/** What a certificate of a web server says beside its key and who signed it. */
export function serverCertificate(x509: typeof X509, names: readonly string[], now: number) {
  return {
    // A leading 1 keeps it positive and never zero.
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    // A day back, for clients whose clock is behind.
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now - DAY_MS + LIFETIME_MS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      namesExtension(x509, names),
    ],
  };
}

export function namesExtension(x509: typeof X509, names: readonly string[]): X509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension(
    names.map((name) => (isIP(name) === 0 ? { type: 'dns', value: name } : { type: 'ip', value: plainAddress(name) })),
  );
}

/** A P-256 private key in PEM as the library wants it. */
export async function webKeys(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  const privateKey = createPrivateKey(pem);
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return {
    privateKey: await subtle.importKey('pkcs8', pkcs8, PAGE_KEY, false, ['sign']),
    publicKey: await subtle.importKey('spki', spki, PAGE_KEY, true, ['verify']),
  };
}

/** IPv6 in hexadecimal groups only, as the URL parser writes it: the library misreads `::ffff:1.2.3.4`. */
function plainAddress(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/**
 * The library for X.509. Loaded only where a certificate is made, once a year: it takes longer to load than most commands run. The container
 * inside of it refuses to load without the metadata functions of a decorator proposal, but keeps nothing that the
 * certificate needs in them: functions that know nothing are enough.
 */
export async function library(): Promise<typeof X509> {
  const reflect = Reflect as typeof Reflect &
    Partial<Record<'getMetadata' | 'getOwnMetadata' | 'defineMetadata', unknown>>;
  reflect.getMetadata ??= () => undefined;
  reflect.getOwnMetadata ??= () => undefined;
  reflect.defineMetadata ??= () => undefined;
  return import('@peculiar/x509');
}
