import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { LiveStream } from './live-stream.js';
import type { DigestServer } from './login.js';
import type { CameraFaults } from './options.js';
import { RtspConnection, type RtspHost } from './rtsp-connection.js';

export interface RtspServerOptions {
  clock: Clock;
  log: Log;
  /** Where it listens from the next start on. */
  address: () => string;
  port: number;
  digest: DigestServer;
  /** By path, e.g. `/main`. */
  streams: ReadonlyMap<string, LiveStream>;
  faults: Readonly<CameraFaults>;
  maxClients: number;
  transport: 'tcp' | 'udp' | 'any';
  join: 'key' | 'any';
  perPacketWrites: boolean;
  maxQueuedBytes: number;
  sessionTimeoutSeconds: number;
}

/** Listens for RTSP clients of one camera; many may watch each stream. */
export class RtspServer {
  readonly #connections = new Map<Socket, RtspConnection>();
  #server: Server | undefined;
  #stopChecks: (() => void) | undefined;
  #port: number;

  constructor(private readonly options: RtspServerOptions) {
    this.#port = options.port;
  }

  get port(): number {
    return this.#port;
  }

  get clients(): number {
    return [...this.#connections.values()].filter((connection) => connection.playing).length;
  }

  async start(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    server.listen(this.#port, this.options.address());
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.#stopChecks = this.options.clock.every(this.options.sessionTimeoutSeconds * 1000, () => this.#dropSilent());
  }

  /** Resets every connection; the camera itself goes on. */
  reset(): void {
    for (const connection of this.#connections.values()) connection.reset();
  }

  /** Breaks every connection without a farewell, as a power cut does. */
  async stop(): Promise<void> {
    this.#stopChecks?.();
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const socket of this.#connections.keys()) socket.destroy();
    server.close();
    await once(server, 'close');
  }

  #accept(socket: Socket): void {
    const { options } = this;
    const host: RtspHost = {
      ...options,
      address: options.address(),
      port: this.#port,
      find: (path) => options.streams.get(path),
      describe: (stream) => sessionDescription(stream, options.address()),
      admit: () => this.clients < options.maxClients,
      dropped: (reason) => options.log.info({ client: socket.remoteAddress, reason }, 'RTSP client dropped'),
    };
    this.#connections.set(socket, new RtspConnection(socket, host));
    socket.on('close', () => this.#connections.delete(socket));
  }

  /** A client that showed no sign of life during a whole timeout is gone (RFC 2326 §12.37). */
  #dropSilent(): void {
    if (this.options.faults.halfOpen) return;
    for (const connection of this.#connections.values()) {
      if (!connection.sawLife) connection.drop('no keep-alive');
      connection.sawLife = false;
    }
  }
}

/** SDP of a stream (RFC 8866; format parameters: RFC 6184 §8.2.1, RFC 7798 §7.1; audio: RFC 3551 table 4). */
export function sessionDescription(stream: LiveStream, address: string): string {
  const { codec, fps } = stream.encoding;
  return [
    'v=0',
    `o=- 1 1 IN IP4 ${address}`,
    `s=${stream.name}`,
    `c=IN IP4 0.0.0.0`,
    't=0 0',
    'a=control:*',
    'm=video 0 RTP/AVP 96',
    `a=rtpmap:96 ${codec.toUpperCase()}/90000`,
    `a=fmtp:96 ${formatParameters(stream)}`,
    `a=framerate:${String(fps)}`,
    'a=control:trackID=0',
    ...(stream.audio ? ['m=audio 0 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000', 'a=control:trackID=1'] : []),
    '',
  ].join('\r\n');
}

function formatParameters({ clip, encoding }: LiveStream): string {
  const base64 = (set: Uint8Array): string => Buffer.from(set).toString('base64');
  if (encoding.codec === 'h265') {
    const [vps, sps, ...pps] = clip.parameterSets.map(base64);
    return `sprop-vps=${vps ?? ''};sprop-sps=${sps ?? ''};sprop-pps=${pps.join(',')}`;
  }
  const profile = Buffer.from(clip.parameterSets[0] ?? []).toString('hex', 1, 4);
  const sets = clip.parameterSets.map(base64).join(',');
  return `packetization-mode=1;profile-level-id=${profile.toUpperCase()};sprop-parameter-sets=${sets}`;
}
