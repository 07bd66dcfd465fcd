import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import { readClaimQr } from '../../src/contract/enrolment.js';
import { BoxKey } from '../../src/identity/box-key.js';
import { Claims } from '../../src/identity/claims.js';
import { enrolHttp, type EnrolHttp } from '../../src/identity/enrol-http.js';
import { EnrolClient } from '../../src/identity/enrolment.js';
import { keepIssued } from '../../src/identity/certificate.js';
import { certificateRequest } from '../../src/base/self-signed.js';
import { PageTls } from '../../src/page-tls.js';
import { startVirtualCenter } from '../../src/sim/center/index.js';
import { localStore } from '../../src/store/local.js';
import type { Store } from '../../src/store/client.js';
import { openState, temporaryDir } from '../store/helpers.js';

const DAY = 86_400_000;

/** A box and its center with one clock that the test turns; `tick` is the work that comes round every few seconds. */
async function box(names = ['box-7', 'box-7.local', '192.168.7.20']) {
  const time = { now: Date.parse('2026-06-03T15:00:00Z'), mono: 0 };
  const work: (() => void | Promise<void>)[] = [];
  const clock = {
    ...systemClock(),
    now: () => time.now,
    monotonic: () => time.mono,
    every: (_ms: number, run: () => void | Promise<void>) => (work.push(run), () => undefined),
  };
  const center = await startVirtualCenter({ clock: { ...systemClock(), now: () => time.now }, log: silentLog, dir: temporaryDir() }); // prettier-ignore
  onTestFinished(() => center.close());
  const dir = temporaryDir();
  const store = localStore(openState({ dir })) as unknown as Store;
  const signer = await BoxKey.open(store, clock);
  const claims = new Claims(store, clock);
  const wire: string[] = [];
  const over: { http: EnrolHttp } = { http: enrolHttp(({ host, port }) => Promise.resolve(connect({ host, port }))) };
  const client = new EnrolClient((ask) => {
    wire.push(JSON.stringify(ask.json ?? ''));
    return over.http(ask);
  }, systemClock());
  const notes: string[] = [];
  const gate = { note: async (entry: { action: string }) => void notes.push(entry.action) };
  const state = { claimed: false };
  const open = (): Promise<PageTls> =>
    PageTls.open({ clock, log: silentLog, store, claims, signer, gate, client, claimed: () => state.claimed, names: () => names }); // prettier-ignore
  const tls = await open();
  return {
    ...{ time, clock, store, center, dir, names, claims, signer, wire, over, notes, state, open, tls },
    tick: async () => void (await work[0]!()),
    async enrol() {
      await claims.wait(readClaimQr(center.issue('main-st', 'box-7').qr));
      await claims.enrolled(await client.enrol((await claims.waiting())!.ticket, signer));
      state.claimed = true;
    },
    pass(ms: number) {
      time.now += ms;
      time.mono += ms;
    },
  };
}

test('after the claim the page shows a certificate of the center, whose chain openssl verifies; the key stays here', async () => {
  const one = await box([...(await box()).names, 'box.example.com']);
  const { tls, dir, center, time } = one;
  let running = tls.certificate;
  tls.start((certificate) => (running = certificate));
  await one.tick();
  expect([running.issuer, one.wire.length]).toEqual(['self', 0]);
  await one.enrol();
  await one.tick();
  expect(running.issuer).toBe('center');
  expect(tls.shown).toMatchObject({ issuer: 'center', detail: '', fingerprint: running.fingerprint });
  expect(one.notes).toEqual(['certificate']);
  expect(statSync(join(dir, 'page.pem')).mode & 0o777).toBe(0o600);
  // The request proves the key and does not hold it.
  const { request } = JSON.parse(one.wire.at(-1)!) as { request: string };
  const { csr } = JSON.parse(Buffer.from(request.split('.')[1]!, 'base64url').toString()) as { csr: string };
  expect(execFileSync('openssl', ['req', '-verify', '-noout'], { input: csr, stdio: 'pipe' }).toString()).toBe('');
  const secret = running.key.split('\n')[1]!;
  expect(one.wire.join() + Buffer.from(request.split('.')[1]!, 'base64url').toString()).not.toContain(secret);
  // A name of the world outside is not asked for: the center would sign nothing.
  expect(new X509Certificate(running.cert).checkHost('box.example.com')).toBeUndefined();

  const [leaf, ca] = [join(dir, 'leaf.pem'), join(dir, 'ca.pem')];
  writeFileSync(leaf, running.cert);
  writeFileSync(ca, center.authority);
  const verify = (...more: string[]): string => {
    const at = ['-attime', String(Math.floor(time.now / 1000))];
    return execFileSync('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', ...at, ...more, leaf], { stdio: 'pipe' }).toString(); // prettier-ignore
  };
  expect(verify('-CAfile', ca, '-verify_hostname', 'box-7.local')).toContain('OK');
  expect(verify('-CAfile', ca, '-verify_ip', '192.168.7.20')).toContain('OK');
  expect(() => verify('-CAfile', ca, '-verify_hostname', 'box-8.local')).toThrow();
  writeFileSync(ca, (await box()).center.authority);
  expect(() => verify('-CAfile', ca)).toThrow();
});

test('it is renewed at two thirds of its life with another key, without a restart, and outlives a center that is away', async () => {
  const one = await box();
  const { tls } = one;
  const server = createServer({}, (_, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  await one.enrol();
  tls.start((certificate) => server.setSecureContext({ key: certificate.key, cert: certificate.cert }));
  await one.tick();
  const first = tls.certificate;
  expect(await peer(server)).toBe(first.fingerprint);
  one.pass(260 * DAY);
  await one.tick();
  expect(tls.certificate.fingerprint).toBe(first.fingerprint);
  // Away at the time of renewal: what there is goes on, and each try waits longer.
  const { http } = one.over;
  one.over.http = () => Promise.reject(new Error('no way out'));
  one.pass(10 * DAY);
  one.wire.length = 0;
  for (let i = 0; i < 20; i++) await one.tick();
  expect(one.wire.length).toBe(1);
  expect(tls.shown).toMatchObject({ issuer: 'center', detail: 'no way out' });
  one.over.http = http;
  one.pass(3_600_000);
  await one.tick();
  const second = tls.certificate;
  expect(second.fingerprint).not.toBe(first.fingerprint);
  expect(second.key).not.toBe(first.key);
  expect(await peer(server)).toBe(second.fingerprint);
  expect((await one.open()).certificate.fingerprint).toBe(second.fingerprint);
  // Another address: a new one that names it.
  one.names.push('192.168.7.99');
  await one.tick();
  expect(new X509Certificate(tls.certificate.cert).checkIP('192.168.7.99')).toBeDefined();
  // Nobody renewed it in all its life: the page opens all the same, on its own word.
  one.over.http = () => Promise.reject(new Error('no way out'));
  one.pass(400 * DAY);
  await one.tick();
  expect(tls.certificate.issuer).toBe('self');
  expect(await peer(server)).toBe(tls.certificate.fingerprint);
});

test('a certificate over another key, for other names or of a stranger is refused; what the center vouched for goes with it', async () => {
  const one = await box();
  await one.enrol();
  one.tls.start(() => undefined);
  await one.tick();
  const good = one.tls.certificate;
  expect(good.issuer).toBe('center');
  const ports = { tables: one.store, clock: one.clock, log: silentLog };
  const [certificate, ca] = good.cert.match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g) as [string, string];
  const other = (await certificateRequest('CN=x', ['localhost'])).key;
  const stranger = (await box()).center.authority;
  const refused = (issued: { key: string; certificate: string; ca: string }, names = one.names): Promise<unknown> =>
    expect(keepIssued(ports, issued, names)).rejects.toMatchObject({ code: 'CERTIFICATE_BAD' });
  await refused({ key: other, certificate, ca });
  await refused({ key: good.key, certificate, ca: stranger });
  await refused({ key: good.key, certificate: ca, ca });
  await refused({ key: good.key, certificate, ca }, ['box-8.local']);
  expect((await keepIssued(ports, { key: good.key, certificate, ca }, one.names)).issuer).toBe('center');
  // Let go: the box stands on its own word again.
  await one.claims.end('opt-out');
  one.state.claimed = false;
  await one.tick();
  expect(one.tls.certificate.issuer).toBe('self');
  expect(readFileSync(join(one.dir, 'page.pem'), 'utf8')).not.toContain(good.cert.split('\n')[1]);
  expect((await one.claims.membership())?.address ?? null).toBeNull();
});

/** SHA-256 of the certificate that a running server shows to the next visitor. */
function peer(server: Server): Promise<string | undefined> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256);
      socket.destroy();
    }).on('error', reject);
  });
}
