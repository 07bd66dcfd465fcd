import { BluelightError } from '../base/errors.js';

/** Names in lower case; a header that comes several times has several values. */
export type RtspHeaders = ReadonlyMap<string, readonly string[]>;

export interface RtspResponse {
  status: number;
  reason: string;
  headers: RtspHeaders;
  body: Uint8Array;
}

/** What a server may ask of its client in between (RFC 2326 §10: OPTIONS, GET_PARAMETER, ANNOUNCE, REDIRECT). */
export interface RtspRequest {
  method: string;
  uri: string;
  headers: RtspHeaders;
}

export interface RtspSink {
  response(response: RtspResponse): void;
  request(request: RtspRequest): void;
  /** A packet of an interleaved channel (RFC 2326 §10.12). `data[start, end)` is valid only during the call. */
  frame(channel: number, data: Uint8Array, start: number, end: number): void;
}

export interface RtspLimits {
  headerBytes: number;
  bodyBytes: number;
}

const LIMITS: RtspLimits = { headerBytes: 16 * 1024, bodyBytes: 256 * 1024 };

const DOLLAR = 0x24;
const CR = 13;
const LF = 10;
const FRAME_HEAD = 4;

/**
 * Takes an RTSP connection apart as its bytes come: messages and interleaved packets. A packet that lies whole in the
 * bytes given is handed on as it lies there, so that the usual case copies nothing. Throws RTSP_INVALID on what is no
 * RTSP or beyond the limits; after that it must not be used any more.
 */
export class RtspReader {
  readonly #sink: RtspSink;
  readonly #limits: RtspLimits;
  /** The beginning of a packet or message that is not complete yet. */
  #part = new Uint8Array(2_048);
  #filled = 0;
  /** Where the head of the message in `#part` ends; 0 while it is not complete. */
  #headEnd = 0;
  #message: { first: string; headers: RtspHeaders; bodyBytes: number } | undefined;

  constructor(sink: RtspSink, limits: Partial<RtspLimits> = {}) {
    this.#sink = sink;
    this.#limits = { ...LIMITS, ...limits };
  }

  push(data: Uint8Array, from = 0, to = data.length): void {
    let at = from;
    while (at < to) {
      if (this.#filled > 0) at = this.#continue(data, at, to);
      else if (data[at] === DOLLAR) at = this.#frame(data, at, to);
      else if (data[at] === CR || data[at] === LF) at++;
      else at = this.#text(data, at, to);
    }
  }

  #frame(data: Uint8Array, at: number, to: number): number {
    const start = at + FRAME_HEAD;
    const end = start <= to ? start + ((data[at + 2]! << 8) | data[at + 3]!) : Infinity;
    if (end > to) return this.#keep(data, at, to);
    this.#sink.frame(data[at + 1]!, data, start, end);
    return end;
  }

  /** Goes on with what was kept. */
  #continue(data: Uint8Array, at: number, to: number): number {
    if (this.#part[0] !== DOLLAR) return this.#text(data, at, to);
    let next = at;
    if (this.#filled < FRAME_HEAD) next = this.#keep(data, next, Math.min(to, next + FRAME_HEAD - this.#filled));
    if (this.#filled < FRAME_HEAD) return next;
    const size = FRAME_HEAD + ((this.#part[2]! << 8) | this.#part[3]!);
    next = this.#keep(data, next, Math.min(to, next + size - this.#filled));
    if (this.#filled < size) return next;
    this.#filled = 0;
    this.#sink.frame(this.#part[1]!, this.#part, FRAME_HEAD, size);
    return next;
  }

  #keep(data: Uint8Array, from: number, to: number): number {
    const size = this.#filled + to - from;
    if (size > this.#part.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(size)));
      larger.set(this.#part.subarray(0, this.#filled));
      this.#part = larger;
    }
    this.#part.set(data.subarray(from, to), this.#filled);
    this.#filled = size;
    return to;
  }

  #text(data: Uint8Array, at: number, to: number): number {
    let next = at;
    if (this.#message === undefined) {
      next = this.#head(data, at, to);
      if (this.#message === undefined) return next;
    }
    const size = this.#headEnd + this.#message.bodyBytes;
    next = this.#keep(data, next, Math.min(to, next + size - this.#filled));
    if (this.#filled === size) this.#deliver(this.#message);
    return next;
  }

  /** Collects the head line by line, up to the empty line. */
  #head(data: Uint8Array, at: number, to: number): number {
    let next = at;
    while (next < to) {
      const newline = data.indexOf(LF, next);
      const end = newline === -1 || newline >= to ? to : newline + 1;
      if (this.#filled + end - next > this.#limits.headerBytes) throw invalid('a message head that does not end');
      const lineStart = this.#filled === 0 ? 0 : this.#lineStart();
      next = this.#keep(data, next, end);
      if (this.#filled >= 5 && !couldBeRtsp(this.#part)) throw invalid('bytes that are no RTSP');
      if (this.#part[this.#filled - 1] !== LF) return next;
      const blank = this.#filled - lineStart === 1 || (this.#filled - lineStart === 2 && this.#part[lineStart] === CR);
      if (!blank) continue;
      this.#headEnd = this.#filled;
      this.#message = readHead(this.#part, this.#headEnd, this.#limits.bodyBytes);
      return next;
    }
    return next;
  }

  /** Where the line that is being collected begins. */
  #lineStart(): number {
    return this.#part.lastIndexOf(LF, this.#filled - 1) + 1;
  }

  #deliver(message: { first: string; headers: RtspHeaders }): void {
    const body = this.#part.slice(this.#headEnd, this.#filled);
    this.#filled = 0;
    this.#headEnd = 0;
    this.#message = undefined;
    const status = /^RTSP\/\d\.\d (\d{3})(?: (.*))?$/.exec(message.first);
    if (status !== null) {
      const [, code, reason = ''] = status;
      this.#sink.response({ status: Number(code), reason, headers: message.headers, body });
      return;
    }
    const request = /^([A-Z_]{1,20}) (\S+) RTSP\/\d\.\d$/.exec(message.first);
    if (request === null) throw invalid('a message that is no RTSP');
    this.#sink.request({ method: request[1]!, uri: request[2]!, headers: message.headers });
  }
}

/** Response or request: letters at the start. What a wrong port or a broken camera sends is seen at once, not at a limit. */
function couldBeRtsp(data: Uint8Array): boolean {
  for (let i = 0; i < 4; i++) {
    const letter = data[i]!;
    const capital = letter >= 0x41 && letter <= 0x5a;
    if (!capital && !(i > 0 && (letter === 0x5f || letter === 0x20))) return false;
  }
  return true;
}

function readHead(
  data: Uint8Array,
  end: number,
  maxBody: number,
): { first: string; headers: RtspHeaders; bodyBytes: number } {
  const [first = '', ...lines] = Buffer.from(data.buffer, data.byteOffset, end).toString('utf8').split(/\r?\n/);
  const headers = new Map<string, string[]>();
  let last: string[] | undefined;
  for (const line of lines) {
    // A continued line (RFC 2326 §4, from RFC 2068 §2.2) belongs to the header before it.
    if (/^[ \t]/.test(line) && last !== undefined) last.push(`${last.pop() ?? ''} ${line.trim()}`);
    const colon = line.indexOf(':');
    if (colon < 1 || /^[ \t]/.test(line)) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    last = headers.get(name) ?? [];
    last.push(line.slice(colon + 1).trim());
    headers.set(name, last);
  }
  const length = headers.get('content-length')?.[0] ?? '0';
  if (!/^\d{1,9}$/.test(length) || Number(length) > maxBody) throw invalid(`a body of ${length.slice(0, 20)} bytes`);
  return { first: first.trimEnd(), headers, bodyBytes: Number(length) };
}

function invalid(what: string): BluelightError {
  return new BluelightError('RTSP_INVALID', `the camera sent ${what}`, { retryable: true });
}

export function header(headers: RtspHeaders, name: string): string | undefined {
  return headers.get(name)?.[0];
}

/** A request without body. Throws RTSP_INVALID if a part would break out of its line. */
export function buildRequest(method: string, uri: string, headers: readonly (readonly [string, string])[]): Uint8Array {
  const lines = [`${method} ${uri} RTSP/1.0`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  if (/\s/.test(uri) || lines.some((line) => /[\r\n\0]/.test(line))) {
    throw new BluelightError('RTSP_INVALID', 'an RTSP request would contain a line break or blank');
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8');
}

/** The answer to what a server asks: nothing of it is supported, but the connection goes on. */
export function buildResponse(status: number, reason: string, cseq: string): Uint8Array {
  return Buffer.from(
    `RTSP/1.0 ${status} ${reason}\r\nCSeq: ${cseq.replace(/[^\d]/g, '').slice(0, 10)}\r\n\r\n`,
    'utf8',
  );
}

/** Puts a packet into an interleaved channel. */
export function buildFrame(channel: number, packet: Uint8Array): Uint8Array {
  const out = new Uint8Array(FRAME_HEAD + packet.length);
  out.set([DOLLAR, channel, packet.length >> 8, packet.length & 0xff]);
  out.set(packet, FRAME_HEAD);
  return out;
}

/** `Session: 12345678;timeout=60` (RFC 2326 §12.37); 60 s if it does not say or lies. */
export function parseSession(value: string): { id: string; timeoutS: number } {
  const [id = '', ...rest] = value.split(';');
  const timeout = rest
    .map((part) => /^\s*timeout\s*=\s*(\d{1,6})/i.exec(part)?.[1])
    .find((found) => found !== undefined);
  const timeoutS = Number(timeout ?? 60);
  return { id: id.trim(), timeoutS: timeoutS >= 2 && timeoutS <= 3_600 ? timeoutS : 60 };
}

/** `RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1A2B3C4D` (RFC 2326 §12.39). */
export function parseTransport(value: string): { tcp: boolean; channels: [number, number] | undefined } {
  const first = value.split(',')[0] ?? '';
  const match = /;\s*interleaved\s*=\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?/i.exec(first);
  const rtp = Number(match?.[1] ?? NaN);
  const rtcp = Number(match?.[2] ?? rtp + 1);
  const known = rtp >= 0 && rtp <= 255 && rtcp >= 0 && rtcp <= 255;
  return { tcp: /^\s*RTP\/AVPF?\/TCP/i.test(first), channels: known ? [rtp, rtcp] : undefined };
}
