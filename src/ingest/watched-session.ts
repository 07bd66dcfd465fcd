import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Engine, EngineEnd, EngineEvents, EngineSource, IngestLimits, RawPicture } from './ports.js';
import type { Track } from './track.js';
import { rateLimit, type UsualRate } from './usual-rate.js';
import { isFlood, judgeSession, WINDOW_SECONDS } from './watch.js';

const WATCH_MS = 500;
/** How long a stopped session may take before it is left behind. */
const STOP_MS = 5_000;

export interface SessionOptions {
  track: Track;
  clock: Clock;
  log: Log;
  limits: IngestLimits;
  /** Of this stream, over all its sessions. */
  usual: UsualRate;
}

/** A session under the watchdog: what is silent, too large or without key frames is ended. */
export class WatchedSession {
  readonly #options: SessionOptions;
  readonly #engine: Engine;
  readonly #source: EngineSource;
  readonly #hooks: { onAccepted: () => void; onTick: () => void };
  readonly #fault = new AbortController();
  #own: EngineEnd | undefined;

  constructor(
    options: SessionOptions,
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
        if (open()) this.#take(picture);
      },
    };
  }

  /** Whatever one camera's pictures bring about ends with its session and touches no other camera. */
  #take(picture: RawPicture): void {
    if (picture.data.length > this.#options.limits.maxAccessUnitBytes) {
      return this.#fail({ cause: 'invalid', detail: 'a picture of the camera is larger than any picture can be' });
    }
    try {
      this.#options.track.picture(picture);
    } catch (error) {
      this.#options.log.error({ stream: this.#source.stream, error: errorMessage(error) }, 'a picture was not taken');
      this.#fail({ cause: 'broken', detail: `internal error: ${errorMessage(error)}` });
    }
  }

  #judge(openedAt: number): EngineEnd | undefined {
    const { track, clock, limits } = this.#options;
    const { meter } = track;
    const now = clock.monotonic();
    const windowBytes = meter.openBytes;
    const { maxBytesPerSecond, flood } = this.#weigh(meter.tick(now), windowBytes);
    if (flood) this.#options.usual.exceeded(now);
    const verdict = judgeSession(
      {
        now,
        openedAt,
        lastPictureAt: track.lastPictureAt,
        lastKeyAt: track.lastKeyAt,
        lastFragmentAt: track.lastFragmentAt,
        fps: meter.fps,
        maxGopMs: meter.maxGopMs,
        windowBytes,
        bytesPerSecond: meter.bytesPerSecond,
        maxBytesPerSecond,
      },
      limits,
    );
    if (verdict?.cause !== 'invalid' || track.keyProblem === undefined) return verdict;
    return { ...verdict, detail: track.keyProblem };
  }

  /** How much may come, and whether more does; what is within goes into what is usual. */
  #weigh(measured: boolean, windowBytes: number): { maxBytesPerSecond: number; flood: boolean } {
    const { track, limits, usual } = this.#options;
    const { fps, bytesPerSecond } = track.meter;
    const picture = { width: 0, height: 0, ...track.format, fps };
    const maxBytesPerSecond = rateLimit(usual.of(picture), picture, limits.maxBytesPerSecond);
    const flood = isFlood({ windowBytes, bytesPerSecond, maxBytesPerSecond });
    if (measured && track.recording && !flood) usual.learn(picture, bytesPerSecond, WINDOW_SECONDS);
    return { maxBytesPerSecond, flood };
  }

  #fail(end: EngineEnd): void {
    if (this.#own !== undefined) return;
    this.#own = end;
    this.#fault.abort();
  }
}
