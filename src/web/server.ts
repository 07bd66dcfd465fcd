import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { FirstHops } from '../base/first-hop.js';
import type { Log } from '../base/log.js';
import { Connections } from '../base/unsent.js';
import { LoginLimit } from './login-limit.js';
import type { WebPorts } from './ports.js';
import type { Services } from './route.js';
import { createRouter, type Knocked } from './router.js';
import { ROUTES } from './routes/table.js';
import { LIFETIMES_MS, Sessions } from './sessions.js';
import { loadAssets } from './static.js';

export interface WebOptions {
  clock: Clock;
  log: Log;
  ports: WebPorts;
  /** PEM. */
  tls: { cert: string; key: string };
  listen: { host: string; port: number };
  /** Names under which the box may be opened, besides localhost and its own addresses. */
  hosts: readonly string[];
  /** How long a technician stays logged in; default 4 h. */
  technicianMs?: number;
  /** Whether the page answers to this address at all; default: to every one. */
  admits?: (address: string) => boolean;
  /** With index.html, style.css and the bundled scripts. */
  pages: string;
}

export interface Web {
  /** Opens the HTTPS port; gives the port that it got. */
  listen(): Promise<number>;
  /** Opens the same API for the programs of this box; who may open the file is a technician. */
  listenSocket(path: string): Promise<void>;
  /** A new certificate for new connections. */
  setCertificate(tls: { cert: string; key: string }): void;
  /** Ends every stream and connection. */
  close(): Promise<void>;
}

type Server = HttpServer | HttpsServer;

const SWEEP_MS = 5_000;
const PING_MS = 20_000;
/** Visitors must not use up the descriptors that recording needs. */
const MOST_CONNECTIONS = 200;
/** A connection on which nothing moves for so long is cut; live views ping, events beat, playback comes back by itself. */
const IDLE_MS = 600_000;
const LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 15_000, maxHeaderSize: 16 * 1024 };

/** The local page and API. Nothing listens until `listen` or `listenSocket` is called. */
export function createWeb(options: WebOptions): Web {
  const services: Services = {
    clock: options.clock,
    log: options.log,
    ports: options.ports,
    sessions: new Sessions(options.clock, {
      ...LIFETIMES_MS,
      technician: options.technicianMs ?? LIFETIMES_MS.technician,
    }),
    logins: new LoginLimit(options.clock),
    connections: new Connections(new FirstHops(options.clock, options.log), options.clock),
  };
  const router = createRouter({ routes: ROUTES, services, assets: loadAssets(options.pages), hosts: options.hosts });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 4096, perMessageDeflate: false });
  const servers: Server[] = [];
  let socketPath: string | undefined;
  const make = (viaSocket: boolean): Server => {
    const server = createAdaptorServer({
      // The same object goes on: an upgrade leaves its mark on it.
      fetch: async (request, env) => {
        const knocked: Knocked = Object.assign(env as HttpBindings, { viaSocket });
        const head = await router.fetch(request, knocked);
        if (knocked.transfer === undefined || knocked.outgoing === undefined) return head;
        await knocked.transfer.send(head, knocked.outgoing);
        return RESPONSE_ALREADY_SENT;
      },
      overrideGlobalObjects: false,
      websocket: { server: sockets },
      ...(viaSocket
        ? { createServer: createHttpServer, serverOptions: LIMITS }
        : { createServer: createHttpsServer, serverOptions: { ...LIMITS, ...options.tls, minVersion: 'TLSv1.2' } }),
    }) as Server;
    server.maxConnections = MOST_CONNECTIONS;
    server.timeout = IDLE_MS;
    server.on(viaSocket ? 'connection' : 'secureConnection', (socket: Socket) => {
      if (!viaSocket) services.connections.secured(socket);
      // Node takes its own listener away when a request asks for an upgrade to something that is not spoken here.
      socket.on('timeout', () => services.connections.retire(socket));
    });
    // Else Node ends it by itself, whatever the client still has to get.
    server.on('timeout', () => undefined);
    if (!viaSocket) {
      server.on('connection', (socket: Socket) => {
        // Before TLS: whoever is not meant does not even learn what this is.
        if (options.admits?.(socket.remoteAddress ?? '') === false) socket.destroy();
        else services.connections.opened(socket);
      });
    }
    servers.push(server);
    return server;
  };
  const stops = [
    options.clock.every(SWEEP_MS, () => services.sessions.sweep()),
    options.clock.every(PING_MS, pinger(sockets)),
  ];
  const https = make(false) as HttpsServer;

  return {
    async listen() {
      await listening(https, () => https.listen(options.listen.port, options.listen.host));
      const { port } = https.address() as AddressInfo;
      options.log.info({ host: options.listen.host, port }, 'local page open');
      return port;
    },
    async listenSocket(path) {
      await refuseIfInUse(path);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // Under a name of its own until the permissions are right: at no moment can another user open it.
      const fresh = `${path}.new`;
      rmSync(fresh, { force: true });
      const server = make(true);
      await listening(server, () => server.listen(fresh));
      chmodSync(fresh, 0o600);
      renameSync(fresh, path);
      socketPath = path;
    },
    setCertificate: (tls) => https.setSecureContext({ ...tls, minVersion: 'TLSv1.2' }),
    async close() {
      for (const stop of stops) stop();
      services.sessions.closeAll();
      for (const socket of sockets.clients) socket.terminate();
      await Promise.all(servers.map(closed));
      if (socketPath !== undefined) rmSync(socketPath, { force: true });
    },
  };
}

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(cause)));
    server.once('listening', resolve);
    start();
  });
}

function cannotListen(cause: NodeJS.ErrnoException): BluelightError {
  const taken = cause.code === 'EADDRINUSE';
  return new BluelightError('CANNOT_LISTEN', `The local page cannot be opened: ${cause.message}`, {
    fix: taken ? 'Another program uses the port: stop it, or set web.port.' : 'Check web.host and web.port.',
    cause,
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Finds viewers that went without a word (a phone that left the network). */
function pinger(sockets: WebSocketServer): () => void {
  const waiting = new WeakSet<WebSocket>();
  return () => {
    for (const socket of sockets.clients) {
      if (waiting.has(socket)) {
        socket.terminate();
        continue;
      }
      waiting.add(socket);
      socket.once('pong', () => waiting.delete(socket));
      socket.ping();
    }
  };
}

/** A socket file that nobody answers on is left over from a crash and is replaced. */
async function refuseIfInUse(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe: Socket = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (!answered) return;
  throw new BluelightError('SOCKET_IN_USE', `Another agent answers on ${path}.`, {
    fix: 'Stop it first, or give this one another state directory.',
  });
}
