import { PEDESTAL } from './exposure.js';
import { HEIGHT, WIDTH } from './grid.js';

/** How far the whole picture is displaced against the background, in cells; `length` 0 where that cannot be told. */
export interface Shift {
  x: number;
  y: number;
  length: number;
}

const MAX_SHIFT = 2.5;

/** The noise of a frame, and by how much it is displaced: one Lucas-Kanade step over a quarter of the cells. */
export class Alignment {
  readonly shift: Shift = { x: 0, y: 0, length: 0 };
  /** Median |frame - expectation| in levels: noise of this frame as a whole. */
  noise = 1;
  readonly #histogram = new Uint16Array(256);

  /** Over a ninth of the cells. */
  measureNoise(frame: Float32Array, level: Float32Array, ratio: Float32Array, kind: Uint8Array): void {
    const histogram = this.#histogram.fill(0);
    let count = 0;
    for (let y = 1; y < HEIGHT; y += 3) {
      for (let c = y * WIDTH + (y % 9 === 1 ? 1 : 2), end = (y + 1) * WIDTH; c < end; c += 3) {
        if (kind[c]! > 1) continue;
        const b = level[c]!;
        const e = level[c - 1]!;
        // Against its neighbour: a shadow over half of the picture is no noise.
        const d = frame[c]! - (b + PEDESTAL) * ratio[b | 0]! - frame[c - 1]! + (e + PEDESTAL) * ratio[e | 0]!;
        const bin = (Math.abs(d) * 4 * Math.SQRT1_2) | 0;
        histogram[bin < 255 ? bin : 255]!++;
        count++;
      }
    }
    this.noise = this.#median(count);
  }

  /** `diff` as compared with the background under this frame's exposure. */
  estimate(diff: Float32Array, level: Float32Array, ratio: Float32Array, kind: Uint8Array): void {
    let xx = 0;
    let xy = 0;
    let yy = 0;
    let xd = 0;
    let yd = 0;
    for (let y = 1; y < HEIGHT - 1; y += 2) {
      for (let c = y * WIDTH + 1 + ((y >> 1) & 1), end = y * WIDTH + WIDTH - 1; c < end; c += 2) {
        if (kind[c]! > 1) continue;
        const r = 0.5 * ratio[level[c]! | 0]!;
        const d = diff[c]!;
        const gx = r * (level[c + 1]! - level[c - 1]!);
        const gy = r * (level[c + WIDTH]! - level[c - WIDTH]!);
        const limit = 12 + Math.abs(gx) + Math.abs(gy);
        if (Math.abs(d) >= limit) continue;
        xx += gx * gx;
        xy += gx * gy;
        yy += gy * gy;
        xd += gx * d;
        yd += gy * d;
      }
    }
    this.#solve(xx, xy, yy, xd, yd);
  }

  #median(count: number): number {
    let seen = 0;
    for (let bin = 0; bin < 256; bin++) {
      seen += this.#histogram[bin]!;
      if (seen * 2 >= count) return (bin + 0.5) / 4;
    }
    return 64;
  }

  #solve(xx: number, xy: number, yy: number, xd: number, yd: number): void {
    const s = this.shift;
    s.x = s.y = s.length = 0;
    const det = xx * yy - xy * xy;
    // Ill-conditioned: too little texture, or all of it in one direction.
    if (det < 1e-3 * (xx + yy) ** 2 || xx + yy < 1000) return;
    const x = (yy * xd - xy * yd) / det;
    const y = (xx * yd - xy * xd) / det;
    const length = Math.hypot(x, y);
    if (length > MAX_SHIFT || length < 0.02) return;
    s.x = x;
    s.y = y;
    s.length = length;
  }
}
