import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Codec } from '../../../src/media/stream.js';
import { packetise } from './packetise.js';

/** A foreign camera that does what it is told, wrong things too. It shares no code with what is tested. */
export interface CameraOptions {
  codec?: Codec;
  /** NAL units of each access unit, played in a loop. */
  units: Uint8Array[][];
  /** Position of each access unit in the order of showing; decoding order if left out. */
  order?: number[];
  fps?: number;
  mtu?: number;
  /** Puts small units into aggregation packets. */
  aggregate?: boolean;
  /** With CSRC, header extension and padding. */
  ornate?: boolean;
  sdp?: string;
  /** Parameter sets in the SDP. */
  sprop?: string;
  auth?: {
    user: string;
    password: string;
    algorithm?: 'MD5' | 'MD5-sess' | 'SHA-256';
    qop?: boolean;
    /** Requests for which a nonce is good. */
    nonceUses?: number;
    stale?: 'never' | 'always' | 'true';
    basicOnly?: boolean;
  };
  /** Overrides the answer to a request: text to send, or `silent`. */
  answer?: (request: Request, socket: Socket) => string | 'silent' | undefined;
  /** Changes the packets of an access unit (index since PLAY) before they are sent. */
  mangle?: (packets: Uint8Array[], index: number) => Uint8Array[];
  sessionTimeout?: number;
  /** Milliseconds by which its clock is wrong, in sender reports. */
  clockErrorMs?: number;
  host?: string;
  onConnect?: (socket: Socket) => void;
  /** Each packet leaves by itself, as on a network, instead of all of a picture at once. */
  perPacket?: boolean;
  /** Changes bytes on their way out. */
  wire?: (bytes: Buffer) => Buffer;
  /** Access units that are sent at once when PLAY comes. */
  burst?: number;
}

export interface Request {
  method: string;
  uri: string;
  headers: Map<string, string>;
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

export class FakeCamera {
  readonly requests: Request[] = [];
  readonly rtcp: Buffer[] = [];
  /** Answers to what the camera asked. */
  readonly answers: string[] = [];
  connections = 0;
  /** Requests with a login that was wrong. */
  refusals = 0;
  readonly #options: CameraOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #nonce = 'n0';
  #nonceUses = 0;
  #ssrc = 0x1234_5678;
  readonly #queues = new Map<Socket, Buffer[]>();
  #timers = new Set<NodeJS.Timeout>();

  private constructor(options: CameraOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(options: CameraOptions): Promise<FakeCamera> {
    const camera = new FakeCamera(options);
    camera.#server.listen(0, options.host ?? '127.0.0.1');
    await once(camera.#server, 'listening');
    return camera;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get uri(): string {
    return `rtsp://${this.#options.host ?? '127.0.0.1'}:${this.port}/live?channel=1`;
  }

  methods(): string[] {
    return this.requests.map((one) => one.method);
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  hangUp(): void {
    for (const socket of this.#sockets) socket.end();
  }

  restartStream(): void {
    this.#ssrc++;
  }

  /** Sends bytes as they are to everybody who is connected. */
  shout(bytes: Uint8Array): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    this.#options.onConnect?.(socket);
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        if (rest[0] === 0x24 && rest.length >= 4) {
          const end = 4 + rest.readUInt16BE(2);
          if (rest.length < end) return;
          this.rtcp.push(rest.subarray(4, end));
          rest = rest.subarray(end);
          continue;
        }
        const end = rest.indexOf('\r\n\r\n');
        if (end === -1) return;
        const text = rest.subarray(0, end).toString();
        rest = rest.subarray(end + 4);
        this.#onRequest(text, socket);
      }
    });
  }

  #onRequest(text: string, socket: Socket): void {
    const [first = '', ...lines] = text.split('\r\n');
    if (first.startsWith('RTSP/')) {
      this.answers.push(text);
      return;
    }
    const [method = '', uri = ''] = first.split(' ');
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const request = { method, uri, headers };
    this.requests.push(request);
    const own = this.#options.answer?.(request, socket);
    if (own === 'silent') return;
    if (own !== undefined) {
      socket.write(own.replace('{cseq}', headers.get('cseq') ?? ''));
      return;
    }
    const answer = this.#authorise(request) ?? this.#answer(request);
    socket.write(this.#options.wire?.(Buffer.from(answer)) ?? answer);
    if (method === 'PLAY' && answer.startsWith('RTSP/1.0 200')) this.#play(socket);
  }

  #reply(request: Request, status: string, headers: string[] = [], body = ''): string {
    const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
    const lines = [`RTSP/1.0 ${status}`, `CSeq: ${request.headers.get('cseq')}`, ...headers, ...length];
    return `${lines.join('\r\n')}\r\n\r\n${body}`;
  }

  #authorise(request: Request): string | undefined {
    const { auth } = this.#options;
    if (auth === undefined || request.method === 'OPTIONS') return undefined;
    const given = request.headers.get('authorization') ?? '';
    const challenge = (stale: boolean): string => {
      if (auth.basicOnly === true)
        return this.#reply(request, '401 Unauthorized', ['WWW-Authenticate: Basic realm="cam"']);
      const parts = [`realm="cam \\"1\\""`, `nonce="${this.#nonce}"`, 'opaque="o,p=q"'];
      if (auth.algorithm !== undefined) parts.push(`algorithm=${auth.algorithm}`);
      if (auth.qop !== false) parts.push('qop="auth,auth-int"');
      if (stale) parts.push('stale=true');
      return this.#reply(request, '401 Unauthorized', [
        `WWW-Authenticate: Digest ${parts.join(', ')}`,
        'WWW-Authenticate: Basic realm="cam"',
      ]);
    };
    if (given === '') return challenge(false);
    if (auth.basicOnly === true) {
      const right = `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;
      return given === right ? undefined : challenge(false);
    }
    if (auth.stale === 'always' || this.#nonceUses >= (auth.nonceUses ?? Infinity)) {
      this.#nonce = `n${Number(this.#nonce.slice(1)) + 1}`;
      this.#nonceUses = 0;
      return challenge(auth.stale !== 'never');
    }
    this.#nonceUses++;
    if (this.#digestIsRight(request, given)) return undefined;
    this.refusals++;
    return challenge(false);
  }

  #digestIsRight(request: Request, given: string): boolean {
    const auth = this.#options.auth!;
    const field = (name: string): string =>
      new RegExp(`[ ,]${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^,\\s]+))`).exec(given)?.slice(1).find((one) => one !== undefined) ?? ''; // prettier-ignore
    const hash = auth.algorithm === 'SHA-256' ? (t: string) => createHash('sha256').update(t).digest('hex') : md5;
    let ha1 = hash(`${auth.user}:cam "1":${auth.password}`);
    if (auth.algorithm === 'MD5-sess') ha1 = hash(`${ha1}:${field('nonce')}:${field('cnonce')}`);
    const ha2 = hash(`${request.method}:${request.uri}`);
    const nonce = field('nonce');
    if (nonce !== this.#nonce || field('opaque') !== 'o,p=q' || field('uri') !== request.uri) return false;
    const expected =
      auth.qop === false
        ? hash(`${ha1}:${nonce}:${ha2}`)
        : hash(`${ha1}:${nonce}:${field('nc')}:${field('cnonce')}:auth:${ha2}`);
    return field('response') === expected && (auth.qop === false || Number(`0x${field('nc')}`) === this.#nonceUses);
  }

  #answer(request: Request): string {
    const { codec = 'h264', sessionTimeout = 60 } = this.#options;
    switch (request.method) {
      case 'OPTIONS':
        return this.#reply(request, '200 OK', ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER']);
      case 'DESCRIBE': {
        const format = codec === 'h264' ? 'H264' : 'H265';
        const fmtp = codec === 'h264' ? 'packetization-mode=1' : 'tx-mode=SRST';
        const sprop = this.#options.sprop === undefined ? '' : `;${this.#options.sprop}`;
        const sdp =
          this.#options.sdp ??
          [
            'v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=x', 't=0 0', 'a=control:*',
            'm=audio 0 RTP/AVP 0', 'a=control:track0',
            'm=video 0 RTP/AVP 96', `a=rtpmap:96 ${format}/90000`, `a=fmtp:96 ${fmtp}${sprop}`, 'a=control:track1',
            '',
          ].join('\r\n'); // prettier-ignore
        return this.#reply(request, '200 OK', ['Content-Type: application/sdp', `Content-Base: ${request.uri}/`], sdp);
      }
      case 'SETUP':
        return this.#reply(request, '200 OK', [
          'Transport: RTP/AVP/TCP;unicast;interleaved=4-5;ssrc=12345678',
          `Session: abc123;timeout=${sessionTimeout}`,
        ]);
      default:
        return this.#reply(request, '200 OK', ['Session: abc123']);
    }
  }

  #play(socket: Socket): void {
    const { units, order, fps = 15, mangle, burst = 0 } = this.#options;
    let index = 0;
    let sequence = 65_500;
    const zero = 0xffff_0000;
    const step = 90_000 / fps;
    const send = (): void => {
      if (socket.destroyed || socket.writableLength > 4e6) return;
      const at = index % units.length;
      const shown = index - at + (order?.[at] ?? at);
      const timestamp = (zero + Math.round(shown * step)) >>> 0;
      if (index % 15 === 0) socket.write(this.#senderReport(timestamp));
      const made = packetise(units[at]!, { ...this.#options, sequence, timestamp, ssrc: this.#ssrc });
      sequence += made.length;
      this.#write(
        socket,
        (mangle?.(made, index) ?? made).map((packet) => frame(4, packet)),
      );
      index++;
    };
    for (let i = 0; i < burst; i++) send();
    const timer = setInterval(send, 1000 / fps);
    this.#timers.add(timer);
    socket.on('close', () => clearInterval(timer));
  }

  #write(socket: Socket, frames: Buffer[]): void {
    if (this.#options.perPacket !== true) {
      const bytes = Buffer.concat(frames);
      socket.write(this.#options.wire?.(bytes) ?? bytes);
      return;
    }
    const queue = this.#queues.get(socket) ?? [];
    this.#queues.set(socket, queue);
    queue.push(...frames);
    if (queue.length > frames.length) return;
    const next = (): void => {
      queue.shift();
      const one = queue[0];
      if (one !== undefined && !socket.destroyed) socket.write(one, () => setImmediate(next));
    };
    socket.write(queue[0]!, () => setImmediate(next));
  }

  #senderReport(timestamp: number): Buffer {
    const packet = Buffer.alloc(28);
    packet.set([0x80, 200, 0, 6]);
    packet.writeUInt32BE(this.#ssrc, 4);
    const ms = Date.now() + (this.#options.clockErrorMs ?? 0);
    packet.writeUInt32BE(Math.floor(ms / 1000) + 2_208_988_800, 8);
    packet.writeUInt32BE(Math.floor((ms % 1000) * 4_294_967.296), 12);
    packet.writeUInt32BE(timestamp, 16);
    return frame(5, packet);
  }
}

export function frame(channel: number, packet: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x24, channel, packet.length >> 8, packet.length & 0xff]), packet]);
}
