import { CELLS, HEIGHT, WIDTH, type Box } from './grid.js';

/** A connected patch of foreground in one frame. Its cells are `cells[from .. to)` of the finder. */
export interface Blob extends Box {
  from: number;
  to: number;
  area: number;
  /** Cells far above their limit. */
  strong: number;
  /** Share of its cells that changed since the last frame. */
  changed: number;
  /** Centre, in cells. */
  x: number;
  y: number;
  /** Mean sign of the difference: +1 all brighter than the background, -1 all darker. */
  sign: number;
  /** Light or shadow on an unchanged surface, and not an object. */
  light: boolean;
}

const STRONG = 2.2;
/** A cell is foreground when at least this many of the nine around it are raw. */
const MAJORITY = 3;
const MOST = 400;

/** From raw cells to blobs. Works on lists of cells, so that a quiet frame costs nothing. */
export class BlobFinder {
  readonly blobs: Blob[] = [];
  /** Cells of all blobs, blob after blob. */
  readonly cells = new Int32Array(CELLS);
  /** 1 + index of the blob a cell belongs to, 0 for none. */
  readonly owner = new Uint16Array(CELLS);
  #marked = 0;

  readonly #sum = new Uint8Array(CELLS);
  readonly #touched = new Int32Array(CELLS);
  readonly #mask = new Int32Array(CELLS);
  readonly #pool: Blob[] = [];

  /** How many cells all blobs have. */
  get count(): number {
    return this.#marked;
  }

  /** `before` is `diff` of the frame analysed before this one. */
  find(raw: Int32Array, rawCount: number, diff: Float32Array, limit: Float32Array, before: Float32Array): void {
    for (let i = 0; i < this.#marked; i++) this.owner[this.cells[i]!] = 0;
    this.#marked = 0;
    this.blobs.length = 0;
    if (rawCount < MAJORITY) return;
    const count = this.#majority(raw, rawCount);
    this.#components(count, diff, limit, before);
  }

  #majority(raw: Int32Array, rawCount: number): number {
    const sum = this.#sum;
    const touched = this.#touched;
    let touches = 0;
    for (let i = 0; i < rawCount; i++) {
      const c = raw[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      for (let ny = y > 0 ? y - 1 : 0, yEnd = y < HEIGHT - 1 ? y + 1 : y; ny <= yEnd; ny++) {
        for (let nx = x > 0 ? x - 1 : 0, xEnd = x < WIDTH - 1 ? x + 1 : x; nx <= xEnd; nx++) {
          const n = ny * WIDTH + nx;
          if (sum[n]!++ === 0) touched[touches++] = n;
        }
      }
    }
    let count = 0;
    for (let i = 0; i < touches; i++) {
      const c = touched[i]!;
      if (sum[c]! >= MAJORITY) this.#mask[count++] = c;
    }
    // From here on 255 says "foreground, not yet in a blob".
    for (let i = 0; i < touches; i++) sum[touched[i]!] = 0;
    for (let i = 0; i < count; i++) sum[this.#mask[i]!] = 255;
    return count;
  }

  #components(count: number, diff: Float32Array, limit: Float32Array, before: Float32Array): void {
    const open = this.#sum;
    let filled = 0;
    for (let i = 0; i < count; i++) {
      const seed = this.#mask[i]!;
      if (open[seed] !== 255) continue;
      const from = filled;
      open[seed] = 0;
      this.cells[filled++] = seed;
      for (let at = from; at < filled; at++) {
        const c = this.cells[at]!;
        const y = (c / WIDTH) | 0;
        const x = c - y * WIDTH;
        for (let ny = y > 0 ? y - 1 : 0, yEnd = y < HEIGHT - 1 ? y + 1 : y; ny <= yEnd; ny++) {
          for (let nx = x > 0 ? x - 1 : 0, xEnd = x < WIDTH - 1 ? x + 1 : x; nx <= xEnd; nx++) {
            const n = ny * WIDTH + nx;
            if (open[n] !== 255) continue;
            open[n] = 0;
            this.cells[filled++] = n;
          }
        }
      }
      if (filled - from < 4 || this.blobs.length >= MOST) {
        filled = from;
        continue;
      }
      this.#measure(from, filled, diff, limit, before);
    }
    this.#marked = filled;
  }

  #measure(from: number, to: number, diff: Float32Array, limit: Float32Array, before: Float32Array): void {
    const index = this.blobs.length;
    const blob = (this.#pool[index] ??= emptyBlob());
    let x0 = WIDTH;
    let y0 = HEIGHT;
    let x1 = 0;
    let y1 = 0;
    let sumX = 0;
    let sumY = 0;
    let strong = 0;
    let changed = 0;
    let sign = 0;
    for (let i = from; i < to; i++) {
      const c = this.cells[i]!;
      this.owner[c] = index + 1;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      if (x < x0) x0 = x;
      if (x > x1) x1 = x;
      if (y < y0) y0 = y;
      if (y > y1) y1 = y;
      sumX += x;
      sumY += y;
      const d = diff[c]!;
      const t = limit[c]!;
      if (d > STRONG * t || d < -STRONG * t) strong++;
      const step = d - before[c]!;
      if (step > t || step < -t) changed++;
      sign += d > 0 ? 1 : -1;
    }
    const area = to - from;
    blob.from = from;
    blob.to = to;
    blob.area = area;
    blob.strong = strong;
    blob.changed = changed / area;
    blob.x = sumX / area;
    blob.y = sumY / area;
    blob.x0 = x0;
    blob.y0 = y0;
    blob.x1 = x1;
    blob.y1 = y1;
    blob.sign = sign / area;
    blob.light = false;
    this.blobs.push(blob);
  }
}

function emptyBlob(): Blob {
  return {
    from: 0,
    to: 0,
    area: 0,
    strong: 0,
    changed: 0,
    x: 0,
    y: 0,
    x0: 0,
    y0: 0,
    x1: 0,
    y1: 0,
    sign: 0,
    light: false,
  };
}
