import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { ClaimFile } from '../../src/contract/messages.js';
import { createUplinks, type UploadJob } from '../../src/uplinks/index.js';
import { box, clock, newSigner, store, tempDir } from '../center/rig.js';
import { link, memoryLedger } from './links.js';
import { mosquitto, until } from '../center/mosquitto.js';

/** A small authority and a certificate of its for 127.0.0.1, made by openssl. */
function certificates(): { dir: string; ca: string } {
  const dir = tempDir();
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=city');
  openssl(
    'req',
    ...key,
    '-keyout',
    'key.pem',
    '-out',
    'csr.pem',
    '-subj',
    '/CN=center',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  );
  openssl(
    'x509',
    '-req',
    '-in',
    'csr.pem',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-out',
    'cert.pem',
    '-days',
    '2',
    '-copy_extensions',
    'copy',
  );
  return { dir, ca: readFileSync(join(dir, 'ca.pem'), 'utf8') };
}

test('the session and the uploads go over TLS, and a foreign authority is refused', async () => {
  const { dir, ca } = certificates();
  const broker = await mosquitto(['allow_anonymous true', `certfile ${dir}/cert.pem`, `keyfile ${dir}/key.pem`]);
  await broker.start();
  const signer = newSigner();
  const claim = (authority: string): ClaimFile => ({
    schema: 1,
    site: 'main-st',
    box: 'box-1',
    center: {
      id: 'c',
      broker: `mqtts://127.0.0.1:${broker.port}`,
      upload: 'https://127.0.0.1:1/u',
      key: signer.keyId,
      ca: authority,
    },
  });
  const ledger = memoryLedger();
  const links = (center: ClaimFile['center']) =>
    createUplinks({ clock, log: silentLog, links: [link('fiber')], ledger, center });
  const { calls, close } = store();
  const uplinks = links(claim(ca).center);
  const agent = box(claim(ca), calls, signer, { dial: (target) => uplinks.dial(target) });
  agent.start();
  await until(() => agent.status().state === 'connected');
  await uplinks.settle();
  const mqtt = ledger.entries.filter((one) => one.class === 'mqtt');
  expect(mqtt).toMatchObject([{ uplink: 'fiber' }]);
  expect(mqtt[0]!.sent).toBeGreaterThan(500);
  await agent.stop('shutdown');

  const foreign = certificates().ca;
  const refused = box(claim(foreign), calls, signer, { dial: (target) => uplinks.dial(target) });
  refused.start();
  await until(() => refused.status().lastError !== null);
  expect(refused.status().lastError!.message).toMatch(/certificate/i);
  expect(refused.status().state).not.toBe('connected');
  await refused.stop('shutdown');
  uplinks.close();
  await broker.kill();
  close();

  const server = createServer(
    { key: readFileSync(join(dir, 'key.pem')), cert: readFileSync(join(dir, 'cert.pem')) },
    (_req, res) => {
      res.writeHead(403).end('no');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upload = `https://127.0.0.1:${(server.address() as AddressInfo).port}/u`;
  const job: UploadJob = {
    clip: '01HQ0000000000000000000001',
    box: 'box-1',
    budgeted: true,
    fileName: 'x.mp4',
    bytes: 1,
    sha256: 'a'.repeat(64),
    manifest: { payloadType: 't', payload: '', signatures: [{ keyid: signer.keyId, sig: '' }] },
    url: null,
    offset: 0,
    signal: new AbortController().signal,
    read: () => Promise.resolve(Buffer.alloc(1)),
    onProgress: () => Promise.resolve(),
  };
  const trusted = links({ ...claim(ca).center, upload });
  expect(await trusted.upload(job, 'fiber')).toMatchObject({ code: 'UPLOAD_REFUSED' });
  const distrusted = links({ ...claim(foreign).center, upload });
  expect(await distrusted.upload(job, 'fiber')).toMatchObject({
    code: 'LINK_TLS',
    message: expect.stringMatching(/certificate/i) as string,
  });
  trusted.close();
  distrusted.close();
  server.close();
});
