import { CELLS, HEIGHT, WIDTH } from './grid.js';
import { PEDESTAL, type Exposure } from './exposure.js';
import type { Shift } from './shift.js';

/** What a cell is at the moment, and so how it is learned. */
export const FREE = 0;
/** Foreground that founds no track. */
export const REJECTED = 1;
export const CANDIDATE = 2;
export const HELD = 3;

/** Time constants in seconds. */
const TAU = { free: 12, rejected: 4, candidate: 40, deviation: 15, fold: 20, step: 0.35, youngest: 0.4 };
/** Of the deviation. */
const FLOOR = 0.5;
/** What the difference has to exceed: levels plus a share of the level, or so many deviations; more where edges are. */
const BASE = 6;
const SHARE = 0.03;
const STRAY = 5;
const EDGE = 0.35;
/** Noise of the frame as a whole raises the limit up to here. */
const MOST_FLOOR = 25;
/** Every how many frames a quiet row is learned, at most; and the time that may pass until then, seconds. */
const TURNS = { most: 8, seconds: 2 };

/** The learned picture: per cell its level and how far the picture usually strays from it (mean absolute deviation). */
export class Background {
  readonly level = new Float32Array(CELLS);
  readonly deviation = new Float32Array(CELLS).fill(1.5);
  /** |gradient| of `level`, levels per cell. */
  readonly edge = new Float32Array(CELLS);

  /** Frame minus expectation, exposure and shift compensated. */
  diff = new Float32Array(CELLS);
  /** `diff` of the frame learned last. */
  before = new Float32Array(CELLS);
  /** What `|diff|` has to exceed to be foreground. */
  limit: Float32Array = new Float32Array(CELLS);
  /** The cells that do. */
  readonly raw = new Int32Array(CELLS);
  rawCount = 0;

  readonly #limitInFull = new Float32Array(CELLS);
  readonly #limitAtRest = new Float32Array(CELLS);
  readonly #rates = new Float64Array(4);
  #turn = 0;
  #spread = 0;
  #fold = 0;

  /** Starts from a single frame; what moves in it is unlearned quickly because the model is young. */
  start(frame: Float32Array): void {
    this.level.set(frame);
    this.deviation.fill(1.5);
    this.before.fill(0);
    for (let y = 0; y < HEIGHT; y++) this.#rest(y);
  }

  /** Fills `diff`, `limit` and `raw` for this frame. `noise` is the median |diff| of the frame. Learns nothing. */
  compare(frame: Float32Array, exposure: Exposure, noise: number): void {
    const floor = Math.min(MOST_FLOOR, 6 * noise);
    if (exposure.even && floor <= BASE) this.#compareAtRest(frame, exposure.gain);
    else this.#compareInFull(frame, exposure.ratio, floor);
  }

  /** The common case: nothing about the light or the noise is unusual, so what was worked out in learning holds. */
  #compareAtRest(frame: Float32Array, gain: number): void {
    const { level, diff, raw } = this;
    const limit = (this.limit = this.#limitAtRest);
    const offset = PEDESTAL * gain - PEDESTAL;
    let n = 0;
    for (let c = 0; c < CELLS; c++) {
      const d = frame[c]! - gain * level[c]! - offset;
      const t = limit[c]!;
      diff[c] = d;
      if (Math.abs(d) > t) raw[n++] = c;
    }
    this.rawCount = n;
  }

  #compareInFull(frame: Float32Array, ratio: Float32Array, floor: number): void {
    const { level, deviation, edge, diff, raw } = this;
    const limit = (this.limit = this.#limitInFull);
    let n = 0;
    for (let c = 0; c < CELLS; c++) {
      const b = level[c]!;
      const r = ratio[b | 0]!;
      const e = (b + PEDESTAL) * r - PEDESTAL;
      const d = frame[c]! - e;
      let t = BASE + SHARE * e;
      const m = STRAY * deviation[c]!;
      if (m > t) t = m;
      if (floor > t) t = floor;
      t += EDGE * r * edge[c]!;
      diff[c] = d;
      limit[c] = t;
      if (Math.abs(d) > t) raw[n++] = c;
    }
    this.rawCount = n;
  }

  /** Leaves out raw cells where `masked` is 1. */
  mask(masked: Uint8Array): void {
    let kept = 0;
    for (let i = 0; i < this.rawCount; i++) if (masked[this.raw[i]!] !== 1) this.raw[kept++] = this.raw[i]!;
    this.rawCount = kept;
  }

  /** Takes the part of `diff` away that a moved camera explains, in raw cells; edges are forgiven more then. */
  unshift(ratio: Float32Array, shift: Shift): void {
    const { level, edge, diff, limit, raw } = this;
    const weight = EDGE * Math.min(1, shift.length);
    let kept = 0;
    for (let i = 0; i < this.rawCount; i++) {
      const c = raw[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      const r = ratio[level[c]! | 0]!;
      if (x > 0 && x < WIDTH - 1 && y > 0 && y < HEIGHT - 1) {
        const across = level[c + 1]! - level[c - 1]!;
        const down = level[c + WIDTH]! - level[c - WIDTH]!;
        diff[c]! -= 0.5 * r * (shift.x * across + shift.y * down);
      }
      if (Math.abs(diff[c]!) > limit[c]! + weight * r * edge[c]!) raw[kept++] = c;
    }
    this.rawCount = kept;
  }

  /**
   * Learns the frame last compared, `seconds` after the one before; `age` of the model in seconds.
   * By time and not by frame, so that every cadence learns the same. Rows without foreground take turns, because
   * nothing is in a hurry there; `busy` says which have some.
   */
  learn(exposure: Exposure, kind: Uint8Array, busy: Uint8Array, seconds: number, age: number, step: boolean): void {
    const { ratio } = exposure;
    const young = step || age < 3;
    const turns = young ? 1 : Math.max(1, Math.min(TURNS.most, Math.floor(TURNS.seconds / seconds)));
    const turn = this.#turn++ % turns;
    this.#setRates(seconds, age, step);
    for (let y = 0; y < HEIGHT; y++) if (busy[y] === 1) this.#learnRow(y, ratio, kind);
    this.#setRates(seconds * turns, age, step);
    for (let y = turn; y < HEIGHT; y += turns) {
      if (busy[y] === 1) continue;
      if (exposure.even && !young) this.#learnQuietRow(y, exposure.gain - 1);
      else this.#learnRow(y, ratio, kind);
    }
    for (let y = 0; y < HEIGHT; y++) if (busy[y] === 1 || y % turns === turn) this.#rest(y);
    [this.before, this.diff] = [this.diff, this.before];
  }

  #setRates(seconds: number, age: number, step: boolean): void {
    const rate = (tau: number): number => 1 - Math.exp(-seconds / Math.max(TAU.youngest, Math.min(tau, age)));
    const free = step ? 1 - Math.exp(-seconds / TAU.step) : rate(TAU.free);
    this.#rates[FREE] = free;
    this.#rates[REJECTED] = step ? free : rate(TAU.rejected);
    this.#rates[CANDIDATE] = rate(TAU.candidate);
    this.#rates[HELD] = 0;
    this.#spread = rate(TAU.deviation);
    this.#fold = rate(TAU.fold);
  }

  #learnRow(y: number, ratio: Float32Array, kind: Uint8Array): void {
    const { level, deviation, diff } = this;
    const rates = this.#rates;
    const spread = this.#spread;
    const fold = this.#fold;
    for (let c = y * WIDTH, end = c + WIDTH; c < end; c++) {
      const k = kind[c]!;
      const b = level[c]!;
      const d = diff[c]!;
      const a = rates[k]!;
      // Towards the expectation (light that changed also behind what is held), then towards the picture.
      const next = b + (a > fold ? a : fold) * ((b + PEDESTAL) * (ratio[b | 0]! - 1)) + a * d;
      // Not `next < 0`: a number that is none must not stay in the model.
      level[c] = next > 0 ? (next < 255 ? next : 255) : 0;
      if (k > REJECTED) continue;
      const m = deviation[c]!;
      let stray = Math.abs(d);
      if (stray > 4 * m + 2) stray = 4 * m + 2;
      const now = m + spread * (stray - m);
      deviation[c] = now > FLOOR ? now : FLOOR;
    }
  }

  /** The same where nothing is foreground and the light is as usual. */
  #learnQuietRow(y: number, brighter: number): void {
    const { level, deviation, diff } = this;
    const a = this.#rates[FREE]!;
    const spread = this.#spread;
    const keep = 1 + a * brighter;
    const offset = a * brighter * PEDESTAL;
    for (let c = y * WIDTH, end = c + WIDTH; c < end; c++) {
      const d = diff[c]!;
      level[c] = level[c]! * keep + offset + a * d;
      const m = deviation[c]!;
      const stray = Math.abs(d);
      const now = m + spread * (stray - m);
      deviation[c] = now > FLOOR ? now : FLOOR;
    }
  }

  /** What follows from level and deviation of a row: edges, and the limit as long as nothing is unusual. */
  #rest(y: number): void {
    const { level, deviation, edge } = this;
    const limit = this.#limitAtRest;
    const inside = y > 0 && y < HEIGHT - 1;
    for (let c = y * WIDTH, first = c, last = c + WIDTH - 1; c <= last; c++) {
      const b = level[c]!;
      if (inside && c > first && c < last) {
        const across = level[c + 1]! - level[c - 1]!;
        const down = level[c + WIDTH]! - level[c - WIDTH]!;
        edge[c] = 0.5 * (Math.abs(across) + Math.abs(down));
      }
      const base = BASE + SHARE * b;
      const stray = STRAY * deviation[c]!;
      limit[c] = (stray > base ? stray : base) + EDGE * edge[c]!;
    }
  }

  /** The picture is the truth here: what was held has been parked, or what was learned has left. */
  absorb(frame: Float32Array, cells: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const c = cells[i]!;
      this.level[c] = frame[c]!;
    }
    if (count > 0) for (let y = 0; y < HEIGHT; y++) this.#rest(y);
  }
}
