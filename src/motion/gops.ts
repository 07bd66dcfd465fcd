import { Keep } from '../media/keep.js';
import { TIMESCALE, type AccessUnit } from '../media/stream.js';

/** What is kept in memory for looking back, at most; a stream with longer groups keeps their beginning only. */
const MAX_BYTES = 6 * 1024 * 1024;
const MAX_UNITS = 600;

type Kept = Keep<Omit<AccessUnit, 'data'>>;

/** The access units of the current group of pictures and of the one before it, in memory of their own. */
export class Gops {
  #previous: Kept = new Keep();
  #current: Kept = new Keep();
  #lastKeyPts: number | undefined;
  /** Time between the last two key frames, ms. */
  lengthMs = 0;

  /** Their data are valid until the next `push`. */
  get previous(): AccessUnit[] {
    return unitsOf(this.#previous);
  }

  get current(): AccessUnit[] {
    return unitsOf(this.#current);
  }

  push(unit: AccessUnit): void {
    if (unit.key) {
      if (this.#lastKeyPts !== undefined) this.lengthMs = (unit.pts - this.#lastKeyPts) / (TIMESCALE / 1000);
      this.#lastKeyPts = unit.pts;
      [this.#previous, this.#current] = [this.#current, this.#previous];
      this.#current.clear();
    } else if (this.#lastKeyPts === undefined) return;
    if (this.#current.bytes > MAX_BYTES || this.#current.count >= MAX_UNITS) return;
    const { data, ...rest } = unit;
    this.#current.add(rest, data);
  }

  clear(): void {
    this.#lastKeyPts = undefined;
    this.#previous.clear();
    this.#current.clear();
  }
}

function unitsOf(kept: Kept): AccessUnit[] {
  return kept.items().map(({ what, bytes }) => ({ ...what, data: bytes }));
}
