import { backoffMs } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { Decoder, type DecoderOptions } from './decoder.js';
import type { Decoders, FullDecoder } from './watcher.js';

const RETRY = { firstMs: 500, factor: 2, maxMs: 30_000 };
/** A shared decoder that nobody used for so long is ended. */
const IDLE_MS = 120_000;
/** A picture is out within milliseconds; one that takes this long is not coming, and the decoder's order is lost. */
const STUCK_MS = 10_000;
/** One picture a second, so that pictures of all cameras keep their order in a shared decoder. */
const TICKS = 90_000;

type KeyDone = (gray: Uint8Array | undefined) => void;

interface Shared {
  decoder: Decoder<KeyDone> | undefined;
  count: number;
  usedAt: number;
  idleSince: number;
}

interface Full {
  idleSince: number;
  onFailed: () => void;
}

export interface FfmpegDecodersOptions {
  clock: Clock;
  processes: Processes;
  log: Log;
  random?: () => number;
}

/** ffmpeg children: one for the key frames of all cameras of a format, one per camera at full rate. */
export class FfmpegDecoders implements Decoders {
  readonly #options: FfmpegDecodersOptions;
  readonly #shared = new Map<string, Shared>();
  readonly #full = new Map<Decoder<AccessUnit>, Full>();
  #failures = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #idle: (() => void)[] = [];

  constructor(options: FfmpegDecodersOptions) {
    this.#options = options;
  }

  /** Pictures that have been put in and have not come out. */
  get waiting(): number {
    let sum = 0;
    for (const one of this.#shared.values()) sum += one.decoder?.waiting ?? 0;
    for (const one of this.#full.keys()) sum += one.waiting;
    return sum;
  }

  /** Resolves as soon as nothing waits. */
  async idle(): Promise<void> {
    if (this.waiting === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  key(format: VideoFormat, unit: AccessUnit, done: KeyDone): void {
    const shared = this.#sharedFor(format);
    const at = { pts: shared.count * TICKS, dts: shared.count * TICKS, duration: TICKS };
    shared.count++;
    const taken = shared.decoder?.feed({ ...unit, ...at }, done) ?? false;
    if (!taken) done(undefined);
  }

  open(
    format: VideoFormat,
    onFrame: (unit: AccessUnit, gray: Uint8Array) => void,
    onFailed: () => void,
  ): FullDecoder | undefined {
    const watched: Full = { idleSince: this.#options.clock.monotonic(), onFailed };
    const decoder = this.#start<AccessUnit>({
      format,
      onFrame: (unit, gray) => {
        this.#failures = 0;
        watched.idleSince = this.#options.clock.monotonic();
        onFrame(unit, gray);
        this.#settled();
      },
      onLost: () => this.#settled(),
      onFailed: () => {
        if (decoder !== undefined) this.#full.delete(decoder);
        this.#failed();
        onFailed();
        this.#settled();
      },
    });
    if (decoder === undefined) return undefined;
    this.#full.set(decoder, watched);
    return {
      feed: (unit) => decoder.feed(unit, unit),
      close: () => {
        this.#full.delete(decoder);
        decoder.close();
        this.#settled();
      },
    };
  }

  /** Ends decoders that do not answer, and shared ones that are not used any more. Call it every few seconds. */
  sweep(): void {
    const now = this.#options.clock.monotonic();
    for (const [name, one] of this.#shared) {
      const waits = (one.decoder?.waiting ?? 0) > 0;
      if (!waits) one.idleSince = now;
      if (waits && now - one.idleSince > STUCK_MS) {
        this.#options.log.warn({ format: name }, 'the shared motion decoder does not answer and is started anew');
        for (const done of one.decoder?.close() ?? []) done(undefined);
        one.decoder = undefined;
      } else if (!waits && now - one.usedAt > IDLE_MS) {
        one.decoder?.close();
        this.#shared.delete(name);
      }
    }
    for (const [decoder, one] of [...this.#full]) {
      if (decoder.waiting === 0) one.idleSince = now;
      if (now - one.idleSince <= STUCK_MS) continue;
      this.#options.log.warn({}, 'a motion decoder does not answer and is given up');
      this.#full.delete(decoder);
      decoder.close();
      one.onFailed();
      this.#settled();
    }
  }

  stop(): void {
    for (const one of this.#shared.values()) one.decoder?.close();
    for (const one of this.#full.keys()) one.close();
    this.#shared.clear();
    this.#full.clear();
    this.#settled();
  }

  /** Pictures of one size only: another size would make ffmpeg build its filters anew for every picture. */
  #sharedFor(format: VideoFormat): Shared {
    const name = `${format.codec} ${format.width}x${format.height}`;
    const now = this.#options.clock.monotonic();
    let shared = this.#shared.get(name);
    if (shared === undefined) {
      shared = { decoder: undefined, count: 0, usedAt: now, idleSince: now };
      this.#shared.set(name, shared);
    }
    shared.usedAt = now;
    shared.decoder ??= this.#startShared(shared, format);
    return shared;
  }

  #startShared(shared: Shared, format: VideoFormat): Decoder<KeyDone> | undefined {
    shared.count = 0;
    const decoder = this.#start<KeyDone>({
      format,
      onFrame: (done, gray) => {
        this.#failures = 0;
        shared.idleSince = this.#options.clock.monotonic();
        done(gray);
        this.#settled();
      },
      onLost: (done) => {
        done(undefined);
        this.#settled();
      },
      onFailed: (lost) => {
        if (shared.decoder === decoder) shared.decoder = undefined;
        this.#failed();
        for (const done of lost) done(undefined);
        this.#settled();
      },
    });
    return decoder;
  }

  /** Undefined while the pause after a failure lasts, and if the system starts no process. */
  #start<T>(of: Pick<DecoderOptions<T>, 'format' | 'onFrame' | 'onLost' | 'onFailed'>): Decoder<T> | undefined {
    const { clock, log } = this.#options;
    if (clock.monotonic() < this.#notBefore) return undefined;
    try {
      return new Decoder({ ...this.#options, ...of });
    } catch (error) {
      log.warn({ error: errorMessage(error) }, 'a motion decoder could not be started');
      this.#failed();
      return undefined;
    }
  }

  #failed(): void {
    this.#notBefore = this.#options.clock.monotonic() + backoffMs(this.#failures, RETRY, this.#options.random);
    this.#failures = Math.min(this.#failures + 1, 10);
  }

  #settled(): void {
    if (this.#idle.length === 0 || this.waiting > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
