import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { silentLog } from '../../src/base/log.js';
import { RECEIPT_TYPE } from '../../src/contract/upload.js';
import { signJws } from '../../src/proof/jws.js';
import { createUplinks, type UploadJob, type UploadOutcome } from '../../src/uplinks/index.js';
import { clock, newSigner } from '../center/rig.js';
import { link, memoryLedger } from './links.js';

const CLIP = '01HQ0000000000000000000001';
const SIZE = 300_000;
const file = Buffer.alloc(SIZE, 7);
const sha = 'a'.repeat(64);
const center = newSigner();

type Handler = (req: IncomingMessage, res: ServerResponse, body: Buffer) => void;

/** A server that answers as told; what is not told behaves as the contract says. */
async function hostile(
  rules: { confirm?: Handler; create?: Handler; head?: Handler; patch?: Handler },
  job: Partial<UploadJob> = {},
): Promise<{ outcome: UploadOutcome; requests: string[]; progress: { url: string | null; offset: number }[] }> {
  const requests: string[] = [];
  let offset = 0;
  const confirm: Handler = (req, res) => {
    const receipt = signJws(
      RECEIPT_TYPE,
      { schema: 1, box: 'box-1', clip: CLIP, bytes: SIZE, sha256: sha, at: '2026-01-01T00:00:00.000Z' },
      center,
    );
    const done = req.method === 'GET';
    const answer = { schema: 1, clip: CLIP, state: done ? 'delivered' : 'expected', upload: null, offset: 0 };
    res.end(JSON.stringify({ ...answer, receipt: done ? receipt : null }));
  };
  const create: Handler = (_req, res) => {
    res.writeHead(201, { Location: '/u/files/x', 'Tus-Resumable': '1.0.0' }).end();
  };
  const head: Handler = (_req, res) => {
    res.writeHead(200, { 'Upload-Offset': offset, 'Upload-Length': SIZE, 'Tus-Resumable': '1.0.0' }).end();
  };
  const patch: Handler = (_req, res, body) => {
    offset += body.length;
    res.writeHead(204, { 'Upload-Offset': offset, 'Tus-Resumable': '1.0.0' }).end();
  };
  const server = createServer((req, res) => {
    requests.push(`${req.method} ${req.url}`);
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const by = { PUT: rules.confirm ?? confirm, GET: rules.confirm ?? confirm, POST: rules.create ?? create };
      const tus = { HEAD: rules.head ?? head, PATCH: rules.patch ?? patch };
      const handler = ({ ...by, ...tus } as Record<string, Handler>)[req.method ?? '']!;
      handler(req, res, Buffer.concat(chunks));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const uplinks = createUplinks({
    clock,
    log: silentLog,
    links: [link('fiber')],
    ledger: memoryLedger(),
    center: { broker: `mqtt://127.0.0.1:${port}`, upload: `http://127.0.0.1:${port}/u`, key: center.keyId },
    chunkBytes: 100_000,
    stallMs: 1_500,
  });
  const progress: { url: string | null; offset: number }[] = [];
  const outcome = await uplinks.upload(
    {
      clip: CLIP,
      box: 'box-1',
      budgeted: true,
      fileName: 'x.mp4',
      bytes: SIZE,
      sha256: sha,
      manifest: { payloadType: 't', payload: '', signatures: [{ keyid: center.keyId, sig: '' }] },
      url: null,
      offset: 0,
      signal: new AbortController().signal,
      read: (at, length) => Promise.resolve(file.subarray(at, at + length)),
      onProgress: (at) => {
        progress.push(at);
        return Promise.resolve();
      },
      ...job,
      ...(job.url === undefined || job.url === null ? {} : { url: `http://127.0.0.1:${port}${job.url}` }),
    },
    'fiber',
  );
  uplinks.close();
  server.closeAllConnections();
  server.close();
  return { outcome, requests, progress };
}

function json(status: number, body: unknown, headers = {}): Handler {
  return (_req, res) => void res.writeHead(status, headers).end(JSON.stringify(body));
}

test('against a server that keeps to the contract it is delivered, and every offset was noted', async () => {
  const { outcome, progress } = await hostile({});
  expect(outcome.state).toBe('delivered');
  expect(progress.map((at) => at.offset)).toEqual([0, 100_000, 200_000, 300_000]);
});

test.each([
  ['401', json(401, {}), { code: 'UPLOAD_REFUSED', retryable: false }],
  ['403', json(403, {}), { code: 'UPLOAD_REFUSED', retryable: false }],
  ['413', json(413, {}), { code: 'UPLOAD_TOO_BIG', retryable: false }],
  ['500', json(500, {}), { code: 'CENTER_BUSY', retryable: true, retryAfterMs: null }],
  ['503 with Retry-After', json(503, {}, { 'Retry-After': '7' }), { code: 'CENTER_BUSY', retryAfterMs: 7_000 }],
  ['a redirect', json(302, {}, { Location: 'http://127.0.0.1:1/' }), { code: 'NOT_THE_CENTER', retryable: true }],
])('%s to a chunk', async (_name, patch, expected) => {
  const { outcome } = await hostile({ patch });
  expect(outcome).toMatchObject({ state: 'failed', ...expected });
});

test('a captive portal is not the center', async () => {
  const portal: Handler = (_req, res) =>
    void res.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>Wi-Fi</html>');
  const everywhere = await hostile({ confirm: portal, create: portal, patch: portal });
  expect(everywhere.outcome).toMatchObject({ state: 'failed', code: 'NOT_THE_CENTER', retryable: true });
  expect(everywhere.requests).toHaveLength(1);
  const late = await hostile({ patch: portal });
  expect(late.outcome).toMatchObject({ state: 'failed', code: 'NOT_THE_CENTER' });
});

test('an offset ahead of what was sent restarts the upload and never skips bytes', async () => {
  const ahead: Handler = (_req, res) =>
    void res.writeHead(204, { 'Upload-Offset': 250_000, 'Tus-Resumable': '1.0.0' }).end();
  expect((await hostile({ patch: ahead })).outcome).toMatchObject({
    code: 'OFFSET_LIE',
    restart: true,
    retryable: true,
  });
  const resumed: Handler = (_req, res) =>
    void res.writeHead(200, { 'Upload-Offset': SIZE, 'Upload-Length': SIZE, 'Tus-Resumable': '1.0.0' }).end();
  const { outcome, requests } = await hostile({ head: resumed }, { url: '/u/files/x', offset: 100_000 });
  expect(outcome).toMatchObject({ code: 'OFFSET_LIE', restart: true });
  expect(requests.filter((request) => request.startsWith('PATCH'))).toEqual([]);
});

test('an offset that runs backwards is refused too', async () => {
  let n = 0;
  const back: Handler = (_req, res) =>
    void res.writeHead(204, { 'Upload-Offset': n++ === 0 ? 100_000 : 5, 'Tus-Resumable': '1.0.0' }).end();
  expect((await hostile({ patch: back })).outcome).toMatchObject({ code: 'OFFSET_LIE' });
});

test('an upload that the center has forgotten begins anew at once', async () => {
  const gone: Handler = (_req, res) => void res.writeHead(404, { 'Tus-Resumable': '1.0.0' }).end();
  const { outcome, requests } = await hostile({ head: gone }, { url: '/u/files/old', offset: 200_000 });
  expect(outcome.state).toBe('delivered');
  expect(requests).toContain('HEAD /u/files/old');
  expect(requests.filter((request) => request.startsWith('PATCH'))).toHaveLength(3);
});

test('footage is not sent to another host, whatever the center says', async () => {
  const elsewhere: Handler = (_req, res) =>
    void res.writeHead(201, { Location: 'http://127.0.0.1:9/steal', 'Tus-Resumable': '1.0.0' }).end();
  const { outcome } = await hostile({ create: elsewhere });
  expect(outcome).toMatchObject({ state: 'failed', code: 'FOREIGN_HOST', retryable: false });
});

test('a receipt of another key, or over other bytes, is no delivery', async () => {
  const word =
    (signer: typeof center, sha256: string): Handler =>
    (req, res) => {
      const receipt = signJws(
        RECEIPT_TYPE,
        { schema: 1, box: 'box-1', clip: CLIP, bytes: SIZE, sha256, at: '2026-01-01T00:00:00.000Z' },
        signer,
      );
      const done = req.method === 'GET';
      const state = done ? 'delivered' : 'expected';
      res.end(
        JSON.stringify({ schema: 1, clip: CLIP, state, upload: null, offset: 0, receipt: done ? receipt : null }),
      );
    };
  expect((await hostile({ confirm: word(newSigner(), sha) })).outcome).toMatchObject({ code: 'BAD_RECEIPT' });
  expect((await hostile({ confirm: word(center, 'b'.repeat(64)) })).outcome).toMatchObject({ code: 'HASH_MISMATCH' });
});

test('a server that says nothing is given up, not waited for', async () => {
  const { outcome } = await hostile({ patch: () => undefined });
  expect(outcome).toMatchObject({ state: 'failed', code: 'UPLOAD_STALLED', retryable: true });
});

test('progress that a slow store notes too late, and fails to, ends the attempt and not the agent', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  const slow: Handler = (_req, res, body) => {
    // The answer to the chunk after the failure is the one that never comes.
    if (body.length > 0 && _req.headers['upload-offset'] !== '0') return;
    res.writeHead(204, { 'Upload-Offset': 100_000, 'Tus-Resumable': '1.0.0' }).end();
  };
  const { outcome } = await hostile(
    { patch: slow },
    {
      onProgress: async ({ offset }) => {
        if (offset === 0) return;
        await clock.sleep(200);
        throw new BluelightError('THREAD_SLOW', 'the store did not answer', { retryable: true });
      },
    },
  );
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
  expect(outcome).toMatchObject({ state: 'failed', code: 'THREAD_SLOW', retryable: true });
});
