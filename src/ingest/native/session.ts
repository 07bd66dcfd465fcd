import { randomBytes } from 'node:crypto';
import { buildFrame, header } from '../../media/rtsp.js';
import type { EngineEnd, EngineEvents, EngineSession, EngineSource } from '../ports.js';
import type { SourceUrl } from '../source.js';
import { redirectTarget } from './address.js';
import { RtspConnection, type ConnectionDeps } from './connection.js';
import { endOf, failure } from './failure.js';
import { describe, play, setup, type Described, type Playing } from './handshake.js';
import { Login } from './login.js';
import type { NativeDeps } from './native.js';
import type { ReadPace } from './pace.js';
import { Receiver } from './receiver.js';

const MAX_REDIRECTS = 3;
const CONNECT_MS = 5_000;
const RESPONSE_MS = 5_000;
/** RFC 3550 §6.2: a report every 5 s. */
const REPORT_MS = 5_000;
/** For the camera to take note of TEARDOWN. */
const FAREWELL_MS = 500;

export interface SessionDeps extends NativeDeps {
  buffer: Uint8Array;
  pace: ReadPace;
}

/** One stream of one camera, from the connection to its end. */
export class NativeSession implements EngineSession {
  readonly ended: Promise<EngineEnd>;
  readonly #deps: SessionDeps;
  readonly #source: EngineSource;
  readonly #events: EngineEvents;
  readonly #stop = new AbortController();
  /** Asked for every packet. */
  #stopped = false;
  readonly #login: Login;
  #connection: RtspConnection | undefined;
  #receiver: Receiver | undefined;
  #described: Described | undefined;
  #playing: Playing | undefined;
  #nowMs = 0;
  #keptAliveMs = 0;

  constructor(deps: SessionDeps, source: EngineSource, events: EngineEvents) {
    this.#deps = deps;
    this.#source = source;
    this.#events = events;
    const { username, password, allowBasic = false } = source;
    const cnonce = (): string => randomBytes(16).toString('hex');
    this.#login = new Login({ username, password, allowBasic, cnonce });
    this.ended = this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#stop.abort();
  }

  async #run(): Promise<EngineEnd> {
    let end: EngineEnd;
    try {
      end = await this.#converse();
    } catch (error) {
      end = endOf(error);
    }
    if (this.#stopped) end = { cause: 'stopped', detail: '' };
    if (end.cause === 'stopped') await this.#farewell();
    this.#connection?.close(failure('stopped', ''));
    return end;
  }

  /** Settles only by throwing why the session is over, or when it is told to stop. */
  async #converse(): Promise<EngineEnd> {
    const stopped = this.#whenStopped();
    const work = this.#open().then((connection) => this.#attend(connection));
    // If stop comes first, what the work says afterwards is of no interest.
    work.catch(() => undefined);
    return await Promise.race([stopped, work]);
  }

  #whenStopped(): Promise<EngineEnd> {
    return new Promise((resolve) => {
      const end: EngineEnd = { cause: 'stopped', detail: '' };
      if (this.#stopped) resolve(end);
      this.#stop.signal.addEventListener('abort', () => resolve(end), { once: true });
    });
  }

  async #open(): Promise<RtspConnection> {
    let url = this.#source.url;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const connection = await this.#connect(url);
      const answer = await describe(connection, url);
      if ('track' in answer) {
        await this.#start(connection, answer);
        return connection;
      }
      url = redirectTarget(url, header(answer.headers, 'location'));
      connection.close(failure('stopped', ''));
    }
    throw failure('invalid', 'the camera sends us round in a circle');
  }

  async #connect(url: SourceUrl): Promise<RtspConnection> {
    const { clock, buffer, pace, connectMs = CONNECT_MS, responseMs = RESPONSE_MS } = this.#deps;
    const deps: ConnectionDeps = { clock, buffer, pace, connectMs, responseMs };
    const { host, port } = url;
    const connection = await RtspConnection.open(
      deps,
      { host, port },
      this.#login,
      {
        received: (bytes, nowMs) => this.#onReceived(bytes, nowMs),
        frame: (channel, data, start, end) => this.#onFrame(channel, data, start, end),
      },
      this.#stop.signal,
    );
    this.#connection = connection;
    return connection;
  }

  async #start(connection: RtspConnection, described: Described): Promise<void> {
    const { track } = described;
    this.#described = described;
    this.#events.parameterSets(track.codec, track.parameterSets);
    const playing = await setup(connection, described);
    const { maxAccessUnitBytes } = this.#deps;
    const ssrc = Math.floor(this.#random() * 2 ** 32);
    this.#receiver = new Receiver({ track, maxAccessUnitBytes, ssrc }, this.#events);
    // Some cameras send pictures before they answer PLAY.
    this.#playing = playing;
    await play(connection, described, playing);
    this.#events.accepted();
    if (this.#deps.paceMs !== 0) connection.usePace();
  }

  /** Keeps the session alive until it breaks. */
  async #attend(connection: RtspConnection): Promise<never> {
    const { timeoutS } = this.#playing!;
    this.#keptAliveMs = this.#deps.clock.monotonic();
    const tickMs = Math.min(REPORT_MS, (timeoutS * 1_000) / 4);
    const cancel = this.#deps.clock.every(tickMs, () => this.#tick(connection, timeoutS));
    try {
      return await connection.broken;
    } finally {
      cancel();
    }
  }

  async #tick(connection: RtspConnection, timeoutS: number): Promise<void> {
    const now = this.#deps.clock.monotonic();
    const report = this.#receiver?.receiverReport(now);
    if (report !== undefined) connection.send(buildFrame(this.#playing!.rtcpChannel, report));
    if (now - this.#keptAliveMs < (timeoutS * 1_000) / 2 - REPORT_MS / 2) return;
    this.#keptAliveMs = now;
    const { methods, sessionUri } = this.#described!;
    const method = methods.has('GET_PARAMETER') ? 'GET_PARAMETER' : 'OPTIONS';
    try {
      await connection.request(method, sessionUri, [['Session', this.#playing!.sessionId]], true);
    } catch (error) {
      // A camera that answers no keep-alive but goes on sending is left in peace; a refused login is not.
      if (endOf(error).cause === 'refused') connection.close(error);
    }
  }

  async #farewell(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || this.#playing === undefined || this.#described === undefined) return;
    this.#receiver = undefined;
    const { sessionUri } = this.#described;
    const goodbye = connection.request('TEARDOWN', sessionUri, [['Session', this.#playing.sessionId]], true);
    const patience = new AbortController();
    const late = this.#deps.clock.sleep(FAREWELL_MS, patience.signal).catch(() => undefined);
    await Promise.race([goodbye.catch(() => undefined), connection.broken.catch(() => undefined), late]);
    patience.abort();
  }

  #onReceived(bytes: number, nowMs: number): void {
    this.#nowMs = nowMs;
    if (!this.#stopped) this.#events.received(bytes);
  }

  #onFrame(channel: number, data: Uint8Array, start: number, end: number): void {
    if (this.#stopped || this.#receiver === undefined) return;
    if (channel === this.#playing?.rtpChannel) this.#receiver.rtp(data, start, end, this.#nowMs);
    else if (channel === this.#playing?.rtcpChannel) this.#receiver.rtcp(data, start, end, this.#nowMs);
  }

  #random(): number {
    return (this.#deps.random ?? Math.random)();
  }
}
