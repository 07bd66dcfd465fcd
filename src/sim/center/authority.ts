import { generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pkcs10CertificateRequest } from '@peculiar/x509';
import { BluelightError, errorCode, errorMessage } from '../../base/errors.js';
import { writeFileAtomic } from '../../base/files.js';
import { isSiteName } from '../../contract/enrolment.js';
import { library, PAGE_KEY, serverCertificate, webKeys } from '../../base/self-signed.js';

const YEAR_MS = 365 * 86_400_000;
const SIGNING = { ...PAGE_KEY, hash: 'SHA-256' };
const MOST_NAMES = 300;

/** Signs the certificates of the local pages of the center's boxes. */
export interface Authority {
  /** PEM: what technicians put into their browsers. */
  readonly certificate: string;
  /** @throws BluelightError BAD_CSR: not signed with its own key, or asks for names of the world outside */
  sign(csr: string, nowMs: number): Promise<{ certificate: string; ca: string }>;
}

/** Key and certificate lie in `dir`, made at the first start. */
export async function openAuthority(dir: string, center: string, nowMs: number): Promise<Authority> {
  const path = join(dir, 'authority.pem');
  const text = read(path) ?? (await make(path, center, nowMs));
  const ca = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n?/.exec(text)![0];
  const key = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----\n?/.exec(text)![0];
  return {
    certificate: ca,
    async sign(csr, now) {
      const x509 = await library();
      const request = await readRequest(csr);
      const issuer = new x509.X509Certificate(ca);
      const { privateKey } = await webKeys(key);
      const names = await requestedNames(request);
      const { extensions, ...certificate } = serverCertificate(x509, names, now);
      const made = await x509.X509CertificateGenerator.create(
        {
          ...certificate,
          extensions: [...extensions, await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto)],
          subject: request.subject,
          issuer: issuer.subject,
          publicKey: await request.publicKey.export(webcrypto),
          signingKey: privateKey,
          signingAlgorithm: SIGNING,
        },
        webcrypto,
      );
      return { certificate: `${made.toString('pem')}\n`, ca };
    },
  };
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

async function make(path: string, center: string, nowMs: number): Promise<string> {
  const x509 = await library();
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();
  const keys = await webKeys(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      keys,
      signingAlgorithm: SIGNING,
      name: `CN=bluelight center ${center}`,
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      notBefore: new Date(nowMs - YEAR_MS),
      notAfter: new Date(nowMs + 10 * YEAR_MS),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const text = `${key}${certificate.toString('pem')}\n`;
  writeFileAtomic(path, text);
  return text;
}

async function readRequest(csr: string): Promise<Pkcs10CertificateRequest> {
  const x509 = await library();
  try {
    const request = new x509.Pkcs10CertificateRequest(csr);
    if (await request.verify(webcrypto)) return request;
  } catch (cause) {
    throw badRequest(errorMessage(cause), cause);
  }
  throw badRequest('it is not signed with its own key');
}

async function requestedNames(request: Pkcs10CertificateRequest): Promise<string[]> {
  const x509 = await library();
  const extension = request.extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension);
  const names = (extension?.names.items ?? []).map(({ type, value }) => ({ type, value }));
  if (names.length === 0 || names.length > MOST_NAMES) throw badRequest(`it asks for ${names.length} names`);
  const foreign = names.find(({ type, value }) => type !== 'ip' && (type !== 'dns' || !isSiteName(value)));
  if (foreign !== undefined) throw badRequest(`"${foreign.value}" is no name of a local network`);
  return names.map(({ value }) => value);
}

function badRequest(why: string, cause?: unknown): BluelightError {
  return new BluelightError('BAD_CSR', `no certificate for this request: ${why}`, { cause });
}
