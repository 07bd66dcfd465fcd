const WINDOW_MS = 5_000;

/** Pictures and bytes per second over the last five seconds, and the longest distance between key frames. */
export class Meter {
  #window = { start: 0, pictures: 0, bytes: 0 };
  #lastKeyTicks: number | undefined;
  #maxGopMs = 0;
  #pictures = 0;
  /** Of the last whole window. */
  fps = 0;
  bytesPerSecond = 0;

  constructor(nowMs: number) {
    this.#window.start = nowMs;
  }

  bytes(count: number): void {
    this.#window.bytes += count;
  }

  picture(key: boolean, dts: number, nowMs: number): void {
    // The time until the first picture says nothing about the frame rate.
    if (this.#pictures === 0) this.#window = { start: nowMs, pictures: 0, bytes: 0 };
    this.#window.pictures++;
    this.#pictures++;
    if (!key) return;
    if (this.#lastKeyTicks !== undefined) this.#maxGopMs = Math.max(this.#maxGopMs, (dts - this.#lastKeyTicks) / 90);
    this.#lastKeyTicks = dts;
  }

  /** Closes the window when it is over. True if new figures are there. */
  tick(nowMs: number): boolean {
    const seconds = (nowMs - this.#window.start) / 1000;
    if (seconds * 1000 < WINDOW_MS) return false;
    this.fps = Math.round((this.#window.pictures / seconds) * 10) / 10;
    this.bytesPerSecond = Math.round(this.#window.bytes / seconds);
    this.#window = { start: nowMs, pictures: 0, bytes: 0 };
    return true;
  }

  /** Bytes in the window that is still open. */
  get openBytes(): number {
    return this.#window.bytes;
  }

  get maxGopMs(): number {
    return this.#maxGopMs;
  }

  get pictures(): number {
    return this.#pictures;
  }
}
