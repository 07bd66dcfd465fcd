import type { IncomingMessage, ServerResponse } from 'node:http';
import { upgradeWebSocket } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import type { WebSocket } from 'ws';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Grant } from '../contract/grant.js';
import { admit, isSocketRoute, whoKnocks, type Knock } from './admit.js';
import { checkHost, securityHeaders, type Peer } from './guard.js';
import { upgradeRequired } from './live.js';
import { parse } from './params.js';
import { problemResponse } from './problem.js';
import {
  Grants,
  json,
  type Call,
  type FootageRoute,
  type Reply,
  type Route,
  type Services,
  type SocketHandler,
} from './route.js';
import { serveAsset, type Assets } from './static.js';
import { Transfer } from './stream.js';

export const API = '/api/v1';
const MOST_BODY = 64 * 1024;

interface Env {
  Bindings: Knocked;
}

/** One request as it came in, and what is to follow the head of its answer. */
export interface Knocked {
  incoming: IncomingMessage;
  outgoing: ServerResponse | undefined;
  viaSocket: boolean;
  transfer?: Transfer;
}
type Ctx = Context<Env>;

/** One router for the page, the API and the Unix socket. */
export function createRouter(options: {
  routes: readonly Route[];
  services: Services;
  assets: Assets;
  /** Names under which the box may be opened, besides localhost and its addresses. */
  hosts: readonly string[];
}): Hono<Env> {
  const { services } = options;
  const app = new Hono<Env>();
  app.use('*', async (c, next) => {
    await orTold(services, c, 'open', async () => {
      if (!c.env.viaSocket) checkHost(c.req.header('host'), options.hosts, peerOf(c));
    });
    await next();
    // A WebSocket's 101 is written by the upgrade itself.
    for (const [name, value] of Object.entries(securityHeaders(c.req.header('host')))) c.res.headers.set(name, value);
  });
  for (const route of options.routes) {
    const path = API + route.path.replace(/\{(\w+)\}/g, ':$1');
    app.on(route.method, path, (c) =>
      orTold(services, c, `${route.method} ${route.path}`, () => handle(services, route, c)),
    );
  }
  app.all(`${API}/*`, () => {
    throw new BluelightError('NOT_FOUND', 'There is no such address in the API.', { fix: 'See docs/openapi.json.' });
  });
  app.get('*', (c) => {
    const page = serveAsset(options.assets, c.req.raw);
    if (page !== null) return page;
    throw new BluelightError('NOT_FOUND', 'There is no such page.', { fix: 'Open the address of the box alone.' });
  });
  app.notFound(() => problemResponse(new BluelightError('METHOD_NOT_ALLOWED', 'This address does not take that.')));
  app.onError((error, c) => {
    if (!(error instanceof BluelightError)) {
      services.log.error({ path: c.req.path, error: errorMessage(error) }, 'a request failed inside the agent');
    }
    return problemResponse(error, securityHeaders(c.req.header('host')));
  });
  return app;
}

/** Refusals of the door itself. What the gate refuses stands in the audit log already. */
const AT_DOOR = new Set([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_LOGIN',
  'RATE_LIMITED',
  'PASSPHRASE_WRONG',
  'BAD_HOST',
  'BAD_ORIGIN',
  'BAD_CSRF',
]);
/** A page that was just opened asks whether anybody is logged in. */
const ASKS_WHO = 'GET /session';

/** Whoever is not let in stands in the audit log before he hears of it. */
async function orTold<T>(services: Services, c: Ctx, what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BluelightError && AT_DOOR.has(error.code) && what !== ASKS_WHO) {
      const { party: who, door } = whoKnocks(services, knockOf(c));
      const action = what === 'POST /login' ? 'login' : 'enter';
      const reason = action === 'login' ? error.message : `${what}: ${error.message}`;
      const remote = c.env.incoming.socket.remoteAddress ?? 'socket';
      await services.ports.atDoor({ action, outcome: 'refused', who, door, remote, code: error.code, reason });
    }
    throw error;
  }
}

async function handle(services: Services, route: Route, c: Ctx): Promise<Response> {
  const admission = admit(services, route, knockOf(c));
  const session = admission.session?.signal;
  // A WebSocket's request is over when the socket starts; the socket tells by itself when the client goes.
  const signals = [session, isSocketRoute(route) ? undefined : c.req.raw.signal].filter(
    (signal) => signal !== undefined,
  );
  const call: Call = {
    ...admission,
    params: c.req.param(),
    query: route.query === undefined ? undefined : parse(route.query, c.req.query(), 'query'),
    body: route.body === undefined ? undefined : parse(route.body, await readJson(c), 'body'),
    remote: c.env.incoming.socket.remoteAddress ?? 'socket',
    cut: () => services.connections.cut(c.env.incoming.socket),
    taken: async () => (await written(c.env.outgoing)) && services.connections.taken(c.env.incoming.socket),
    header: (name) => c.req.header(name),
    head: c.req.method === 'HEAD',
    signal: AbortSignal.any(signals),
  };
  if (route.access === null) {
    const run = (): Promise<Reply> | Reply => route.handler(services, call);
    // Whatever takes a passphrase could be used to guess it.
    const guarded = holdsPassphrase(call.body) ? services.logins.guard(call.remote, run) : run();
    return toResponse(await guarded, c);
  }
  const grants = await askGate(services, route, call);
  if (route.socket !== undefined) return upgrade(services, c, route.socket(services, call, grants));
  if (route.handler === undefined) throw new BluelightError('UNSUPPORTED', `${route.path} has no handler.`);
  return toResponse(await route.handler(services, call, grants), c);
}

function holdsPassphrase(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'passphrase' in body && typeof body.passphrase === 'string';
}

/** A footage route gets to its handler only past this. */
async function askGate(services: Services, route: FootageRoute, call: Call): Promise<Grants> {
  const grants: Grant[] = [];
  for (const target of await route.targets(services, call)) {
    try {
      grants.push(
        await services.ports.authorise({
          party: call.party,
          door: call.door,
          kind: route.access,
          camera: target.camera,
          range: target.range,
          reason: target.reason ?? 'own use',
        }),
      );
    } catch (error) {
      if (!route.omitDenied || !(error instanceof BluelightError) || error.retryable) throw error;
    }
  }
  return new Grants(grants);
}

/** Resolves when the kernel has the whole answer; false: the client went before. */
async function written(answer: ServerResponse | undefined): Promise<boolean> {
  if (answer === undefined) return false;
  if (!answer.writableFinished && !answer.destroyed) {
    await new Promise((resolve) => answer.once('finish', resolve).once('close', resolve));
  }
  return answer.writableFinished;
}

function toResponse(reply: Reply, c: Ctx): Response {
  if (!(reply instanceof Transfer)) return reply instanceof Response ? reply : json(reply);
  if (c.req.method !== 'HEAD') c.env.transfer = reply;
  return reply.head;
}

async function upgrade(services: Services, c: Ctx, handler: SocketHandler): Promise<Response> {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') {
    handler.close();
    throw upgradeRequired();
  }
  return upgradeWebSocket(
    c,
    {
      onOpen: (_event, ws) => {
        const raw = ws.raw as WebSocket;
        // A viewer who went without a word must not get the rest when he comes back.
        services.connections.endAbruptly(c.env.incoming.socket);
        handler.open({
          // Sending to a socket that just closed is no error: its close event follows.
          send: (data) => raw.send(data, () => undefined),
          close: (code, reason) => raw.close(code, reason),
          cut: () => services.connections.cut(c.env.incoming.socket),
          get buffered() {
            return raw.bufferedAmount;
          },
        });
      },
      onClose: () => handler.close(),
      onError: () => handler.close(),
    },
    { onError: (error) => services.log.error({ error: errorMessage(error) }, 'live view failed') },
  );
}

async function readJson(c: Ctx): Promise<unknown> {
  const type = c.req.header('content-type') ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new BluelightError('UNSUPPORTED_MEDIA_TYPE', 'The body must be JSON.', {
      fix: 'Send Content-Type: application/json.',
    });
  }
  const text = await readCapped(c.req.raw.body);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new BluelightError('BAD_REQUEST', 'The body is not JSON.', { fix: 'Check quotes and commas.', cause });
  }
}

async function readCapped(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BODY) {
      throw new BluelightError('TOO_LARGE', `The body is larger than ${MOST_BODY / 1024} KiB.`, {
        fix: 'Send less at once.',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function peerOf(c: Ctx): Peer {
  const { localAddress, remoteAddress } = c.env.incoming.socket;
  return { localAddress, remoteAddress };
}

function knockOf(c: Ctx): Knock {
  return { header: (name) => c.req.header(name), peer: peerOf(c), viaSocket: c.env.viaSocket };
}
