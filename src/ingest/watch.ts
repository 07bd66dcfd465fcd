import type { EngineEnd, IngestLimits } from './ports.js';

/** What the watchdog of a session looks at. Times are monotonic ms. */
export interface SessionView {
  now: number;
  openedAt: number;
  lastPictureAt: number | undefined;
  lastKeyAt: number | undefined;
  /** When the last fragment left for the disk, or its run began; undefined without a run. */
  lastFragmentAt: number | undefined;
  /** 0 while not measured. */
  fps: number;
  maxGopMs: number;
  /** Since the current five-second window opened. */
  windowBytes: number;
  bytesPerSecond: number;
  /** What this stream may send (`rateLimit`). */
  maxBytesPerSecond: number;
}

export const WINDOW_SECONDS = 5;

/**
 * Silence longer than this is a stall: 30 pictures, at least 5 s (a hiccup of the network), at most a minute. Never less
 * than from key frame to key frame: a new session waits for so long before it records, so that it would lose more.
 */
export function stallLimitMs(fps: number, maxGopMs: number, limits: IngestLimits): number {
  if (fps <= 0) return limits.stallMs;
  return Math.min(60_000, Math.max(Math.min(5_000, limits.stallMs), 30_000 / fps, maxGopMs));
}

/** Whether more comes than the stream may send. */
export function isFlood(view: Pick<SessionView, 'windowBytes' | 'bytesPerSecond' | 'maxBytesPerSecond'>): boolean {
  return view.windowBytes > view.maxBytesPerSecond * WINDOW_SECONDS || view.bytesPerSecond > view.maxBytesPerSecond;
}

/** Whether a session has to be ended, and why. Looks at pictures and bytes, never at the life of a process. */
export function judgeSession(view: SessionView, limits: IngestLimits): EngineEnd | undefined {
  const { now, openedAt, lastPictureAt } = view;
  if (isFlood(view)) {
    const detail =
      view.maxBytesPerSecond < limits.maxBytesPerSecond
        ? 'the camera sends far more data than it usually does; look at its bit rate setting'
        : 'the camera sends more data than a video stream can have';
    return { cause: 'invalid', detail };
  }
  if (lastPictureAt === undefined) {
    const late = now - openedAt > limits.firstPictureMs;
    return late ? { cause: 'stalled', detail: 'connected, but no picture came' } : undefined;
  }
  const silentMs = now - lastPictureAt;
  const stallMs = stallLimitMs(view.fps, view.maxGopMs, limits);
  if (silentMs > stallMs) {
    return { cause: 'stalled', detail: `no picture for ${Math.round(silentMs / 1000)} s` };
  }
  if (view.lastFragmentAt !== undefined && now - view.lastFragmentAt > Math.max(limits.stallMs, stallMs)) {
    return { cause: 'stalled', detail: 'pictures come, but nothing of them can be written: their times stand still' };
  }
  const withoutKeyMs = now - (view.lastKeyAt ?? openedAt);
  if (withoutKeyMs > Math.max(limits.noKeyMs, 3 * view.maxGopMs)) {
    return { cause: 'invalid', detail: `no key frame for ${Math.round(withoutKeyMs / 1000)} s` };
  }
  return undefined;
}
