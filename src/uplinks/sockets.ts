import { Agent as HttpAgent, type ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { bindToDevice } from '../base/bind-device.js';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import { FirstHops } from '../base/first-hop.js';
import type { Log } from '../base/log.js';
import { AbruptSocket } from '../base/unsent.js';
import type { Counter } from './counters.js';
import { Resolver, type Address } from './dns.js';
import type { DialTarget, LinkConfig, Purpose } from './ports.js';

export interface ByteCount extends Counter {
  uplink: string;
  class: Purpose;
}

interface Open {
  purpose: Purpose;
  counted: Counter;
  /** What it had sent when somebody last asked, and when it was first seen to be so much. */
  seen: { sent: number; mono: number };
}

const TCP_MS = 5_000;
const TLS_MS = 10_000;

/** Opens every outside socket of one link, tied to its interface, and counts their bytes per purpose. */
export class LinkSockets {
  readonly link: LinkConfig;
  readonly #clock: Clock;
  readonly #resolver: Resolver;
  readonly #hops: FirstHops;
  readonly #open = new Map<Socket, Open>();
  readonly #done = new Map<Purpose, Counter>();
  readonly #total: Counter = { sent: 0, received: 0 };
  #lastError: string | null = null;

  constructor(link: LinkConfig, clock: Clock, log: Log) {
    this.link = link;
    this.#clock = clock;
    this.#hops = new FirstHops(clock, log, (sent) => this.#add('clips', { sent, received: 0 }));
    this.#resolver = new Resolver({
      clock,
      interface: link.interface,
      servers: link.dns,
      onBytes: (sent, received) => this.#add('dns', { sent, received }),
    });
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  /**
   * A connection that stands, TLS included. The addresses of a name are tried one after the other.
   * @param withinMs for each of them, before TLS
   * @throws BluelightError NAME_UNKNOWN | LINK_BIND | LINK_CONNECT | LINK_TLS
   */
  async dial(target: DialTarget, withinMs = TCP_MS): Promise<Duplex> {
    try {
      const raw = await this.#dialAny(target, withinMs);
      return target.tls === undefined ? raw : await this.#secure(raw, target, target.tls);
    } catch (error) {
      this.#lastError = errorMessage(error);
      throw error;
    }
  }

  /** What the sockets moved since the last call. */
  takeCounts(): ByteCount[] {
    for (const [socket, open] of this.#open) this.#count(socket, open);
    const counts = [...this.#done].map(([purpose, sum]) => ({ uplink: this.link.id, class: purpose, ...sum }));
    this.#done.clear();
    return counts.filter((count) => count.sent > 0 || count.received > 0);
  }

  /** Since the agent started: bytes of the sockets, TLS included, headers not. */
  totals(): Counter & { connections: number } {
    for (const [socket, open] of this.#open) this.#count(socket, open);
    return { ...this.#total, connections: this.#open.size };
  }

  localPorts(): number[] {
    return [...this.#open.keys()].flatMap((socket) => socket.localPort ?? []);
  }

  /** True if a connection was seen to send something in the last `ms`. To be asked regularly: only asking sees it. */
  sentWithin(ms: number): boolean {
    const now = this.#clock.monotonic();
    let sent = false;
    for (const [{ bytesWritten }, { seen }] of this.#open) {
      if (bytesWritten !== seen.sent) Object.assign(seen, { sent: bytesWritten, mono: now });
      sent ||= seen.sent > 0 && now - seen.mono < ms;
    }
    return sent;
  }

  /** Ends every connection: the link is gone, or a better one is there. */
  drop(): void {
    for (const socket of this.#open.keys()) {
      socket.destroy(new BluelightError('LINK_DOWN', `the link ${this.link.id} was left`, { retryable: true }));
    }
  }

  async #dialAny(target: DialTarget, withinMs: number): Promise<Socket> {
    const addresses = await this.#resolver.addresses(target.host);
    let last: unknown;
    for (const address of addresses) {
      try {
        return await this.#dialOne(target, address, withinMs);
      } catch (error) {
        last = error;
      }
    }
    this.#resolver.forget(target.host);
    if (last instanceof BluelightError) throw last;
    throw new BluelightError('LINK_CONNECT', `${target.host}:${target.port} is not reached: ${errorMessage(last)}`, {
      retryable: true,
      cause: last,
    });
  }

  #dialOne({ port, purpose }: DialTarget, { address, family }: Address, withinMs: number): Promise<Socket> {
    // An upload that is withdrawn leaves nothing behind in the kernel that a link which comes back would send.
    const socket = purpose === 'clips' ? new AbruptSocket(this.#hops, this.link.interface) : new Socket();
    const open: Open = { purpose, counted: { sent: 0, received: 0 }, seen: { sent: 0, mono: 0 } };
    this.#open.set(socket, open);
    socket.on('error', (error) => (this.#lastError = error.message));
    socket.on('close', () => {
      this.#count(socket, open);
      this.#open.delete(socket);
    });
    const connected = new Promise<Socket>((resolve, reject) => {
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
      socket.once('close', () => reject(new BluelightError('LINK_CONNECT', 'the connection was closed')));
    });
    socket.setNoDelay(true);
    const device = this.link.interface;
    if (device === null) socket.connect({ host: address, port });
    else {
      // The moment of the look-up is the one between having a handle and connecting it.
      socket.connect({
        host: 'link.invalid',
        port,
        autoSelectFamily: false,
        lookup: (_host, _options, done) => {
          bindToDevice(socket, family, device).then(
            () => done(null, address, family),
            (error: unknown) => done(error as Error, address, family),
          );
        },
      });
    }
    return this.#inTime(withinMs, connected, socket, 'LINK_CONNECT');
  }

  async #secure(raw: Socket, { host }: DialTarget, tls: { servername: string; ca?: string }): Promise<TLSSocket> {
    // RFC 6066 §3: an address is no server name; the certificate is then checked against the host.
    const servername = isIP(tls.servername) === 0 ? tls.servername : '';
    const secure = tlsConnect({ socket: raw, host, servername, ca: tls.ca });
    const ready = new Promise<TLSSocket>((resolve, reject) => {
      secure.once('secureConnect', () => resolve(secure));
      secure.once('error', reject);
      secure.once('close', () => reject(new BluelightError('LINK_TLS', 'the connection was closed')));
    });
    // Whoever takes the connection listens for its errors from then on.
    secure.on('error', (error) => (this.#lastError = error.message));
    return this.#inTime(TLS_MS, ready, raw, 'LINK_TLS');
  }

  async #inTime<T>(ms: number, work: Promise<T>, socket: Socket, code: string): Promise<T> {
    try {
      const late = (): Error => new BluelightError(code, `no answer within ${ms / 1000} s`, { retryable: true });
      return await withDeadline(this.#clock, ms, work, late);
    } catch (error) {
      socket.destroy();
      if (error instanceof BluelightError) throw error;
      throw new BluelightError(code, errorMessage(error), { retryable: true, cause: error });
    }
  }

  /** Below TLS, so that these are the bytes that the carrier counts (without TCP and IP headers). */
  #count(socket: Socket, { purpose, counted }: Open): void {
    const sent = socket.bytesWritten - counted.sent;
    const received = socket.bytesRead - counted.received;
    counted.sent += sent;
    counted.received += received;
    this.#add(purpose, { sent, received });
  }

  #add(purpose: Purpose, { sent, received }: Counter): void {
    const sum = this.#done.get(purpose) ?? { sent: 0, received: 0 };
    this.#done.set(purpose, { sent: sum.sent + sent, received: sum.received + received });
    this.#total.sent += sent;
    this.#total.received += received;
  }
}

/** An HTTP(S) agent whose connections are opened by a link. One connection: one upload at a time has the whole link. */
export function httpAgent(sockets: LinkSockets, secure: boolean, ca: string | undefined): HttpAgent | HttpsAgent {
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: 1 })
    : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = (options: ClientRequestArgs, done): undefined => {
    const host = options.hostname ?? options.host ?? 'localhost';
    const port = Number(options.port ?? (secure ? 443 : 80));
    sockets.dial({ host, port, purpose: 'clips', ...(secure ? { tls: { servername: host, ca } } : {}) }).then(
      (socket) => done?.(null, socket),
      (error: unknown) => done?.(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  };
  return agent;
}
