import { backoffMs } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage, isAbort } from '../base/errors.js';
import type { EventSource } from '../contract/camera.js';
import type { EventChannel } from './driver.js';
import type { Notice } from './event-notices.js';

export interface EventWatchOptions {
  clock: Clock;
  /** Logs in and subscribes; rejects with CAMERA_LOGIN_HELD while no login may be tried. */
  open: () => Promise<EventChannel>;
  /** Whether the device refused a login meanwhile: every request of a subscription is one more. */
  held: () => boolean;
  /** A state that is new. */
  onNotice: (notice: Notice) => void;
  /** Whether the camera tells by itself, or only its pictures do. */
  onSource: (source: EventSource) => void;
  random?: () => number;
}

const PULL_MS = 20_000;
const RENEW_MS = 8 * 60_000;
/** Between two pulls: a camera that answers at once must not keep the box busy. */
const COOLDOWN_MS = 750;
const RETRY = { firstMs: 2_000, factor: 2, maxMs: 60_000 };
/** A camera that has no events at all may get them with new firmware. */
const NO_EVENTS_MS = 3_600_000;
const HELD_MS = 60_000;
/**
 * After these a subscription is left to run out: giving it back is one more login, and cameras lock after a few wrong
 * ones. Who comes back from being away may have another password, and knows nothing of subscriptions.
 */
const KEEPS_QUIET = new Set(['CAMERA_REFUSED', 'CAMERA_LOGIN_HELD', 'CAMERA_UNREACHABLE']);

/**
 * Keeps one subscription to a device's events, through reboots, refusals and nonsense: whatever goes wrong, it is
 * given back and made anew, with growing pauses, and meanwhile it is said that only the pictures tell of motion.
 */
export class EventWatch {
  readonly #stop = new AbortController();
  readonly #known = new Map<string, boolean>();
  #channel: EventChannel | undefined;
  #attempt = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(private readonly options: EventWatchOptions) {}

  start(): void {
    this.#ended = this.#run().catch((error: unknown) => {
      if (!isAbort(error)) throw error;
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#channel?.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock, onSource, random } = this.options;
    const { signal } = this.#stop;
    onSource({ by: 'pixels', detail: 'asking the camera for its events' });
    while (!signal.aborted) {
      let failure: unknown;
      try {
        await this.#subscription(signal);
      } catch (error) {
        failure = error;
      }
      signal.throwIfAborted();
      // What is not told any more is not known.
      this.#known.clear();
      onSource({ by: 'pixels', detail: errorMessage(failure) });
      await clock.sleep(pauseMs(errorCode(failure), this.#attempt++, random), signal);
    }
  }

  /** Settles only by throwing why the subscription is over. */
  async #subscription(signal: AbortSignal): Promise<never> {
    const { clock, open, onSource } = this.options;
    const channel = await open();
    this.#channel = channel;
    let givesBack = true;
    try {
      signal.throwIfAborted();
      await channel.synchronise();
      let renewAt = clock.monotonic() + RENEW_MS;
      for (;;) {
        this.#checkHeld();
        const asked = clock.monotonic();
        const notices = await channel.pull(PULL_MS);
        signal.throwIfAborted();
        onSource({ by: 'camera', detail: '' });
        this.#attempt = 0;
        this.#take(notices);
        if (clock.monotonic() >= renewAt) {
          this.#checkHeld();
          await channel.renew();
          renewAt = clock.monotonic() + RENEW_MS;
        }
        const early = COOLDOWN_MS - (clock.monotonic() - asked);
        if (early > 0) await clock.sleep(early, signal);
      }
    } catch (error) {
      givesBack = !KEEPS_QUIET.has(errorCode(error) ?? '');
      throw error;
    } finally {
      this.#channel = undefined;
      if (givesBack && !this.options.held()) await channel.unsubscribe();
      else channel.abort();
    }
  }

  #checkHeld(): void {
    if (!this.options.held()) return;
    throw new BluelightError('CAMERA_LOGIN_HELD', 'the camera refused a login; it is not asked for its events', {
      fix: 'give the right password with `bluelight camera password ID`',
    });
  }

  /** Of a flood only what it comes to: per thing, that it was active meanwhile, and how it ended. */
  #take(notices: readonly Notice[]): void {
    const groups = new Map<string, Notice[]>();
    for (const notice of notices) {
      if (notice.active === null) continue;
      const key = `${notice.kind} ${notice.topic} ${notice.source}`;
      groups.set(key, [...(groups.get(key) ?? []), notice]);
    }
    for (const [key, group] of groups) {
      const last = group.at(-1)!;
      const peak = group.find((one) => one.active === true && !one.initial);
      for (const notice of peak === undefined || last.active === true ? [last] : [peak, last]) this.#tell(key, notice);
    }
  }

  #tell(key: string, notice: Notice): void {
    if (this.#known.get(key) === notice.active) return;
    this.#known.set(key, notice.active!);
    this.options.onNotice(notice);
  }
}

function pauseMs(code: string | undefined, attempt: number, random?: () => number): number {
  if (code === 'CAMERA_NO_EVENTS') return NO_EVENTS_MS;
  // A refusal of what was let in before comes from a clock that was set: the next login reads it anew, and whether one
  // may be tried at all is decided there.
  if (code === 'CAMERA_LOGIN_HELD') return HELD_MS;
  return backoffMs(attempt, RETRY, random);
}
