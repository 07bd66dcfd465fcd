import { createServer, type AddressInfo, type Socket } from 'node:net';
import { timingSafeEqual } from 'node:crypto';
import { Aedes, type AuthenticateError } from 'aedes';
import type { Clock } from '../../base/clock.js';
import { isAbort } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { Mqtt5Front } from './mqtt5.js';

export interface BrokerOptions {
  clock: Clock;
  log: Log;
  host: string;
  /** 0: any free one */
  port: number;
  /** The password that belongs to a user; undefined: there is no such user. */
  passwordOf: (username: string) => string | undefined;
  /** The center itself: it may read and write everything. */
  centerUser: string;
}

export interface Broker {
  port: number;
  close(): Promise<void>;
}

/** The embedded broker: one process, in memory. Beyond a demonstration use mosquitto or another MQTT 5 broker. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { centerUser } = options;
  const aedes = await Aedes.createBroker({
    authenticate(_client, username, password, done) {
      const wanted = username === undefined ? undefined : options.passwordOf(username);
      const ok = wanted !== undefined && password !== undefined && equal(Buffer.from(wanted), password);
      const refused = Object.assign(new Error('bad user name or password'), { returnCode: 4 }) as AuthenticateError;
      done(ok ? null : refused, ok);
      if (ok) Object.assign(_client, { username });
    },
    authorizeSubscribe(client, subscription, done) {
      const { username } = client as unknown as { username?: string };
      done(null, mayRead(username, subscription.topic, centerUser) ? subscription : null);
    },
  });
  aedes.on('connectionError', (_client, error) => options.log.debug({ error: error.message }, 'broker connection'));
  aedes.on('clientError', (_client, error) => options.log.debug({ error: error.message }, 'broker client'));
  const front = new Mqtt5Front(
    {
      handle: (stream) => aedes.handle(stream),
      publish: (packet) =>
        aedes.publish({ cmd: 'publish', dup: false, ...packet }, (error) => {
          if (error instanceof Error) options.log.warn({ error: error.message }, 'a will was not published');
        }),
      mayPublish: (username, topic) => mayWrite(username, topic, centerUser),
    },
    (ms, run) => {
      const stop = new AbortController();
      options.clock.sleep(ms, stop.signal).then(run, (error: unknown) => {
        if (!isAbort(error)) throw error;
      });
      return () => stop.abort();
    },
  );
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    front.accept(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      front.close();
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await new Promise<void>((resolve) => aedes.close(resolve));
    },
  };
}

/** A user is a box: it writes below `bluelight/v1/{site}/{box}` of its own and reads only what is meant for it. */
export function mayWrite(username: string | undefined, topic: string, centerUser: string): boolean {
  if (username === undefined || topic.startsWith('$')) return false;
  return username === centerUser || ownTopic(username, topic);
}

export function mayRead(username: string | undefined, filter: string, centerUser: string): boolean {
  if (username === undefined) return false;
  return (
    username === centerUser || ownTopic(username, filter) || /^bluelight\/v1\/center\/[a-z0-9-]+\/status$/.test(filter)
  );
}

/** User names are `{site}/{box}`; wildcards cannot widen it, because the first four levels must be equal. */
function ownTopic(username: string, topic: string): boolean {
  return topic.startsWith(`bluelight/v1/${username}/`) && /^[a-z0-9-]+\/[a-z0-9-]+$/.test(username);
}

function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
