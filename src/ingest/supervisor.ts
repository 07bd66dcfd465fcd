import { backoffMs, type BackoffShape } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage, isAbort } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { GapReason } from '../media/stream.js';
import { BUSY_RETRY_MS, type CameraLogins } from './logins.js';
import type { Admission, EndCause, Engine, EngineEnd, EngineName, IngestLimits, IngestStatus } from './ports.js';
import type { EngineSource } from './ports.js';
import { RateLimit } from './rate.js';
import type { Track } from './track.js';
import { UsualRate } from './usual-rate.js';
import { WatchedSession } from './watched-session.js';

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
  /** Whether it is this camera that answers. */
  admit?: ((sinceMono: number) => Promise<Admission>) | undefined;
  onStatus: (status: IngestStatus) => void;
  onRefused: () => void;
}

const GOOD_MS = 60_000;
/** How often a camera is asked whether its settings are others meanwhile. */
const UNFIT_MS = 300_000;

/** A camera that is away costs little to ask and must be back on the record soon; what is broken waits longer. */
function shapeOf(cause: EndCause): BackoffShape {
  // Only a person at the camera changes that.
  if (cause === 'unfit') return { firstMs: UNFIT_MS, factor: 1, maxMs: UNFIT_MS };
  return { firstMs: 500, factor: 2, maxMs: cause === 'offline' || cause === 'stalled' ? 15_000 : 60_000 };
}

const GAP: Record<EndCause, GapReason> = {
  stopped: 'agent_stopped',
  refused: 'camera_refused',
  offline: 'camera_offline',
  stalled: 'stream_stalled',
  invalid: 'stream_invalid',
  unsupported: 'stream_invalid',
  unfit: 'stream_invalid',
  broken: 'unknown',
};

const STATE: Record<EndCause, IngestStatus['state']> = {
  stopped: 'disabled',
  refused: 'auth_failed',
  offline: 'offline',
  stalled: 'stalled',
  invalid: 'invalid',
  unsupported: 'invalid',
  unfit: 'invalid',
  broken: 'offline',
};

interface SessionEnd extends EngineEnd {
  /** The camera refused because it is full. */
  busy: boolean;
  /** How long it recorded. */
  goodMs: number;
  /** False: refused by ourselves, for what the camera said to others. */
  asked?: boolean;
}

/** Keeps one stream running: opens sessions, watches them, ends them and tries again, until it is stopped. */
export class StreamSupervisor {
  readonly #options: SupervisorOptions;
  readonly #stop = new AbortController();
  readonly #failures: RateLimit;
  readonly #usual = new UsualRate();
  #status: IngestStatus;
  #running: Promise<void> | undefined;
  #engine = 0;
  #attempt = 0;
  /** When the last session ended. */
  #lostAt = -Infinity;
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
      if (!isAbort(error)) throw error;
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
      const { cause, detail, busy, goodMs, asked = true } = await this.#session(signal);
      if (signal.aborted) return;
      if (cause === 'unsupported' && this.#useNextEngine(detail)) continue;
      if (goodMs >= GOOD_MS) this.#attempt = 0;
      if (goodMs >= GOOD_MS || cause === 'unfit') {
        // The reason for another engine may be gone: the camera was set up anew meanwhile.
        this.#engine = 0;
        this.#fallback = '';
      }
      this.#options.track.end(GAP[cause], detail);
      this.#report(cause, detail);
      // After a refusal the logins decide when to try again.
      if (cause === 'refused' && asked && !busy) continue;
      const pause = busy
        ? BUSY_RETRY_MS
        : backoffMs(this.#attempt++, shapeOf(asked ? cause : 'offline'), this.#options.random);
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
  async #session(signal: AbortSignal): Promise<SessionEnd> {
    const { logins, track, clock, source } = this.#options;
    const engine = this.#options.engines[this.#engine];
    if (engine === undefined) throw new BluelightError('INTERNAL', 'ingest has no engine');
    const login = await logins.enter(signal, () => this.#waitForLogin());
    try {
      if (!track.recording && this.#attempt === 0) this.#show('starting', '');
      const { admit } = this.#options;
      const admission = admit === undefined ? undefined : await unlessAborted(admit(this.#lostAt), signal);
      if (admission?.ok === false) {
        const { detail, held } = admission;
        return held === true
          ? { cause: 'refused', detail, asked: false, busy: false, goodMs: 0 }
          : { cause: 'offline', detail, busy: false, goodMs: 0 };
      }
      track.begin(engine.name);
      let goodSince: number | undefined;
      const session = new WatchedSession({ ...this.#options, usual: this.#usual }, engine, source, {
        onAccepted: () => login.accepted(),
        onTick: () => {
          if (track.recording) goodSince ??= clock.monotonic();
          this.#showRecording(engine.name);
        },
      });
      const end = await session.run(signal);
      this.#lostAt = clock.monotonic();
      const goodMs = goodSince === undefined ? 0 : clock.monotonic() - goodSince;
      if (end.cause !== 'refused') return { ...end, busy: false, goodMs };
      const busy = login.refused(end.detail) === 'busy';
      if (busy) return { cause: 'offline', detail: 'the camera has no room for another connection', busy, goodMs };
      this.#options.onRefused();
      return { ...end, busy, goodMs };
    } catch (error) {
      if (isAbort(error)) throw error;
      this.#options.log.error({ stream: this.#status.stream, error: errorMessage(error) }, 'a session failed');
      return { cause: 'broken', detail: `internal error: ${errorMessage(error)}`, busy: false, goodMs: 0 };
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

  /** Comes by twice a second and mostly with nothing new. */
  #update(change: Partial<IngestStatus>): void {
    const keys = Object.keys(change) as (keyof IngestStatus)[];
    if (keys.every((key) => this.#status[key] === change[key])) return;
    this.#status = { ...this.#status, ...change };
    this.#options.onStatus(this.#status);
  }
}

/** Rejects with AbortError as soon as the signal says so; the work goes on, its result is dropped. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
