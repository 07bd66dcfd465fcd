/** How far a camera's clock may be corrected: crystals are within 100 ppm, 500 is what NTP itself allows. */
const MAX_SLEW = 500e-6;
const WINDOW_MS = 30_000;
/** An offset by the camera's own clock is believed if capture is then this long before arrival. */
const MAX_CAMERA_LATENCY_MS = 1_500;
/** Two estimates are not further apart than they may be wrong; beyond this the run before it was wrong. */
const LONGEST_OVERLAP_MS = 2_000;

/**
 * When was a picture taken, on the box's monotonic clock? Arrival is late by a delay that varies but is never negative,
 * so the smallest delay seen is the best estimate. It is followed slowly: inside a run time never jumps.
 */
export class CaptureClock {
  #offset: number | undefined;
  #target = 0;
  #lowest = Infinity;
  #before = Infinity;
  #windowStart = 0;
  #lastMedia = 0;

  /** Adds what was observed of a picture. `mediaMs`: its decode time; `cameraMs`: capture by the camera's clock, moved to the monotonic scale. */
  observe(mediaMs: number, arrivedMs: number, cameraMs?: number): void {
    if (mediaMs - this.#windowStart >= WINDOW_MS) {
      this.#before = this.#lowest;
      this.#lowest = Infinity;
      this.#windowStart = mediaMs;
    }
    this.#lowest = Math.min(this.#lowest, arrivedMs - mediaMs);
    const arrival = Math.min(this.#lowest, this.#before);
    const latency = cameraMs === undefined ? -1 : arrival - (cameraMs - mediaMs);
    const believed = cameraMs !== undefined && latency >= 0 && latency <= MAX_CAMERA_LATENCY_MS;
    this.#target = believed ? cameraMs - mediaMs : arrival;
  }

  /** A new run may start at the best estimate there is, but not before `endMs`, at which the one before it ended. */
  anchor(mediaMs: number, endMs = -Infinity): void {
    const overlap = endMs - (mediaMs + this.#target);
    this.#offset = this.#target + (overlap < LONGEST_OVERLAP_MS ? Math.max(0, overlap) : 0);
    this.#lastMedia = mediaMs;
  }

  /** Monotonic ms at which the picture of `mediaMs` was taken. */
  at(mediaMs: number): number {
    const offset = this.#offset ?? this.#target;
    const step = Math.max(0, mediaMs - this.#lastMedia) * MAX_SLEW;
    this.#lastMedia = Math.max(this.#lastMedia, mediaMs);
    this.#offset = offset + Math.max(-step, Math.min(step, this.#target - offset));
    return mediaMs + this.#offset;
  }

  /** How far the estimate in use is from the best one, ms. */
  get error(): number {
    return this.#offset === undefined ? 0 : Math.abs(this.#target - this.#offset);
  }
}
