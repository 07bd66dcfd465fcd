import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { LiveStream, Viewer } from './live-stream.js';
import type { DigestServer } from './login.js';
import { onChannel } from './rtp.js';

/** What a connection needs from its camera. */
export interface RtspHost {
  digest: DigestServer;
  /** The stream behind a path such as `/main`. */
  find(path: string): LiveStream | undefined;
  describe(stream: LiveStream): string;
  /** Whether one more client may play. */
  admit(): boolean;
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

/** One RTSP connection (RFC 2326) with RTP interleaved (§10.12). UDP is answered with 461. */
export class RtspConnection implements Viewer {
  #input: Buffer = Buffer.alloc(0);
  #stream: LiveStream | undefined;
  #playing = false;
  #waitsForKey = false;
  #channel = 0;
  readonly #session = randomBytes(6).toString('hex');

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
    const out = onChannel(packets, this.#channel);
    if (this.host.perPacketWrites) for (const packet of out) this.socket.write(packet);
    else if (out.length > 0) this.socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
    if (this.socket.writableLength > this.host.maxQueuedBytes) this.drop('too slow');
  }

  report(packet: Buffer): void {
    for (const one of onChannel([packet], this.#channel)) this.socket.write(one);
  }

  drop(reason: string): void {
    this.host.dropped(reason);
    this.#end();
    this.socket.destroy();
  }

  #end(): void {
    this.#stream?.remove(this);
    this.#stream = undefined;
    this.#playing = false;
  }

  #receive(chunk: Buffer): void {
    this.sawLife = true;
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    while (this.#input.length > 0) {
      const used = this.#input[0] === 0x24 ? interleavedLength(this.#input) : this.#request();
      if (used === 0) break;
      this.#input = this.#input.subarray(used);
    }
    if (this.#input.length > MAX_REQUEST_BYTES + 0xffff) this.drop('request too long');
  }

  /** Handles one request at the head of the input; how many bytes it took, 0 while it is incomplete. */
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
    else this.#answer(request);
    return length;
  }

  #answer(request: Request): void {
    if (request.method === 'OPTIONS') {
      this.#reply(request, '200 OK', ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, TEARDOWN']);
      return;
    }
    const verdict = this.host.digest.verify(request.method, request.headers.get('authorization'));
    if (verdict !== 'ok') {
      const challenges = this.host.digest.challenges(verdict === 'stale');
      this.#reply(
        request,
        '401 Unauthorized',
        challenges.map((value) => `WWW-Authenticate: ${value}`),
      );
      return;
    }
    const stream = this.host.find(pathOf(request.uri));
    if (stream === undefined) this.#reply(request, '404 Not Found', []);
    else this.#command(request, stream);
  }

  #command(request: Request, stream: LiveStream): void {
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
        this.#reply(request, '200 OK', [this.#sessionHeader()]);
        this.#end();
        this.socket.end();
        return;
      default:
        return this.#reply(request, '501 Not Implemented', []);
    }
  }

  #setup(request: Request, stream: LiveStream): void {
    const transport = request.headers.get('transport') ?? '';
    if (!/RTP\/AVP\/TCP/i.test(transport)) return this.#reply(request, '461 Unsupported Transport', []);
    if (!this.host.admit()) return this.#reply(request, '453 Not Enough Bandwidth', []);
    const asked = Number(/interleaved=(\d{1,3})/i.exec(transport)?.[1] ?? '0');
    this.#channel = asked > 254 ? 0 : asked;
    this.#end();
    this.#stream = stream;
    const answer = `RTP/AVP/TCP;unicast;interleaved=${String(this.#channel)}-${String(this.#channel + 1)}`;
    this.#reply(request, '200 OK', [`Transport: ${answer}`, this.#sessionHeader()]);
  }

  #play(request: Request): void {
    if (this.#stream === undefined) return this.#reply(request, '455 Method Not Valid in This State', []);
    this.#reply(request, '200 OK', [this.#sessionHeader(), 'Range: npt=now-', `RTP-Info: url=${request.uri}`]);
    if (this.#playing) return;
    this.#playing = true;
    this.#waitsForKey = this.host.join === 'key';
    this.#stream.add(this);
  }

  #sessionHeader(): string {
    return `Session: ${this.#session};timeout=${String(this.host.sessionTimeoutSeconds)}`;
  }

  #reply(request: Request, status: string, headers: readonly string[], body = ''): void {
    const lines = [`RTSP/1.0 ${status}`, `CSeq: ${request.headers.get('cseq') ?? '0'}`, ...headers];
    if (body !== '') lines.push(`Content-Length: ${String(Buffer.byteLength(body))}`);
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
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
