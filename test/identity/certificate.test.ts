import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:https';
import { isIPv6, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { chromium } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import { pageCertificate, type PageCertificate } from '../../src/identity/certificate.js';
import { localStore } from '../../src/store/local.js';
import { openState, temporaryDir } from '../store/helpers.js';

const NOW = Date.parse('2026-06-03T15:00:00Z');
const DAY = 86_400_000;

function box(now = NOW) {
  const dir = temporaryDir();
  const clock = new FakeClock(now);
  return { dir, clock, ports: { tables: localStore(openState({ dir })), clock, log: silentLog } };
}

function openssl(pem: string, ...args: string[]): string {
  return execFileSync('openssl', ['x509', '-noout', ...args], { input: pem }).toString();
}

test("openssl reads in it what browsers ask for: P-256, the names, no CA, a server's use, 397 days", async () => {
  const { ports } = box();
  const { cert, fingerprint } = await pageCertificate(ports, ['box.local', 'Box-7', '192.168.7.20', 'not a name!']);
  const text = openssl(cert, '-text');
  expect(text).toMatch(/Version: 3 /);
  expect(text).toMatch(/Signature Algorithm: ecdsa-with-SHA256/);
  expect(text).toMatch(/NIST CURVE: P-256/);
  expect(text).toMatch(/Serial Number:\s+01(:[0-9a-f]{2}){15}\s/);
  expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
  expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
  expect(text).toMatch(/X509v3 Extended Key Usage:\s+TLS Web Server Authentication\n/);
  expect(text).toMatch(
    /Subject Alternative Name:\s+DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:/,
  );
  for (const name of ['DNS:box.local', 'DNS:Box-7', 'IP Address:192.168.7.20']) expect(text).toContain(name);
  expect(text).not.toContain('not a name');
  expect(openssl(cert, '-subject', '-issuer')).toBe('subject=CN = bluelight box\nissuer=CN = bluelight box\n');
  expect(openssl(cert, '-dates')).toBe('notBefore=Jun  2 15:00:00 2026 GMT\nnotAfter=Jul  4 15:00:00 2027 GMT\n');
  expect(openssl(cert, '-fingerprint', '-sha256').trim().split('=')[1]).toBe(fingerprint);
});

test('openssl verifies its signature, and every certificate has a key and a serial number of its own', async () => {
  const { dir, ports } = box();
  const { cert } = await pageCertificate(ports, []);
  const file = join(dir, 'c.pem');
  writeFileSync(file, cert);
  const at = String(NOW / 1000);
  const verify = ['verify', '-check_ss_sig', '-x509_strict', '-purpose', 'sslserver', '-attime', at];
  expect(execFileSync('openssl', [...verify, '-CAfile', file, file]).toString()).toBe(`${file}: OK\n`);
  const other = await pageCertificate(box().ports, []);
  expect(openssl(other.cert, '-serial')).not.toBe(openssl(cert, '-serial'));
  expect(openssl(other.cert, '-pubkey')).not.toBe(openssl(cert, '-pubkey'));
});

test('it is kept, private to the box, and made anew in time, for a new address or after damage', async () => {
  const { dir, clock, ports } = box();
  const names = ['box.local', '192.168.7.20', 'not a name!', 'fe80::1%eth0', '::ffff:10.1.2.3'];
  const first = await pageCertificate(ports, names);
  expect(first.fresh).toBe(true);
  expect(statSync(join(dir, 'page.pem')).mode & 0o777).toBe(0o600);
  expect(await pageCertificate(ports, names)).toEqual({ ...first, fresh: false });
  expect((await pageCertificate(ports, names.slice(1))).fresh).toBe(false);
  expect((await pageCertificate(ports, ['192.168.7.21'])).fresh).toBe(true);
  await clock.advance(360 * DAY);
  expect((await pageCertificate(ports, ['192.168.7.21'])).fresh).toBe(false);
  await clock.advance(10 * DAY);
  const renewed = await pageCertificate(ports, ['192.168.7.21']);
  expect(renewed.fresh).toBe(true);
  writeFileSync(join(dir, 'page.pem'), 'broken');
  expect((await pageCertificate(ports, [])).fresh).toBe(true);
  // A certificate over somebody else's key is worth nothing.
  const mine = readFileSync(join(dir, 'page.pem'), 'utf8');
  writeFileSync(join(dir, 'page.pem'), mine.replace(/-----BEGIN CERTIFICATE-----[^]*/, renewed.cert));
  expect((await pageCertificate(ports, [])).fresh).toBe(true);
});

test('times from 2050 on are written as RFC 5280 asks', async () => {
  const { ports } = box(Date.UTC(2049, 11, 31));
  const { cert } = await pageCertificate(ports, []);
  const times = execFileSync('openssl', ['asn1parse'], { input: cert }).toString();
  expect(times).toMatch(/UTCTIME\s+:491230000000Z/);
  expect(times).toMatch(/GENERALIZEDTIME\s+:20510131000000Z/);
});

test('every address is named as it is: the certificate holds for it and is not made again', async () => {
  const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
  const ipv6 = fc.oneof(
    fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
    fc.array(group, { maxLength: 6 }).map((groups) => `::${groups.join(':')}`),
    fc.tuple(group, group).map(([head, tail]) => `${head}::${tail}`),
    fc.ipV4().map((address) => `::ffff:${address}`),
    fc.ipV6(),
  );
  const addresses = fc.sample(fc.oneof(fc.ipV4(), ipv6), { numRuns: 200, seed: 20_261_123 });
  expect(addresses.some(isIPv6)).toBe(true);
  const { ports } = box();
  const { cert } = await pageCertificate(ports, addresses);
  const parsed = new X509Certificate(cert);
  expect(addresses.filter((address) => parsed.checkIP(address) === undefined)).toEqual([]);
  expect((await pageCertificate(ports, addresses)).fresh).toBe(false);
});

async function serve(page: PageCertificate): Promise<number> {
  const server = createServer({ key: page.key, cert: page.cert }, (_, response) => response.end('hello from the box'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('a server runs with it, and a client that trusts it connects, by name and by address', async () => {
  const page = await pageCertificate(box(Date.now()).ports, []);
  const port = await serve(page);
  for (const host of ['localhost', '127.0.0.1']) {
    const status = await new Promise((resolve, reject) => {
      get({ host, port, ca: page.cert, agent: false }, (r) => resolve(r.resume().statusCode)).on('error', reject);
    });
    expect(status).toBe(200);
  }
  const foreign = new Promise((_resolve, reject) => {
    get({ host: 'localhost', port, agent: false }, _resolve).on('error', reject);
  });
  await expect(foreign).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

test('Chromium finds nothing wrong with it but that nobody vouches for it', async () => {
  const page = await pageCertificate(box(Date.now()).ports, []);
  const port = await serve(page);
  const key = new X509Certificate(page.cert).publicKey.export({ type: 'spki', format: 'der' });
  const spki = createHash('sha256').update(key).digest('base64');
  const open = async (args: string[]): Promise<string> => {
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', ...args] });
    try {
      const tab = await browser.newPage();
      await tab.goto(`https://localhost:${port}/`);
      return await tab.innerText('body');
    } finally {
      await browser.close();
    }
  };
  await expect(open([])).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID');
  // Lifts only the question of who vouches for this key; a wrong name, date or form would still stop it.
  expect(await open([`--ignore-certificate-errors-spki-list=${spki}`])).toBe('hello from the box');
}, 40_000);
