import { BLOCK, BLOCK_SAMPLES, BLOCKS, blockSums } from './grid.js';

/** Ratios are counted in steps of 1/64 octave (1.1 %) over +-4 octaves: medians without sorting. */
const STEPS = 64;
const OCTAVES = 4;
const MIDDLE = OCTAVES * STEPS;
const BINS = 2 * MIDDLE + 1;
const GROUPS = 4;
/** Added to levels before they are divided, so that black does not decide. */
export const PEDESTAL = 2;
/** A group of levels may differ from the whole by this factor; beyond it, it is an object. */
const MAX_BEND = 1.35;
/** Less than this is not worth bending for. */
const UNEVEN = 0.025;
/** A block agrees with the compensation if it is within this many levels plus this share. */
const AGREE_LEVELS = 5;
const AGREE_SHARE = 0.1;

/**
 * How the camera's exposure of this frame differs from the background's: a gain that may bend with brightness,
 * as the median over blocks, so that an object that fills less than half of the picture does not count.
 */
export class Exposure {
  /** By background level: a level `b` is expected at `(b + PEDESTAL) * ratio[b] - PEDESTAL` in this frame. */
  readonly ratio = new Float32Array(257).fill(1);
  gain = 1;
  /** Whether the gain is close to 1 and the same for all levels. */
  even = true;
  /** Share of blocks that disagree even after compensation. */
  off = 0;

  readonly #frame = new Float32Array(BLOCKS);
  readonly #back = new Float32Array(BLOCKS);
  readonly #bin = new Int16Array(BLOCKS);
  readonly #ratios = new Uint16Array(BINS * (GROUPS + 1));
  /** Logarithm of a level in quarters, in steps. */
  readonly #log = Float32Array.from({ length: 1024 }, (_, i) => STEPS * Math.log2(i / 4 + PEDESTAL));
  readonly #levels = new Uint16Array(256);
  readonly #knots = { level: new Float64Array(GROUPS), ratio: new Float64Array(GROUPS), count: 0 };

  /** `covered` counts the held cells of each block; blocks mostly covered are left out. */
  estimate(frame: Float32Array, background: Float32Array, covered: Uint8Array): void {
    blockSums(frame, this.#frame);
    blockSums(background, this.#back);
    const used = this.#count(covered);
    this.#fit(used);
    this.#bend();
    this.#disagreement(covered);
  }

  #count(covered: Uint8Array): number {
    this.#levels.fill(0);
    let used = 0;
    for (let i = 0; i < BLOCKS; i++) {
      const b = (this.#back[i]! /= BLOCK_SAMPLES);
      const f = (this.#frame[i]! /= BLOCK_SAMPLES);
      if (covered[i]! > 0.3 * BLOCK * BLOCK) {
        this.#bin[i] = -1;
        continue;
      }
      const bin = this.#log[(f * 4) | 0]! - this.#log[(b * 4) | 0]! + MIDDLE;
      this.#bin[i] = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : (bin + 0.5) | 0;
      this.#levels[b | 0]!++;
      used++;
    }
    return used;
  }

  /** Median ratio of all blocks and of each quarter of them by brightness. */
  #fit(used: number): void {
    this.#knots.count = 0;
    this.gain = 1;
    if (used < BLOCKS / 10) return;
    this.#ratios.fill(0);
    const edges = this.#quarters(used);
    for (let i = 0; i < BLOCKS; i++) {
      const bin = this.#bin[i]!;
      if (bin < 0) continue;
      const b = this.#back[i]!;
      const group = b < edges[0] ? 0 : b < edges[1] ? 1 : b < edges[2] ? 2 : 3;
      this.#ratios[bin]!++;
      this.#ratios[(group + 1) * BINS + bin]!++;
    }
    this.gain = this.#median(0);
    const centres = [edges[0] / 2, (edges[0] + edges[1]) / 2, (edges[1] + edges[2]) / 2, (edges[2] + edges[3]) / 2];
    const k = this.#knots;
    for (let g = 0; g < GROUPS; g++) {
      const ratio = this.#median(g + 1);
      const level = centres[g]!;
      if (Number.isNaN(ratio)) continue;
      if (k.count > 0 && level - k.level[k.count - 1]! < 10) continue;
      k.level[k.count] = level;
      k.ratio[k.count] = Math.min(this.gain * MAX_BEND, Math.max(this.gain / MAX_BEND, ratio));
      k.count++;
    }
  }

  #quarters(used: number): [number, number, number, number] {
    const edges: [number, number, number, number] = [256, 256, 256, 256];
    let seen = 0;
    let next = 0;
    for (let level = 0; level < 256 && next < GROUPS; level++) {
      seen += this.#levels[level]!;
      while (next < GROUPS && seen >= (used * (next + 1)) / GROUPS) edges[next++] = level + 1;
    }
    return edges;
  }

  #median(row: number): number {
    const from = row * BINS;
    let total = 0;
    for (let i = 0; i < BINS; i++) total += this.#ratios[from + i]!;
    if (total < 8) return row === 0 ? 1 : Number.NaN;
    let seen = 0;
    for (let i = 0; i < BINS; i++) {
      seen += this.#ratios[from + i]!;
      if (seen * 2 >= total) return 2 ** (i / STEPS - OCTAVES);
    }
    return 1;
  }

  #bend(): void {
    const k = this.#knots;
    this.even = Math.abs(this.gain - 1) < UNEVEN;
    for (let i = 0; i < k.count; i++) this.even &&= Math.abs(k.ratio[i]! - this.gain) < UNEVEN;
    if (this.even) {
      this.ratio.fill(this.gain);
      return;
    }
    for (let level = 0, at = 0; level <= 256; level++) {
      while (at + 1 < k.count && level > k.level[at + 1]!) at++;
      let ratio = this.gain;
      if (k.count > 0) {
        const from = k.level[at]!;
        ratio = k.ratio[at]!;
        if (at + 1 < k.count && level > from) {
          const share = (level - from) / (k.level[at + 1]! - from);
          ratio += share * (k.ratio[at + 1]! - ratio);
        }
      }
      this.ratio[level] = ratio;
    }
  }

  #disagreement(covered: Uint8Array): void {
    let off = 0;
    let all = 0;
    for (let i = 0; i < BLOCKS; i++) {
      if (covered[i]! > 0.3 * BLOCK * BLOCK) continue;
      const b = this.#back[i]!;
      const e = (b + PEDESTAL) * this.ratio[b | 0]! - PEDESTAL;
      if (Math.abs(this.#frame[i]! - e) > AGREE_LEVELS + AGREE_SHARE * e) off++;
      all++;
    }
    this.off = all === 0 ? 0 : off / all;
  }
}
