import { CELLS, HEIGHT, WIDTH } from './grid.js';
import { PEDESTAL } from './exposure.js';
import type { Shift } from './shift.js';

/** What a cell is at the moment, and so how it is learned. */
export const FREE = 0;
/** Foreground that founds no track. */
export const REJECTED = 1;
export const CANDIDATE = 2;
export const HELD = 3;

/** Time constants in seconds. */
const TAU = { free: 12, rejected: 4, candidate: 40, deviation: 15, fold: 20, step: 0.35, youngest: 0.4 };
const FLOOR = 0.5;

/** The learned picture: per cell its level and how far the picture usually strays from it (mean absolute deviation). */
export class Background {
  readonly level = new Float32Array(CELLS);
  readonly deviation = new Float32Array(CELLS).fill(1.5);
  /** |gradient| of `level`, levels per cell. Follows `level` within a second of frames. */
  readonly edge = new Float32Array(CELLS);

  /** Frame minus expectation, exposure and shift compensated. */
  readonly diff = new Float32Array(CELLS);
  /** What `|diff|` has to exceed to be foreground. */
  readonly limit = new Float32Array(CELLS);
  /** The cells that do. */
  readonly raw = new Int32Array(CELLS);
  rawCount = 0;

  #edgeRow = 0;

  /** Starts from a single frame; what moves in it is unlearned quickly because the model is young. */
  start(frame: Float32Array): void {
    this.level.set(frame);
    this.deviation.fill(1.5);
    this.refreshEdges(0, HEIGHT);
  }

  refreshEdges(fromRow: number, rows: number): void {
    const b = this.level;
    for (let y = Math.max(1, fromRow), end = Math.min(HEIGHT - 1, fromRow + rows); y < end; y++) {
      for (let c = y * WIDTH + 1, stop = c + WIDTH - 2; c < stop; c++) {
        this.edge[c] = 0.5 * (Math.abs(b[c + 1]! - b[c - 1]!) + Math.abs(b[c + WIDTH]! - b[c - WIDTH]!));
      }
    }
  }

  /** Fills `diff`, `limit` and `raw` for this frame. `noise` is the median |diff| of the frame. Learns nothing. */
  compare(frame: Float32Array, ratio: Float32Array, noise: number, shift: Shift): void {
    const { level, deviation, edge, diff, limit, raw } = this;
    const floor = Math.min(25, 6 * noise);
    const edgeWeight = 0.35 * (1 + Math.min(1, shift.length));
    let n = 0;
    for (let c = 0; c < CELLS; c++) {
      const b = level[c]!;
      const r = ratio[b | 0]!;
      const e = (b + PEDESTAL) * r - PEDESTAL;
      const d = frame[c]! - e;
      let t = 6 + 0.03 * e;
      const m = 5 * deviation[c]!;
      if (m > t) t = m;
      if (floor > t) t = floor;
      t += edgeWeight * r * edge[c]!;
      diff[c] = d;
      limit[c] = t;
      if (d > t || d < -t) raw[n++] = c;
    }
    if (shift.length > 0) n = this.#unshift(ratio, shift, n);
    this.rawCount = n;
  }

  /** Takes the part of `diff` away that a moved camera explains; only where it matters, in raw cells. */
  #unshift(ratio: Float32Array, shift: Shift, count: number): number {
    const { level, diff, limit, raw } = this;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const c = raw[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      if (x > 0 && x < WIDTH - 1 && y > 0 && y < HEIGHT - 1) {
        const r = 0.5 * ratio[level[c]! | 0]!;
        diff[c]! -= r * (shift.x * (level[c + 1]! - level[c - 1]!) + shift.y * (level[c + WIDTH]! - level[c - WIDTH]!));
      }
      if (Math.abs(diff[c]!) > limit[c]!) raw[kept++] = c;
    }
    return kept;
  }

  /**
   * Learns the frame last compared. `seconds` since the last one learned, `age` of the model in seconds.
   * By time and not by frame, so that every cadence learns the same.
   */
  learn(frame: Float32Array, ratio: Float32Array, kind: Uint8Array, seconds: number, age: number, step: boolean): void {
    const rate = (tau: number): number => 1 - Math.exp(-seconds / Math.max(TAU.youngest, Math.min(tau, age)));
    const free = step ? 1 - Math.exp(-seconds / TAU.step) : rate(TAU.free);
    const rates = [free, step ? free : rate(TAU.rejected), rate(TAU.candidate), 0];
    const spread = rate(TAU.deviation);
    const fold = rate(TAU.fold);
    const { level, deviation, diff } = this;
    for (let c = 0; c < CELLS; c++) {
      const k = kind[c]!;
      const b = level[c]!;
      const d = diff[c]!;
      const expected = (b + PEDESTAL) * ratio[b | 0]! - PEDESTAL;
      const a = rates[k]!;
      // Towards the expectation (light that changed also behind what is held), then towards the picture.
      let next = b + (a > fold ? a : fold) * (expected - b) + a * d;
      if (!(next > 0)) next = 0;
      else if (next > 255) next = 255;
      level[c] = next;
      if (k > REJECTED) continue;
      const m = deviation[c]!;
      const stray = Math.min(d < 0 ? -d : d, 4 * m + 2);
      const spreadNow = m + spread * (stray - m);
      deviation[c] = spreadNow > FLOOR ? spreadNow : FLOOR;
    }
    this.refreshEdges(this.#edgeRow, 18);
    this.#edgeRow = (this.#edgeRow + 18) % HEIGHT;
  }

  /** The picture is the truth here: what was held has been parked, or what was learned has left. */
  absorb(frame: Float32Array, cells: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const c = cells[i]!;
      this.level[c] = frame[c]!;
    }
    if (count > 0) this.refreshEdges(0, HEIGHT);
  }
}
