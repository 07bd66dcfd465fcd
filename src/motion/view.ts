import { BLOCK, BLOCKS, BLOCKS_X, BLOCKS_Y, CELLS, HEIGHT, WIDTH } from './grid.js';

/** What a picture is like as a whole. */
export interface ViewMeasures {
  /** The level below which 95 % of the cells are, and that which 70 % reach. */
  high: number;
  bright: number;
}

/** How a picture compares with the view as it was learned. */
export interface ViewComparison {
  /** Share of the blocks with structure that have lost most of it. */
  lost: number;
  /** Median of a block's sharpness now to then. */
  sharpness: number;
  /** Correlation of the fine structure at the same place, -1..1. */
  structure: number;
  /** Correlation of the levels of blocks, -1..1. */
  layout: number;
}

/** What a view takes from one picture. */
export class Structure {
  /** Cells minus the mean around them, relative to it. */
  readonly fine = new Float32Array(CELLS);
  /** Mean level of each block. */
  readonly level = new Float32Array(BLOCKS);
  /** Sums over everything above and to the left of a cell. */
  readonly #sums = new Float64Array((WIDTH + 1) * (HEIGHT + 1));

  of(cells: Float32Array): this {
    highPass(cells, this.fine, this.#sums);
    for (let b = 0; b < BLOCKS; b++) {
      const x0 = (b % BLOCKS_X) * BLOCK;
      const y0 = ((b / BLOCKS_X) | 0) * BLOCK;
      let sum = 0;
      for (let y = y0; y < y0 + BLOCK; y++) for (let x = x0; x < x0 + BLOCK; x++) sum += cells[y * WIDTH + x]!;
      this.level[b] = sum / (BLOCK * BLOCK);
    }
    return this;
  }
}

/** Structure of the picture that light changes least: where edges are, and how sharp. Averaged over some seconds. */
export class View {
  readonly fine = new Float32Array(CELLS);
  readonly level = new Float32Array(BLOCKS);
  readonly #edge = new Float32Array(BLOCKS);
  /** `#edge` is that of `fine`. */
  #edgeKnown = false;
  #age = 0;

  /** Seconds of pictures that are in it. */
  get age(): number {
    return this.#age;
  }

  clear(): void {
    this.#age = 0;
  }

  /** Averages a picture in with time constant `tau` seconds. */
  add(picture: Structure, seconds: number, tau: number): void {
    this.#fold(picture, seconds, tau);
  }

  /** Averages in what another view has seen, for as long as it has seen it. */
  merge(other: View, tau: number): void {
    this.#fold(other, other.age, tau);
  }

  /** For keeping: fine structure in 1/100, levels; both a byte each. */
  pack(): Uint8Array {
    const bytes = new Uint8Array(CELLS + BLOCKS);
    for (let c = 0; c < CELLS; c++) bytes[c] = 128 + Math.max(-127, Math.min(127, Math.round(100 * this.fine[c]!)));
    for (let b = 0; b < BLOCKS; b++) bytes[CELLS + b] = this.level[b]!;
    return bytes;
  }

  /** `age` says how much weight it has against what is seen from now on, seconds. */
  unpack(bytes: Uint8Array, age: number): void {
    if (bytes.length !== CELLS + BLOCKS) return;
    for (let c = 0; c < CELLS; c++) this.fine[c] = (bytes[c]! - 128) / 100;
    for (let b = 0; b < BLOCKS; b++) this.level[b] = bytes[CELLS + b]!;
    this.#age = age;
    this.#edgeKnown = false;
  }

  compare(reference: View): ViewComparison {
    const [now, then] = [this.#edges(), reference.#edges()];
    const ratios = new Float32Array(BLOCKS);
    let structured = 0;
    for (let b = 0; b < BLOCKS; b++) if (then[b]! > STRUCTURED) ratios[structured++] = Math.sqrt(now[b]! / then[b]!);
    const sorted = ratios.subarray(0, structured).sort();
    const lost = sorted.findIndex((ratio) => ratio >= LOST);
    return {
      lost: structured === 0 ? 0 : (lost < 0 ? structured : lost) / structured,
      sharpness: sorted[structured >> 1] ?? 1,
      structure: correlation(this.fine, reference.fine),
      layout: correlation(this.level, reference.level),
    };
  }

  /** Share of the picture that has structure; without any there is nothing to compare. */
  get structured(): number {
    let count = 0;
    for (const energy of this.#edges()) if (energy > STRUCTURED) count++;
    return count / BLOCKS;
  }

  #fold({ fine, level }: Pick<Structure, 'fine' | 'level'>, seconds: number, tau: number): void {
    const a = this.#age === 0 ? 1 : 1 - Math.exp(-seconds / Math.min(tau, this.#age + seconds));
    const mine = this.fine;
    for (let c = 0; c < CELLS; c++) mine[c]! += a * (fine[c]! - mine[c]!);
    for (let b = 0; b < BLOCKS; b++) this.level[b]! += a * (level[b]! - this.level[b]!);
    this.#age += seconds;
    this.#edgeKnown = false;
  }

  /** Energy of the fine structure by block. */
  #edges(): Float32Array {
    if (!this.#edgeKnown) blockEnergy(this.fine, this.#edge);
    this.#edgeKnown = true;
    return this.#edge;
  }
}

/** Mean square of the relative fine structure from which a block has any: about 4 % of its level. */
const STRUCTURED = 0.0015;
const LOST = 0.4;
const WINDOW = 3;

export function measure(cells: Float32Array): ViewMeasures {
  const histogram = new Uint32Array(256);
  for (let c = 0; c < CELLS; c++) histogram[cells[c]! | 0]!++;
  const quantile = (share: number): number => {
    let seen = 0;
    for (let level = 0; level < 256; level++) if ((seen += histogram[level]!) >= share * CELLS) return level;
    return 255;
  };
  return { high: quantile(0.95), bright: quantile(0.3) };
}

function highPass(cells: Float32Array, out: Float32Array, table: Float64Array): void {
  for (let y = 0; y < HEIGHT; y++) {
    let row = 0;
    for (let x = 0; x < WIDTH; x++) {
      row += cells[y * WIDTH + x]!;
      table[(y + 1) * (WIDTH + 1) + x + 1] = table[y * (WIDTH + 1) + x + 1]! + row;
    }
  }
  for (let y = 0; y < HEIGHT; y++) {
    const top = Math.max(0, y - WINDOW) * (WIDTH + 1);
    const bottom = Math.min(HEIGHT, y + WINDOW + 1) * (WIDTH + 1);
    const rows = (bottom - top) / (WIDTH + 1);
    for (let x = 0; x < WIDTH; x++) {
      const left = Math.max(0, x - WINDOW);
      const right = Math.min(WIDTH, x + WINDOW + 1);
      const sum = table[bottom + right]! - table[bottom + left]! - table[top + right]! + table[top + left]!;
      const mean = sum / (rows * (right - left));
      out[y * WIDTH + x] = (cells[y * WIDTH + x]! - mean) / (mean + 8);
    }
  }
}

function blockEnergy(fine: Float32Array, energy: Float32Array): void {
  for (let by = 0, b = 0; by < BLOCKS_Y; by++) {
    for (let bx = 0; bx < BLOCKS_X; bx++, b++) {
      let sum = 0;
      for (let y = by * BLOCK; y < (by + 1) * BLOCK; y++) {
        for (let c = y * WIDTH + bx * BLOCK, end = c + BLOCK; c < end; c++) sum += fine[c]! * fine[c]!;
      }
      energy[b] = sum / (BLOCK * BLOCK);
    }
  }
}

/** Pearson's. Values are limited to three deviations, so that a lamp does not decide. */
function correlation(p: Float32Array, q: Float32Array): number {
  const n = p.length;
  const [mp, sp] = moments(p);
  const [mq, sq] = moments(q);
  if (sp === 0 || sq === 0) return 0;
  let pp = 0;
  let qq = 0;
  let pq = 0;
  const [kp, kq] = [1 / sp, 1 / sq];
  for (let i = 0; i < n; i++) {
    let a = (p[i]! - mp) * kp;
    let b = (q[i]! - mq) * kq;
    a = a > 3 ? 3 : a < -3 ? -3 : a;
    b = b > 3 ? 3 : b < -3 ? -3 : b;
    pp += a * a;
    qq += b * b;
    pq += a * b;
  }
  return pq / Math.sqrt(pp * qq);
}

function moments(values: Float32Array): [number, number] {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return [mean, Math.sqrt(Math.max(0, squares / values.length - mean * mean))];
}
