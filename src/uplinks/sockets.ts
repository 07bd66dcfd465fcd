import { connect as tcpConnect, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { Agent as HttpAgent, type ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { DialTarget, LinkConfig, LinkStatus, Purpose } from './ports.js';

export interface ByteCount {
  uplink: string;
  class: Purpose;
  sent: number;
  received: number;
}

/** Opens every outside socket of one link and counts its bytes per purpose, those of connections still open included. */
export class LinkSockets {
  readonly link: LinkConfig;
  readonly #open = new Map<Socket, { purpose: Purpose; sent: number; received: number }>();
  readonly #done = new Map<Purpose, { sent: number; received: number }>();
  #lastError: string | null = null;
  readonly #total = { sent: 0, received: 0 };

  constructor(link: LinkConfig) {
    this.link = link;
  }

  dial(target: DialTarget): Duplex {
    const raw = tcpConnect({ host: target.host, port: target.port, localAddress: this.link.localAddress });
    raw.setNoDelay(true);
    const counted = { purpose: target.purpose, sent: 0, received: 0 };
    this.#open.set(raw, counted);
    raw.on('error', (error) => (this.#lastError = error.message));
    raw.on('close', () => {
      this.#count(raw, counted);
      this.#open.delete(raw);
    });
    if (target.tls === undefined) return raw;
    const { servername, ca } = target.tls;
    // RFC 6066 §3: an address is no server name; the certificate is then checked against the host.
    return tlsConnect({ socket: raw, host: target.host, servername: isIP(servername) === 0 ? servername : '', ca });
  }

  /** What was counted since the last call, for the ledger. */
  takeCounts(): ByteCount[] {
    for (const [socket, counted] of this.#open) this.#count(socket, counted);
    const counts = [...this.#done].map(([purpose, sum]) => ({ uplink: this.link.id, class: purpose, ...sum }));
    this.#done.clear();
    return counts.filter((count) => count.sent > 0 || count.received > 0);
  }

  status(): LinkStatus {
    for (const [socket, counted] of this.#open) this.#count(socket, counted);
    return {
      id: this.link.id,
      kind: this.link.kind,
      ...this.#total,
      connections: this.#open.size,
      lastError: this.#lastError,
    };
  }

  close(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** Below TLS, so that these are the bytes that the carrier counts (without TCP and IP headers). */
  #count(socket: Socket, counted: { purpose: Purpose; sent: number; received: number }): void {
    const sent = socket.bytesWritten - counted.sent;
    const received = socket.bytesRead - counted.received;
    counted.sent += sent;
    counted.received += received;
    const sum = this.#done.get(counted.purpose) ?? { sent: 0, received: 0 };
    this.#done.set(counted.purpose, { sent: sum.sent + sent, received: sum.received + received });
    this.#total.sent += sent;
    this.#total.received += received;
  }
}

/** An HTTP(S) agent whose connections are opened by a link. One connection: one upload at a time has the whole link. */
export function httpAgent(sockets: LinkSockets, secure: boolean, ca: string | undefined): HttpAgent | HttpsAgent {
  const connect = (options: ClientRequestArgs): Duplex => {
    const host = options.hostname ?? options.host ?? 'localhost';
    const port = Number(options.port ?? (secure ? 443 : 80));
    return sockets.dial({ host, port, purpose: 'clips', ...(secure ? { tls: { servername: host, ca } } : {}) });
  };
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: 1 })
    : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = connect;
  return agent;
}
