/** Pictures that ffmpeg may still hold when it tells of a loss: one in its parser, one in its muxer; and as many again. */
const IN_FLIGHT = 4;
const TICKS_PER_MS = 90;

/**
 * Which pictures of ffmpeg come from after a loss? It tells of missing packets when it meets them, and the picture that
 * lacks them comes out later. Only pictures that come at their own pace count as proof that it is out: those in a burst
 * were waiting.
 */
export class Holes {
  #left = 0;
  #last: { dts: number; atMs: number } | undefined;

  /** Packets are missing from here on. */
  missed(): void {
    this.#left = IN_FLIGHT;
  }

  /** Whether a picture is surely from after the last loss. `dts` in ticks, `nowMs` when it came out of ffmpeg. */
  passes(dts: number, nowMs: number): boolean {
    const last = this.#last;
    this.#last = { dts, atMs: nowMs };
    if (this.#left === 0) return true;
    if (last !== undefined && nowMs - last.atMs >= (dts - last.dts) / TICKS_PER_MS / 2) this.#left--;
    return false;
  }
}
