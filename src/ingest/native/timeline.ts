import { TickCounter } from '../../media/rtp.js';
import { TIMESCALE } from '../../media/stream.js';

/** No reordering of pictures reaches further back. */
const MAX_BACK_TICKS = 2 * TIMESCALE;
/** How far the camera's time may be away from ours before it is taken as a jump, or as standing still. */
const MAX_APART_MS = 10_000;
/** The distance that is normal follows the crystal of the camera: ms per ms. */
const DRIFT = 1e-3;
const TICKS_PER_MS = TIMESCALE / 1_000;

/**
 * RTP timestamps as ticks that run on through a session. Where a camera's time jumps or stands still, ticks go on by
 * the time of arrival instead, so that what was learnt about the delay still holds.
 */
export class Timeline {
  #counter = new TickCounter();
  #shift = 0;
  #last: { ticks: number; arrivedMs: number } | undefined;
  /** Smallest distance of arrival from media time, ms. */
  #apart = Infinity;

  at(timestamp: number, arrivedMs: number): { ticks: number; jumped: boolean } {
    let ticks = this.#counter.at(timestamp) + this.#shift;
    const apart = arrivedMs - ticks / TICKS_PER_MS;
    const last = this.#last;
    let jumped = false;
    if (last !== undefined) {
      this.#apart += (arrivedMs - last.arrivedMs) * DRIFT;
      jumped = ticks - last.ticks < -MAX_BACK_TICKS || Math.abs(apart - this.#apart) > MAX_APART_MS;
    }
    if (jumped) {
      const expected = Math.round((arrivedMs - this.#apart) * TICKS_PER_MS);
      this.#shift += expected - ticks;
      ticks = expected;
    } else {
      this.#apart = Math.min(this.#apart, apart);
    }
    this.#last = { ticks, arrivedMs };
    return { ticks, jumped };
  }
}
