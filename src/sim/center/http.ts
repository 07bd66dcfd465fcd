import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { BluelightError, errorCode, toErrorData } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { canonical } from '../../proof/canonical.js';
import type { ConsoleState } from './console-state.js';
import { operatorsBody, proposalBody, requestBody, type Requests } from './requests.js';
import { boxView, clipView, eventView, jobView } from './views.js';
import type { Enrolment } from './enrolment.js';
import { enrolmentRoutes } from './http-enrolment.js';
import type { Membership } from './membership.js';
import { problemStatus, type Uploads } from './uploads.js';
import type { CenterDb } from './db.js';

export interface HttpOptions {
  log: Log;
  host: string;
  port: number;
  db: CenterDb;
  uploads: Uploads;
  requests: Requests;
  pagesDir: string;
  now: () => number;
  center: { id: string; publicKey: string };
  changes: Changes;
  enrolment: Enrolment;
  membership: Membership;
}

/** Wakes whoever shows something when it changed. */
export interface Changes {
  subscribe(listener: () => void): () => void;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** A day of one box. */
const MAX_CHECKPOINTS = 300;
const SHOWN_CHECKPOINTS = 12;
const PAGES: Record<string, [file: string, type: string]> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/style.css': ['style.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
  '/main.js': ['main.js', 'text/javascript; charset=utf-8'],
};
const SECURITY = {
  'Content-Security-Policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/** Uploads, the console page and its data on one port. */
export async function startHttp(options: HttpOptions): Promise<{ port: number; close: () => Promise<void> }> {
  const stop = new AbortController();
  const listener = getRequestListener(routes(options, stop.signal).fetch);
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const handled =
      request.url?.startsWith('/upload/files') === true
        ? options.uploads.tus.handle(request, response)
        : listener(request, response);
    Promise.resolve(handled).catch((error: unknown) => {
      options.log.warn({ error: toErrorData(error) }, 'a request failed');
      response.destroy();
    });
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      stop.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, options: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
}

function routes(o: HttpOptions, stop: AbortSignal): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(SECURITY)) c.header(name, value);
  });
  app.onError((error, c) => problem(c, error));

  app.put('/upload/clips/:clip/manifest', async (c) => {
    if (Number(c.req.header('content-length') ?? MAX_BODY_BYTES + 1) > MAX_BODY_BYTES) return c.text('too large', 413);
    return c.json(await o.uploads.announce(c.req.param('clip'), await c.req.json()));
  });
  app.get('/upload/clips/:clip', async (c) => c.json(await o.uploads.confirm(c.req.param('clip'))));

  enrolmentRoutes(app, o);
  for (const [path, [file, type]] of Object.entries(PAGES)) {
    app.get(path, async (c) => c.body(await readFile(join(o.pagesDir, file)), 200, { 'Content-Type': type }));
  }
  app.get('/api/state', (c) => c.json(state(o)));
  app.get('/api/stream', (c) =>
    streamSSE(c, async (sse) => {
      while (!sse.aborted && !stop.aborted) {
        const changed = nextChange(o.changes, stop, sse);
        await sse.writeSSE({ data: JSON.stringify(state(o)) });
        await changed;
        // Bursts of changes are one picture.
        await sse.sleep(200);
      }
    }),
  );
  app.post('/api/requests', async (c) =>
    c.json({ job: o.requests.request(requestBody.parse(await jsonOf(c))).job }, 201),
  );
  app.post('/api/operators', async (c) => {
    o.requests.setOperators(operatorsBody.parse(await jsonOf(c)).operators);
    return c.json({ operators: o.requests.operators() });
  });
  app.post('/api/proposals', async (c) => {
    o.requests.propose(proposalBody.parse(await jsonOf(c)));
    return c.body(null, 204);
  });
  app.get('/api/jobs', (c) => c.json({ jobs: o.requests.jobs(1_000).map(({ text: _, ...job }) => job) }));
  app.get('/clips/:clip/video.mp4', (c) => video(c, o, c.req.param('clip')));
  app.get('/clips/:clip/manifest.json', (c) => {
    const clip = o.db.clip(c.req.param('clip'));
    return clip === undefined ? c.notFound() : c.json(clip.envelope);
  });
  app.get('/clips/:clip/anchor.json', (c) => {
    const anchor = o.db.anchor(c.req.param('clip'));
    if (anchor === undefined) return c.notFound();
    return c.body(canonical(anchor), 200, { 'content-type': 'application/json' });
  });
  app.get('/checkpoints/:site/:box', (c) => {
    const { site, box } = c.req.param();
    return c.json({ checkpoints: o.db.checkpoints(site, box, MAX_CHECKPOINTS) });
  });
  return app;
}

/** JSON by its type: a form of a foreign page cannot send that without being asked first (CORS). */
async function jsonOf(c: Context): Promise<unknown> {
  if (c.req.header('content-type') !== 'application/json') {
    throw new BluelightError('BAD_REQUEST', 'this is not JSON', { fix: 'send it as application/json' });
  }
  return c.req.json();
}

function state(o: HttpOptions): ConsoleState {
  const now = o.now();
  const { events: eventCount, duplicates } = o.db.counts();
  return {
    now,
    center: o.center,
    eventCount,
    duplicates,
    boxes: o.db.boxes().map((box) => {
      const checkpoints = o.db.checkpoints(box.site, box.box, SHOWN_CHECKPOINTS);
      return boxView(box, { checkpoints, policy: o.requests.policy(box.site, box.box) }, now);
    }),
    operators: o.requests.operators(),
    jobs: o.requests.jobs(60).map(jobView),
    events: o.db.events({ limit: 100, type: 'bluelight.motion' }).map(eventView),
    clips: o.db.clips(60).map((clip) => clipView(clip, o.db.box(clip.site, clip.box))),
  };
}

/** Resolves at the next change, at the end, or after a while, so that a dead page is noticed. */
function nextChange(
  changes: Changes,
  stop: AbortSignal,
  sse: { sleep: (ms: number) => Promise<unknown> },
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      unsubscribe();
      stop.removeEventListener('abort', done);
      resolve();
    };
    const unsubscribe = changes.subscribe(done);
    stop.addEventListener('abort', done, { once: true });
    void sse.sleep(15_000).then(done);
  });
}

/** A delivered clip for the player, with ranges (RFC 9110 §14): players seek by asking for parts. */
async function video(c: Context, o: HttpOptions, id: string): Promise<Response> {
  const clip = o.db.clip(id);
  if (clip?.state !== 'delivered') return c.notFound();
  const path = o.uploads.path(clip);
  const { size } = await stat(path);
  const type = clip.manifest.derived === undefined ? 'video/mp4' : 'image/jpeg';
  const base = { 'Content-Type': type, 'Accept-Ranges': 'bytes', 'Cache-Control': 'private, max-age=3600' };
  const match = /^bytes=(\d*)-(\d*)$/.exec(c.req.header('range') ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) {
    return c.body(web(path, 0, size - 1), 200, { ...base, 'Content-Length': String(size) });
  }
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start > end) return c.body(null, 416, { 'Content-Range': `bytes */${size}` });
  return c.body(web(path, start, end), 206, {
    ...base,
    'Content-Length': String(end - start + 1),
    'Content-Range': `bytes ${start}-${end}/${size}`,
  });
}

function web(path: string, start: number, end: number): ReadableStream {
  return Readable.toWeb(createReadStream(path, { start, end })) as ReadableStream;
}

function problem(c: Context, error: unknown): Response {
  const data = toErrorData(error);
  const known = error instanceof BluelightError;
  const status = known || errorCode(error) === undefined ? problemStatus(error) : 500;
  const body = {
    type: 'about:blank',
    title: data.code,
    status,
    code: data.code,
    detail: data.message,
    retryable: data.retryable,
  };
  return c.body(JSON.stringify(body), status as 400, { 'Content-Type': 'application/problem+json' });
}
