import { connect, type Socket } from 'node:net';
import { withDeadline, type Clock } from '../../base/clock.js';
import { readNow } from '../../base/read-now.js';
import {
  buildRequest,
  buildResponse,
  header,
  RtspReader,
  type RtspRequest,
  type RtspResponse,
} from '../../media/rtsp.js';
import { failure, failureOfStatus } from './failure.js';
import type { Login } from './login.js';
import type { ReadPace } from './pace.js';

export interface ConnectionDeps {
  clock: Clock;
  /** Where the kernel puts what it received; may be shared by connections of one thread. */
  buffer: Uint8Array;
  connectMs: number;
  responseMs: number;
  pace: ReadPace;
}

export interface ConnectionEvents {
  /** Bytes were read at `nowMs`; the frames in them follow. */
  received(bytes: number, nowMs: number): void;
  frame(channel: number, data: Uint8Array, start: number, end: number): void;
}

interface Waiting {
  resolve(response: RtspResponse): void;
  reject(error: Error): void;
}

/**
 * A read that brings this much is followed by the next at once: the window of the connection must not fill up, or the
 * camera could not send its key frames in time.
 */
const UNPACED_BYTES = 64 * 1024;

/** So often in one go, that a camera which sends without end does not keep the others waiting. */
const MOST_READS = 4;

/** Answers nobody reads would pile up here. */
const MAX_UNSENT_BYTES = 64 * 1024;

/** One TCP connection to the RTSP port of a camera. Never to another host: who opens it names host and port. */
export class RtspConnection {
  readonly #deps: ConnectionDeps;
  readonly #events: ConnectionEvents;
  readonly #login: Login;
  readonly #socket: Socket;
  readonly #reader: RtspReader;
  readonly #waiting = new Map<string, Waiting>();
  #leavePace: (() => void) | undefined;
  #sequence = 0;
  #failed: Error | undefined;
  #fail!: (error: Error) => void;
  /** Rejects when the connection cannot go on; never resolves. */
  readonly broken: Promise<never>;

  private constructor(
    deps: ConnectionDeps,
    target: { host: string; port: number },
    login: Login,
    events: ConnectionEvents,
  ) {
    this.#deps = deps;
    this.#events = events;
    this.#login = login;
    this.broken = new Promise<never>((_, reject) => (this.#fail = reject));
    // Whoever waits for it sees it; nobody has to.
    this.broken.catch(() => undefined);
    this.#reader = new RtspReader({
      response: (response) => this.#onResponse(response),
      request: (request) => this.#onRequest(request),
      frame: (channel, data, start, end) => events.frame(channel, data, start, end),
    });
    this.#socket = connect({
      ...target,
      noDelay: true,
      onread: { buffer: deps.buffer, callback: (count, buffer) => this.#onRead(count, buffer) },
    });
    this.#socket.on('error', (error) => this.close(error));
    this.#socket.on('end', () => this.close(failure('offline', 'the camera closed the connection')));
    this.#socket.on('close', () => this.close(failure('offline', 'the camera closed the connection')));
  }

  /** Throws what `endOf` understands. */
  static async open(
    deps: ConnectionDeps,
    target: { host: string; port: number },
    login: Login,
    events: ConnectionEvents,
    signal: AbortSignal,
  ): Promise<RtspConnection> {
    const connection = new RtspConnection(deps, target, login, events);
    const abort = (): void => connection.close(failure('stopped', ''));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    const connected = new Promise<void>((resolve) => connection.#socket.once('connect', resolve));
    try {
      const late = (): Error => failure('offline', 'the camera does not answer');
      await withDeadline(deps.clock, deps.connectMs, Promise.race([connected, connection.broken]), late);
      return connection;
    } catch (error) {
      connection.close(error);
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /**
   * Sends a request, logging in if asked to, and gives its answer: 2xx or a redirect (3xx). Throws what any other
   * status means. `lenient`: any answer will do.
   */
  async request(
    method: string,
    uri: string,
    headers: readonly (readonly [string, string])[] = [],
    lenient = false,
  ): Promise<RtspResponse> {
    for (;;) {
      const response = await this.#ask(method, uri, headers);
      if (response.status === 401) {
        this.#login.challenged(response);
        continue;
      }
      if (response.status < 400) this.#login.passed();
      else if (!lenient) throw failureOfStatus(response.status);
      return response;
    }
  }

  /** Without waiting for an answer. Dropped if the camera does not take what it is sent. */
  send(bytes: Uint8Array): void {
    if (this.#failed !== undefined || this.#socket.writableLength > MAX_UNSENT_BYTES) return;
    this.#socket.write(bytes);
  }

  /** From now on what comes is read a few times a second only. */
  usePace(): void {
    if (this.#failed !== undefined || this.#leavePace !== undefined) return;
    this.#leavePace = this.#deps.pace.join();
    this.#socket.pause();
    this.#deps.pace.wait(this);
  }

  /** Reads what has come meanwhile. */
  resume(): void {
    const { buffer, clock, pace } = this.#deps;
    let count: number | undefined = 0;
    for (let reads = 0; reads < MOST_READS && this.#failed === undefined; reads++) {
      try {
        count = readNow(this.#socket, buffer);
      } catch (error) {
        return this.close(error);
      }
      if (count === 0) return this.close(failure('offline', 'the camera closed the connection'));
      if (count !== undefined) this.#take(count, buffer);
      if (count === undefined || count < UNPACED_BYTES) break;
    }
    if (this.#failed !== undefined) return;
    if (count !== undefined && count >= UNPACED_BYTES) clock.after(0, () => this.resume());
    else pace.wait(this);
  }

  close(error: unknown): void {
    if (this.#failed !== undefined) return;
    this.#leavePace?.();
    const reason = error instanceof Error ? error : failure('broken', String(error));
    this.#failed = reason;
    this.#socket.destroy();
    this.#fail(reason);
    for (const one of this.#waiting.values()) one.reject(reason);
    this.#waiting.clear();
  }

  async #ask(method: string, uri: string, headers: readonly (readonly [string, string])[]): Promise<RtspResponse> {
    if (this.#failed !== undefined) throw this.#failed;
    const sequence = String(++this.#sequence);
    const authorization = this.#login.header(method, uri);
    const all: (readonly [string, string])[] = [['CSeq', sequence], ['User-Agent', 'bluelight'], ...headers];
    if (authorization !== undefined) all.push(['Authorization', authorization]);
    const answer = new Promise<RtspResponse>((resolve, reject) => this.#waiting.set(sequence, { resolve, reject }));
    this.#socket.write(buildRequest(method, uri, all));
    const late = (): Error => failure('offline', `the camera does not answer ${method}`);
    try {
      return await withDeadline(this.#deps.clock, this.#deps.responseMs, answer, late);
    } finally {
      this.#waiting.delete(sequence);
    }
  }

  #onRead(count: number, buffer: Uint8Array): boolean {
    this.#take(count, buffer);
    return this.#failed === undefined && this.#leavePace === undefined;
  }

  #take(count: number, buffer: Uint8Array): void {
    if (this.#failed !== undefined) return;
    this.#events.received(count, this.#deps.clock.monotonic());
    try {
      this.#reader.push(buffer, 0, count);
    } catch (error) {
      this.close(error);
    }
  }

  #onResponse(response: RtspResponse): void {
    // Cameras that forget CSeq answer in order.
    const sequence = header(response.headers, 'cseq') ?? this.#waiting.keys().next().value;
    if (sequence === undefined) return;
    this.#waiting.get(sequence)?.resolve(response);
    this.#waiting.delete(sequence);
  }

  #onRequest(request: RtspRequest): void {
    const sequence = header(request.headers, 'cseq') ?? '';
    if (request.method === 'REDIRECT' || request.method === 'TEARDOWN') {
      this.close(failure('offline', 'the camera ended the session'));
    } else if (['OPTIONS', 'GET_PARAMETER', 'SET_PARAMETER'].includes(request.method)) {
      this.send(buildResponse(200, 'OK', sequence));
    } else {
      this.send(buildResponse(501, 'Not Implemented', sequence));
    }
  }
}
