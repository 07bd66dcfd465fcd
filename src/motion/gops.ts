import { TIMESCALE, type AccessUnit } from '../media/stream.js';

/** What is kept in memory for looking back, at most; a stream with longer groups keeps their beginning only. */
const MAX_BYTES = 6 * 1024 * 1024;
const MAX_UNITS = 600;

/** The access units of the current group of pictures and of the one before it. */
export class Gops {
  previous: AccessUnit[] = [];
  current: AccessUnit[] = [];
  #bytes = 0;
  /** Time between the last two key frames, ms. */
  lengthMs = 0;

  push(unit: AccessUnit): void {
    if (unit.key) {
      const last = this.current[0];
      if (last !== undefined) this.lengthMs = (unit.pts - last.pts) / (TIMESCALE / 1000);
      this.previous = this.current;
      this.current = [];
      this.#bytes = 0;
    } else if (this.current.length === 0) return;
    if (this.#bytes > MAX_BYTES || this.current.length >= MAX_UNITS) return;
    this.#bytes += unit.data.length;
    this.current.push(unit);
  }

  clear(): void {
    this.previous = [];
    this.current = [];
  }
}
