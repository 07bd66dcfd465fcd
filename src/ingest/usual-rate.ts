/** A picture's size and how many a second; zeros while unknown. */
export interface PictureRate {
  width: number;
  height: number;
  fps: number;
}

/**
 * A stream may send so many times what it usually does. Cameras that save on still scenes send 5 to 10 times as much
 * while something moves, for as long as it moves.
 */
const MAX_FACTOR = 20;
/** Bits per pixel that no camera of ours reaches with pictures that build on each other, and with any at all. */
const RICH = { bitsPerPixel: 0.5, leastBytesPerSecond: 500_000 };
const RICHEST = { bitsPerPixel: 4, leastBytesPerSecond: 1_000_000 };
/** Until the frame rate is measured. */
const USUAL_FPS = 30;

/**
 * Bytes per second that a stream may send. Little is always allowed: after a night without motion a hundred times
 * nothing is still a picture. `usual`: what it sends over time; undefined while that is not known, or of other pictures.
 */
export function rateLimit(usual: number | undefined, picture: PictureRate, most: number): number {
  const { width, height, fps } = picture;
  if (width * height === 0) return most;
  const { bitsPerPixel, leastBytesPerSecond } = usual === undefined ? RICHEST : RICH;
  const rich = (width * height * (fps > 0 ? fps : USUAL_FPS) * bitsPerPixel) / 8;
  return Math.min(most, Math.max(leastBytesPerSecond, rich, (usual ?? 0) * MAX_FACTOR));
}

/** Seconds of measuring before a rate is called usual, and over which it is a mean from then on. */
const KNOWN_S = 20;
const MEMORY_S = 1_800;
/** A stream that was set to more on purpose is taken for what it is after this long. */
const FORGET_MS = 3_600_000;

/** What one stream sends over time; it outlasts the sessions, so that a reconnect does not make a flood the usual. */
export class UsualRate {
  #seconds = 0;
  #mean = 0;
  #size = '';
  #overSinceMs: number | undefined;

  /** A measured stretch of the stream within its limit. */
  learn(picture: PictureRate, bytesPerSecond: number, seconds: number): void {
    this.#follow(picture);
    this.#overSinceMs = undefined;
    this.#seconds = Math.min(this.#seconds + seconds, MEMORY_S);
    this.#mean += (bytesPerSecond - this.#mean) * Math.min(1, seconds / this.#seconds);
  }

  /** The stream was cut off for what it sent. */
  exceeded(nowMs: number): void {
    this.#overSinceMs ??= nowMs;
    if (nowMs - this.#overSinceMs < FORGET_MS) return;
    this.#overSinceMs = undefined;
    this.#seconds = 0;
    this.#mean = 0;
  }

  /** Undefined while it is not known. */
  of(picture: PictureRate): number | undefined {
    this.#follow(picture);
    return this.#seconds >= KNOWN_S ? this.#mean : undefined;
  }

  /** Pictures of another size have another rate. */
  #follow({ width, height }: PictureRate): void {
    const size = `${width}x${height}`;
    if (size === this.#size) return;
    this.#size = size;
    this.#seconds = 0;
    this.#mean = 0;
  }
}
