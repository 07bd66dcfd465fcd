import { backoffMs, type BackoffShape } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage, isAbort } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { GapReason } from '../media/stream.js';
import { BUSY_RETRY_MS, type CameraLogins } from './logins.js';
import type { EndCause, Engine, EngineEnd, EngineEvents, EngineName, IngestLimits, IngestStatus } from './ports.js';
import type { EngineSource } from './ports.js';
import { RateLimit } from './rate.js';
import type { Track } from './track.js';
import { judgeSession } from './watch.js';

export interface SupervisorOptions {
  status: Pick<IngestStatus, 'stream' | 'camera' | 'role'>;
  source: EngineSource;
  /** In the order in which they are tried. */
  engines: readonly Engine[];
  logins: CameraLogins;
  track: Track;
  clock: Clock;
  log: Log;
  limits: IngestLimits;
  random: () => number;
  onStatus: (status: IngestStatus) => void;
  onRefused: () => void;
}

const GOOD_MS = 60_000;
const WATCH_MS = 500;
/** How long a stopped session may take before it is left behind. */
const STOP_MS = 5_000;

/** A camera that is away costs little to ask and must be back on the record soon; what is broken waits longer. */
function shapeOf(cause: EndCause): BackoffShape {
  return { firstMs: 500, factor: 2, maxMs: cause === 'offline' || cause === 'stalled' ? 15_000 : 60_000 };
}

const GAP: Record<EndCause, GapReason> = {
  stopped: 'agent_stopped',
  refused: 'camera_refused',
  offline: 'camera_offline',
  stalled: 'stream_stalled',
  invalid: 'stream_invalid',
  unsupported: 'stream_invalid',
  broken: 'unknown',
};

const STATE: Record<EndCause, IngestStatus['state']> = {
  stopped: 'disabled',
  refused: 'auth_failed',
  offline: 'offline',
  stalled: 'stalled',
  invalid: 'invalid',
  unsupported: 'invalid',
  broken: 'offline',
};

/** Keeps one stream running: opens sessions, watches them, ends them and tries again, until it is stopped. */
export class StreamSupervisor {
  readonly #options: SupervisorOptions;
  readonly #stop = new AbortController();
  readonly #failures: RateLimit;
  #status: IngestStatus;
  #running: Promise<void> | undefined;
  #engine = 0;
  #attempt = 0;
  /** Why the first engine is not used, if so. */
  #fallback = '';

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#failures = new RateLimit(options.clock, { count: 5, perMs: 600_000 });
    this.#status = {
      ...options.status,
      state: 'starting',
      detail: '',
      engine: null,
      width: 0,
      height: 0,
      fps: 0,
      bitrate: 0,
    };
  }

  get status(): IngestStatus {
    return this.#status;
  }

  start(): void {
    this.#options.track.end('starting', '');
    this.#running = this.#run().catch((error: unknown) => {
      if (isAbort(error)) return;
      this.#options.log.error({ stream: this.#status.stream, error: errorMessage(error) }, 'ingest of a stream failed');
      this.#show('offline', 'internal error; see the log');
    });
  }

  /** Ends the session, delivers what was gathered and states why nothing follows. */
  async stop(reason: GapReason, detail: string): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#options.track.end(reason, detail);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const { cause, detail, busy, goodMs } = await this.#session(signal);
      if (signal.aborted) return;
      if (cause === 'unsupported' && this.#useNextEngine(detail)) continue;
      if (goodMs >= GOOD_MS) {
        this.#attempt = 0;
        // The reason for another engine may be gone: the camera was set up anew meanwhile.
        this.#engine = 0;
        this.#fallback = '';
      }
      this.#options.track.end(GAP[cause], detail);
      this.#report(cause, detail);
      // After a refusal the logins decide when to try again.
      if (cause === 'refused' && !busy) continue;
      const pause = busy ? BUSY_RETRY_MS : backoffMs(this.#attempt++, shapeOf(cause), this.#options.random);
      await this.#options.clock.sleep(pause, signal);
    }
  }

  #useNextEngine(detail: string): boolean {
    const next = this.#options.engines[this.#engine + 1];
    if (next === undefined) return false;
    this.#engine++;
    this.#fallback = `recorded by ${next.name}: ${detail}`;
    this.#options.log.warn({ stream: this.#status.stream, engine: next.name, detail }, 'stream goes to another engine');
    return true;
  }

  /** One session from the login to its end. */
  async #session(signal: AbortSignal): Promise<EngineEnd & { busy: boolean; goodMs: number }> {
    const { logins, track, clock, source } = this.#options;
    const engine = this.#options.engines[this.#engine];
    if (engine === undefined) throw new BluelightError('INTERNAL', 'ingest has no engine');
    const login = await logins.enter(signal, () => this.#waitForLogin());
    try {
      if (!track.recording && this.#attempt === 0) this.#show('starting', '');
      track.begin(engine.name);
      let goodSince: number | undefined;
      const session = new WatchedSession(this.#options, engine, source, {
        onAccepted: () => login.accepted(),
        onTick: () => {
          if (track.recording) goodSince ??= clock.monotonic();
          this.#showRecording(engine.name);
        },
      });
      const end = await session.run(signal);
      const goodMs = goodSince === undefined ? 0 : clock.monotonic() - goodSince;
      if (end.cause !== 'refused') return { ...end, busy: false, goodMs };
      const busy = login.refused(end.detail) === 'busy';
      if (busy) return { cause: 'offline', detail: 'the camera has no room for another connection', busy, goodMs };
      this.#options.onRefused();
      return { ...end, busy, goodMs };
    } finally {
      login.left();
    }
  }

  #waitForLogin(): void {
    const { refusal } = this.#options.logins;
    if (refusal === undefined) return;
    const detail = `${refusal}; enter the right one, or wait 35 minutes for the next try`;
    this.#options.track.end('camera_refused', detail);
    this.#show('auth_failed', detail);
  }

  #report(cause: EndCause, detail: string): void {
    const state = STATE[cause];
    if (state !== this.#status.state || detail !== this.#status.detail || this.#failures.allow()) {
      this.#options.log.warn({ stream: this.#status.stream, cause, detail }, 'stream ended');
    }
    this.#show(state, detail);
  }

  #showRecording(engine: EngineName): void {
    const { track } = this.#options;
    if (!track.recording || track.format === undefined) return;
    const { width, height } = track.format;
    const { fps, bytesPerSecond } = track.meter;
    if (this.#status.state !== 'recording') {
      this.#options.log.info({ stream: this.#status.stream, engine, width, height }, 'stream is coming in');
    }
    this.#update({
      state: 'recording',
      detail: this.#fallback,
      engine,
      width,
      height,
      fps: fps > 0 ? fps : this.#status.fps,
      bitrate: bytesPerSecond > 0 ? bytesPerSecond * 8 : this.#status.bitrate,
    });
  }

  #show(state: IngestStatus['state'], detail: string): void {
    this.#update({ state, detail, engine: null, fps: 0, bitrate: 0 });
  }

  #update(change: Partial<IngestStatus>): void {
    const next = { ...this.#status, ...change };
    const same = Object.entries(next).every(([key, value]) => this.#status[key as keyof IngestStatus] === value);
    this.#status = next;
    if (!same) this.#options.onStatus(next);
  }
}

/** A session under the watchdog: what is silent, too large or without key frames is ended. */
class WatchedSession {
  readonly #options: SupervisorOptions;
  readonly #engine: Engine;
  readonly #source: EngineSource;
  readonly #hooks: { onAccepted: () => void; onTick: () => void };
  readonly #fault = new AbortController();
  #own: EngineEnd | undefined;

  constructor(
    options: SupervisorOptions,
    engine: Engine,
    source: EngineSource,
    hooks: { onAccepted: () => void; onTick: () => void },
  ) {
    this.#options = options;
    this.#engine = engine;
    this.#source = source;
    this.#hooks = hooks;
  }

  async run(signal: AbortSignal): Promise<EngineEnd> {
    const { clock } = this.#options;
    const openedAt = clock.monotonic();
    const session = this.#engine.open(this.#source, this.#events());
    const unwatch = clock.every(WATCH_MS, () => {
      this.#hooks.onTick();
      const verdict = this.#judge(openedAt);
      if (verdict !== undefined) this.#fail(verdict);
    });
    const both = [signal, this.#fault.signal];
    let quitting: () => void = () => undefined;
    const quit = new Promise<undefined>((resolve) => (quitting = () => resolve(undefined)));
    for (const one of both) one.addEventListener('abort', quitting, { once: true });
    if (both.some((one) => one.aborted)) quitting();
    try {
      const first = await Promise.race([session.ended, quit]);
      if (first !== undefined) return this.#own ?? first;
      session.stop();
      const patience = new AbortController();
      const late = clock.sleep(STOP_MS, patience.signal).catch(() => undefined);
      const end = await Promise.race([session.ended, late]);
      patience.abort();
      return this.#own ?? end ?? { cause: 'stopped', detail: '' };
    } finally {
      unwatch();
      // The signal to stop outlives many sessions.
      for (const one of both) one.removeEventListener('abort', quitting);
    }
  }

  #events(): EngineEvents {
    const { track } = this.#options;
    // What an engine says after it was cut off no longer counts.
    const open = (): boolean => this.#own === undefined;
    return {
      accepted: () => this.#hooks.onAccepted(),
      parameterSets: (codec, sets) => {
        if (open()) track.parameterSets(codec, sets);
      },
      received: (bytes) => track.meter.bytes(bytes),
      lost: (detail) => {
        if (open()) track.lost(detail);
      },
      picture: (picture) => {
        if (!open()) return;
        if (picture.data.length > this.#options.limits.maxAccessUnitBytes) {
          this.#fail({ cause: 'invalid', detail: 'a picture of the camera is larger than any picture can be' });
        } else track.picture(picture);
      },
    };
  }

  #judge(openedAt: number): EngineEnd | undefined {
    const { track, clock, limits } = this.#options;
    const { meter } = track;
    const now = clock.monotonic();
    const windowBytes = meter.openBytes;
    meter.tick(now);
    const verdict = judgeSession(
      {
        now,
        openedAt,
        lastPictureAt: track.lastPictureAt,
        lastKeyAt: track.lastKeyAt,
        fps: meter.fps,
        maxGopMs: meter.maxGopMs,
        windowBytes,
        bytesPerSecond: meter.bytesPerSecond,
      },
      limits,
    );
    if (verdict?.cause !== 'invalid' || track.keyProblem === undefined) return verdict;
    return { ...verdict, detail: track.keyProblem };
  }

  #fail(end: EngineEnd): void {
    if (this.#own !== undefined) return;
    this.#own = end;
    this.#fault.abort();
  }
}
