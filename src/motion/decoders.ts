import { backoffMs } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { Decoder, type Take } from './decoder.js';
import type { Decoders, FullDecoder } from './watcher.js';

const RETRY = { firstMs: 500, factor: 2, maxMs: 30_000 };
/** A decoder that nobody used for so long is ended. */
const IDLE_MS = 120_000;
/** So many that nobody uses are kept for who comes next: to start one costs as much as twelve seconds of pictures. */
const SPARE = 1;
const FEW = 10;
/** A picture is out within milliseconds; one that takes this long is not coming, and the decoder's order is lost. */
const STUCK_MS = 10_000;

/** Who feeds a decoder: the key frames of all cameras, one camera with every frame, or nobody at present. */
type User = 'keys' | { onFailed: () => void } | undefined;

interface Child {
  decoder: Decoder;
  /** Pictures of one size only: another one makes ffmpeg build its filters anew. */
  kind: string;
  user: User;
  usedAt: number;
  /** When a picture came out last, or none waited. */
  movedAt: number;
}

export interface FfmpegDecodersOptions {
  clock: Clock;
  processes: Processes;
  log: Log;
  random?: () => number;
}

/** ffmpeg children: one for the key frames of all cameras of a kind, one per camera at full rate while it lasts. */
export class FfmpegDecoders implements Decoders {
  readonly #options: FfmpegDecodersOptions;
  readonly #children = new Set<Child>();
  #failures = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #idle: (() => void)[] = [];

  constructor(options: FfmpegDecodersOptions) {
    this.#options = options;
  }

  /** Pictures that have been put in and have not come out. */
  get waiting(): number {
    let sum = 0;
    for (const { decoder } of this.#children) sum += decoder.waiting;
    return sum;
  }

  /** Resolves as soon as nothing waits. */
  async idle(): Promise<void> {
    if (this.waiting === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  key(format: VideoFormat, unit: AccessUnit, done: Take): void {
    const child = this.#find(format, (one) => one.user === 'keys') ?? this.#start(format, 'keys');
    child?.decoder.cut();
    if (child === undefined || !this.#feed(child, format, unit, done)) done(undefined);
  }

  open(
    format: VideoFormat,
    onFrame: (unit: AccessUnit, gray: Uint8Array) => void,
    onFailed: () => void,
  ): FullDecoder | undefined {
    const user = { onFailed };
    const spare = this.#find(format, (one) => isSpare(one) && one.decoder.waiting === 0);
    const child = spare ?? this.#start(format, user);
    if (child === undefined) return undefined;
    child.user = user;
    child.decoder.cut();
    const mine = (): boolean => child.user === user;
    return {
      feed: (unit, wanted) => {
        const take: Take = (gray) => void (gray !== undefined && mine() && onFrame(unit, gray));
        return mine() && this.#feed(child, format, unit, wanted ? take : undefined);
      },
      close: () => {
        if (!mine()) return;
        child.user = undefined;
        child.usedAt = this.#options.clock.monotonic();
        this.#keepSome(child);
        this.#settled();
      },
    };
  }

  /** Ends decoders that do not answer, and those that are not used any more. Call it every few seconds. */
  sweep(): void {
    const { clock, log } = this.#options;
    const now = clock.monotonic();
    for (const child of [...this.#children]) {
      const { decoder, kind, user } = child;
      if (decoder.waiting === 0) child.movedAt = now;
      if (now - child.movedAt > STUCK_MS) {
        log.warn({ kind, for: typeof user === 'object' ? 'every frame' : user }, 'a motion decoder does not answer');
        this.#end(child);
        if (typeof user === 'object') user.onFailed();
      } else if (typeof user !== 'object' && now - child.usedAt > IDLE_MS && decoder.waiting === 0) this.#end(child);
    }
    this.#settled();
  }

  stop(): void {
    for (const child of [...this.#children]) this.#end(child);
    this.#settled();
  }

  #find(format: VideoFormat, wanted: (child: Child) => boolean): Child | undefined {
    const kind = kindOf(format);
    for (const child of this.#children) if (child.kind === kind && wanted(child)) return child;
    return undefined;
  }

  #feed(child: Child, format: VideoFormat, unit: AccessUnit, take: Take | undefined): boolean {
    const { clock } = this.#options;
    child.usedAt = clock.monotonic();
    if (child.decoder.waiting === 0) child.movedAt = child.usedAt;
    const out: Take = (gray) => {
      if (gray !== undefined) {
        this.#failures = 0;
        child.movedAt = clock.monotonic();
      }
      take?.(gray);
      this.#settled();
    };
    return child.decoder.feed(format, unit, take && out);
  }

  /** Undefined while the pause after a failure lasts, and if the system starts no process. */
  #start(format: VideoFormat, user: User): Child | undefined {
    const { clock, log } = this.#options;
    const now = clock.monotonic();
    if (now < this.#notBefore) return undefined;
    try {
      const onFailed = (): void => this.#failed(child);
      const decoder = new Decoder({ ...this.#options, format, onFailed });
      const child: Child = { decoder, kind: kindOf(format), user, usedAt: now, movedAt: now };
      this.#children.add(child);
      return child;
    } catch (error) {
      log.warn({ error: errorMessage(error) }, 'a motion decoder could not be started');
      this.#pause();
      return undefined;
    }
  }

  #failed(child: Child): void {
    const { user } = child;
    this.#end(child);
    this.#pause();
    if (typeof user === 'object') user.onFailed();
    this.#settled();
  }

  #end(child: Child): void {
    this.#children.delete(child);
    child.user = undefined;
    child.decoder.close();
  }

  /** What nobody uses any more is kept, but not too much of it, and none that has yet to decode what nobody wants. */
  #keepSome(released: Child): void {
    const { reusable, waiting } = released.decoder;
    if (!reusable || waiting > FEW) this.#end(released);
    const spare = [...this.#children].filter(isSpare);
    for (const child of spare.slice(0, Math.max(0, spare.length - SPARE))) this.#end(child);
  }

  #pause(): void {
    this.#notBefore = this.#options.clock.monotonic() + backoffMs(this.#failures, RETRY, this.#options.random);
    this.#failures = Math.min(this.#failures + 1, 10);
  }

  #settled(): void {
    if (this.#idle.length === 0 || this.waiting > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function isSpare(child: Child): boolean {
  return child.user === undefined;
}

function kindOf({ codec, width, height }: VideoFormat): string {
  return `${codec} ${width}x${height}`;
}
