import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.js';
import { errorMessage } from '../../base/errors.js';
import type { LiveStream, TrackName, Viewer } from './live-stream.js';
import type { DigestServer } from './login.js';
import type { CameraFaults } from './options.js';
import { tcpDelivery, udpDelivery, type Delivery } from './transports.js';
import { trickle } from './trickle.js';

/** What a connection needs from its camera. */
export interface RtspHost {
  clock: Clock;
  digest: DigestServer;
  faults: Readonly<CameraFaults>;
  /** The camera's own address. */
  address: string;
  port: number;
  /** The stream behind a path such as `/main`. */
  find(path: string): LiveStream | undefined;
  describe(stream: LiveStream): string;
  /** Whether one more client may play. */
  admit(): boolean;
  transport: 'tcp' | 'udp' | 'any';
  join: 'key' | 'any';
  perPacketWrites: boolean;
  maxQueuedBytes: number;
  sessionTimeoutSeconds: number;
  /** Told when a connection is dropped for a reason of ours. */
  dropped(reason: string): void;
}

interface Request {
  method: string;
  uri: string;
  headers: Map<string, string>;
}

const MAX_REQUEST_BYTES = 8_192;

/** One RTSP connection (RFC 2326) with RTP interleaved (§10.12) or over UDP. */
export class RtspConnection implements Viewer {
  #input: Buffer = Buffer.alloc(0);
  #stream: LiveStream | undefined;
  #playing = false;
  #waitsForKey = false;
  readonly #tracks = new Map<TrackName, Delivery>();
  readonly #session = randomBytes(6).toString('hex');
  /** Requests are answered in order, also where a transport has to be opened first. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly socket: Socket,
    private readonly host: RtspHost,
  ) {
    socket.setNoDelay(true);
    // The client's own reports and keep-alives count; without any of them the session is over.
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A reset by the client ends in `close` like every other end; there is nothing else to do about it.
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
  }

  get playing(): boolean {
    return this.#playing;
  }

  /** Set by every byte the client sends; taken back by whoever checks the session timeout. */
  sawLife = true;

  picture(packets: readonly Buffer[], key: boolean): void {
    if (this.#waitsForKey && !key) return;
    this.#waitsForKey = false;
    this.#deliver('video', packets);
    if (this.socket.writableLength > this.host.maxQueuedBytes) this.drop('too slow');
  }

  audio(packets: readonly Buffer[]): void {
    this.#deliver('audio', packets);
  }

  report(track: TrackName, packet: Buffer): void {
    this.#deliver(track, [packet]);
  }

  noise(bytes: Buffer): void {
    if (!this.host.faults.halfOpen) this.socket.write(bytes);
  }

  drop(reason: string): void {
    this.host.dropped(reason);
    this.#end();
    this.socket.destroy();
  }

  /** Ends it as a machine that knows nothing of the connection any more (TCP reset). */
  reset(): void {
    this.#end();
    this.socket.resetAndDestroy();
  }

  #deliver(track: TrackName, packets: readonly Buffer[]): void {
    if (!this.host.faults.halfOpen) this.#tracks.get(track)?.send(packets);
  }

  #end(): void {
    this.#stream?.remove(this);
    this.#stream = undefined;
    this.#playing = false;
    for (const delivery of this.#tracks.values()) delivery.close();
    this.#tracks.clear();
  }

  #receive(chunk: Buffer): void {
    if (this.host.faults.halfOpen) return;
    this.sawLife = true;
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    while (this.#input.length > 0) {
      const used = this.#input[0] === 0x24 ? interleavedLength(this.#input) : this.#request();
      if (used === 0) break;
      this.#input = this.#input.subarray(used);
    }
    if (this.#input.length > MAX_REQUEST_BYTES + 0xffff) this.drop('request too long');
  }

  /** Takes one request at the head of the input; how many bytes it took, 0 while it is incomplete. */
  #request(): number {
    const end = this.#input.indexOf('\r\n\r\n');
    if (end === -1) {
      if (this.#input.length > MAX_REQUEST_BYTES) this.drop('request too long');
      return 0;
    }
    const request = parseRequest(this.#input.subarray(0, end).toString('latin1'));
    const body = Number(request?.headers.get('content-length') ?? '0');
    const length = end + 4 + (Number.isInteger(body) && body >= 0 && body <= 0xffff ? body : 0);
    if (this.#input.length < length) return 0;
    if (request === undefined) this.drop('not RTSP');
    else this.#enqueue(request);
    return length;
  }

  #enqueue(request: Request): void {
    this.#turn = this.#turn.then(() => this.#answer(request)).catch((error: unknown) => this.drop(errorMessage(error)));
  }

  async #answer(request: Request): Promise<void> {
    if (this.socket.destroyed) return;
    if (request.method === 'OPTIONS') {
      return this.#reply(request, '200 OK', ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, TEARDOWN']);
    }
    const { digest, faults, port } = this.host;
    if (faults.redirectTo !== '') {
      const elsewhere = `rtsp://${faults.redirectTo}:${String(port)}${pathOf(request.uri)}`;
      return this.#reply(request, '302 Moved Temporarily', [`Location: ${elsewhere}`]);
    }
    const verdict = digest.verify(request.method, request.headers.get('authorization'));
    if (verdict !== 'ok') {
      const challenges = digest.challenges(verdict === 'stale').map((value) => `WWW-Authenticate: ${value}`);
      return this.#reply(request, '401 Unauthorized', challenges);
    }
    const stream = this.host.find(pathOf(request.uri));
    if (stream === undefined) return this.#reply(request, '404 Not Found', []);
    await this.#command(request, stream);
  }

  async #command(request: Request, stream: LiveStream): Promise<void> {
    switch (request.method) {
      case 'DESCRIBE': {
        const base = request.uri.endsWith('/') ? request.uri : `${request.uri}/`;
        const headers = [`Content-Base: ${base}`, 'Content-Type: application/sdp'];
        return this.#reply(request, '200 OK', headers, this.host.describe(stream));
      }
      case 'SETUP':
        return this.#setup(request, stream);
      case 'PLAY':
        return this.#play(request);
      case 'PAUSE':
        this.#stream?.remove(this);
        this.#playing = false;
        return this.#reply(request, '200 OK', [this.#sessionHeader()]);
      case 'GET_PARAMETER':
      case 'SET_PARAMETER':
        return this.#reply(request, '200 OK', [this.#sessionHeader()]);
      case 'TEARDOWN':
        await this.#reply(request, '200 OK', [this.#sessionHeader()]);
        this.#end();
        this.socket.end();
        return;
      default:
        return this.#reply(request, '501 Not Implemented', []);
    }
  }

  async #setup(request: Request, stream: LiveStream): Promise<void> {
    const transport = request.headers.get('transport') ?? '';
    const track: TrackName = /trackID=1\b/.test(request.uri) ? 'audio' : 'video';
    if (track === 'audio' && !stream.audio) return this.#reply(request, '404 Not Found', []);
    const delivery = await this.#open(transport);
    if (delivery === undefined) return this.#reply(request, '461 Unsupported Transport', []);
    if (this.#tracks.size === 0 && !this.host.admit()) {
      delivery.close();
      return this.#reply(request, '453 Not Enough Bandwidth', []);
    }
    if (this.#stream !== undefined && this.#stream !== stream) this.#end();
    this.#tracks.get(track)?.close();
    this.#tracks.set(track, delivery);
    this.#stream = stream;
    return this.#reply(request, '200 OK', [`Transport: ${delivery.header}`, this.#sessionHeader()]);
  }

  /** The first transport of the client's list that this camera has. */
  async #open(wanted: string): Promise<Delivery | undefined> {
    const { transport, address } = this.host;
    for (const one of wanted.split(',')) {
      if (/RTP\/AVP\/TCP/i.test(one) && transport !== 'udp') {
        const asked = Number(/interleaved=(\d{1,3})/i.exec(one)?.[1] ?? '0');
        return tcpDelivery(this.socket, asked > 254 ? 0 : asked, this.host.perPacketWrites);
      }
      const ports = /client_port=(\d{1,5})-(\d{1,5})/i.exec(one);
      if (/^RTP\/AVP(?:\/UDP)?(?:;|$)/i.test(one.trim()) && ports !== null && transport !== 'tcp') {
        return udpDelivery(address, this.socket.remoteAddress ?? '', [Number(ports[1]), Number(ports[2])]);
      }
    }
    return undefined;
  }

  async #play(request: Request): Promise<void> {
    if (this.#stream === undefined) return this.#reply(request, '455 Method Not Valid in This State', []);
    await this.#reply(request, '200 OK', [this.#sessionHeader(), 'Range: npt=now-', `RTP-Info: url=${request.uri}`]);
    if (this.#playing) return;
    this.#playing = true;
    this.#waitsForKey = this.host.join === 'key';
    this.#stream.add(this);
  }

  #sessionHeader(): string {
    return `Session: ${this.#session};timeout=${String(this.host.sessionTimeoutSeconds)}`;
  }

  async #reply(request: Request, status: string, headers: readonly string[], body = ''): Promise<void> {
    const lines = [`RTSP/1.0 ${status}`, `CSeq: ${request.headers.get('cseq') ?? '0'}`, ...headers];
    if (body !== '') lines.push(`Content-Length: ${String(Buffer.byteLength(body))}`);
    const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
    const { socket, host } = this;
    const is = { slow: () => host.faults.slow, alive: () => !socket.destroyed };
    await trickle(host.clock, text, (bytes) => socket.write(bytes), is);
  }
}

/** Bytes of an interleaved frame at the head of the input; 0 while it is incomplete. */
function interleavedLength(input: Buffer): number {
  if (input.length < 4) return 0;
  const length = 4 + input.readUInt16BE(2);
  return input.length < length ? 0 : length;
}

function parseRequest(head: string): Request | undefined {
  const lines = head.split('\r\n');
  const first = /^([A-Z_]+) (\S+) RTSP\/1\.\d$/.exec(lines[0] ?? '');
  if (first === null) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return { method: first[1]!, uri: first[2]!, headers };
}

/** `/main` of `rtsp://host:port/main/trackID=0?x`. */
function pathOf(uri: string): string {
  const path = uri.replace(/^rtsps?:\/\/[^/]*/i, '').replace(/\?.*$/, '');
  return path.replace(/\/trackID=\d+$/, '').replace(/\/+$/, '');
}
