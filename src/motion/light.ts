import type { Background } from './background.js';
import type { Blob, BlobFinder } from './blobs.js';
import { SurfaceTest } from './surface.js';
import { CELLS, HEIGHT, WIDTH } from './grid.js';

/** A pool of light rises this slowly: share of its height per cell. Objects measured 0.28 and more, light 0.05. */
const SOFT = 0.16;
/** Local correlation of the fine texture of picture and background from which the surface is the same. */
const SAME = 0.6;
const TEXTURED_SHARE = 0.35;
const SAME_SHARE = 0.6;
const MARGIN = 5;

/** Tells light and shadow from objects: by how softly they end, and by the texture that shines through them. */
export class LightTests {
  readonly #surface = new SurfaceTest();
  readonly #a = new Float32Array(CELLS);
  readonly #b = new Float32Array(CELLS);
  readonly #slopes = new Uint32Array(512);
  readonly #heights = new Uint32Array(512);
  readonly #sum = [new Float64Array(CELLS), new Float64Array(CELLS), new Float64Array(CELLS)] as const;

  isLight(blob: Blob, finder: BlobFinder, background: Background, frame: Float32Array, noise: number): boolean {
    return (
      this.steepness(blob, finder, background.diff) < SOFT ||
      this.#surface.isLit(blob, finder, background.diff, frame) ||
      this.sameSurface(blob, finder, background.diff, frame, noise)
    );
  }

  /** Mean of the steepest tenth of the slope of the difference, divided by the mean of its highest tenth. */
  steepness(blob: Blob, finder: BlobFinder, diff: Float32Array): number {
    const x0 = Math.max(1, blob.x0 - 2);
    const x1 = Math.min(WIDTH - 2, blob.x1 + 2);
    const y0 = Math.max(1, blob.y0 - 2);
    const y1 = Math.min(HEIGHT - 2, blob.y1 + 2);
    const smooth = this.#a;
    for (let y = y0; y <= y1; y++) {
      for (let c = y * WIDTH + x0, end = y * WIDTH + x1; c <= end; c++) {
        const up = c - WIDTH;
        const down = c + WIDTH;
        smooth[c] =
          (diff[up - 1]! +
            diff[up]! +
            diff[up + 1]! +
            diff[c - 1]! +
            diff[c]! +
            diff[c + 1]! +
            diff[down - 1]! +
            diff[down]! +
            diff[down + 1]!) /
          9;
      }
    }
    const slopes = this.#slopes.fill(0);
    const heights = this.#heights.fill(0);
    let count = 0;
    const stride = blob.area > 2000 ? 2 : 1;
    for (let i = blob.from; i < blob.to; i += stride) {
      const c = finder.cells[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      if (x <= x0 || x >= x1 || y <= y0 || y >= y1) continue;
      const slope = 0.5 * Math.hypot(smooth[c + 1]! - smooth[c - 1]!, smooth[c + WIDTH]! - smooth[c - WIDTH]!);
      slopes[Math.min(511, (slope * 8) | 0)]!++;
      heights[Math.min(511, (Math.abs(smooth[c]!) * 2) | 0)]!++;
      count++;
    }
    if (count < 6) return 1;
    return topTenth(slopes, count) / 8 / Math.max(0.5, topTenth(heights, count) / 2);
  }

  /** Most of what has texture in the blob has the background's texture. */
  sameSurface(blob: Blob, finder: BlobFinder, diff: Float32Array, frame: Float32Array, noise: number): boolean {
    const x0 = Math.max(0, blob.x0 - MARGIN);
    const x1 = Math.min(WIDTH - 1, blob.x1 + MARGIN);
    const y0 = Math.max(0, blob.y0 - MARGIN);
    const y1 = Math.min(HEIGHT - 1, blob.y1 + MARGIN);
    this.#highPass(x0, y0, x1, y1, diff, frame);
    const [sff, see, sfe] = this.#products(x0, y0, x1, y1);
    const energy = 25 * (1.5 * noise + 1.5) ** 2;
    let textured = 0;
    let same = 0;
    let count = 0;
    const stride = blob.area > 1000 ? 2 : 1;
    for (let i = blob.from; i < blob.to; i += stride) {
      const c = finder.cells[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      const left = Math.max(x0, x - 2);
      const right = Math.min(x1, x + 2);
      const top = Math.max(y0, y - 2);
      const bottom = Math.min(y1, y + 2);
      const ff = area(sff, x0, y0, left, top, right, bottom);
      const ee = area(see, x0, y0, left, top, right, bottom);
      count++;
      if (ff < energy && ee < energy) continue;
      textured++;
      if (area(sfe, x0, y0, left, top, right, bottom) > SAME * Math.sqrt(ff * ee)) same++;
    }
    return textured >= TEXTURED_SHARE * count && same > SAME_SHARE * textured;
  }

  /** Picture and expectation minus their 7x7 mean. */
  #highPass(x0: number, y0: number, x1: number, y1: number, diff: Float32Array, frame: Float32Array): void {
    const [sf, se] = this.#sum;
    integrate(sf, x0, y0, x1, y1, (c) => frame[c]!);
    integrate(se, x0, y0, x1, y1, (c) => frame[c]! - diff[c]!);
    for (let y = y0; y <= y1; y++) {
      const top = Math.max(y0, y - 3);
      const bottom = Math.min(y1, y + 3);
      for (let x = x0; x <= x1; x++) {
        const left = Math.max(x0, x - 3);
        const right = Math.min(x1, x + 3);
        const n = (right - left + 1) * (bottom - top + 1);
        const c = y * WIDTH + x;
        this.#a[c] = frame[c]! - area(sf, x0, y0, left, top, right, bottom) / n;
        this.#b[c] = frame[c]! - diff[c]! - area(se, x0, y0, left, top, right, bottom) / n;
      }
    }
  }

  #products(x0: number, y0: number, x1: number, y1: number): readonly [Float64Array, Float64Array, Float64Array] {
    const a = this.#a;
    const b = this.#b;
    integrate(this.#sum[0], x0, y0, x1, y1, (c) => a[c]! * a[c]!);
    integrate(this.#sum[1], x0, y0, x1, y1, (c) => b[c]! * b[c]!);
    integrate(this.#sum[2], x0, y0, x1, y1, (c) => a[c]! * b[c]!);
    return this.#sum;
  }
}

/** Summed area table over a rectangle, in place of the cells. */
function integrate(
  table: Float64Array,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  value: (cell: number) => number,
): void {
  for (let y = y0; y <= y1; y++) {
    let row = 0;
    for (let x = x0; x <= x1; x++) {
      const c = y * WIDTH + x;
      row += value(c);
      table[c] = y > y0 ? row + table[c - WIDTH]! : row;
    }
  }
}

function area(
  table: Float64Array,
  x0: number,
  y0: number,
  left: number,
  top: number,
  right: number,
  bottom: number,
): number {
  let sum = table[bottom * WIDTH + right]!;
  if (left > x0) sum -= table[bottom * WIDTH + left - 1]!;
  if (top > y0) sum -= table[(top - 1) * WIDTH + right]!;
  if (left > x0 && top > y0) sum += table[(top - 1) * WIDTH + left - 1]!;
  return sum;
}

/** Mean bin of the highest tenth of what a histogram counts. */
function topTenth(histogram: Uint32Array, count: number): number {
  const want = Math.max(1, Math.ceil(count / 10));
  let taken = 0;
  let sum = 0;
  for (let bin = histogram.length - 1; bin >= 0 && taken < want; bin--) {
    const n = Math.min(histogram[bin]!, want - taken);
    sum += n * (bin + 0.5);
    taken += n;
  }
  return sum / taken;
}
