import { CELLS } from './grid.js';

/** How far the picture of a cell may stray and be the same: levels plus a share of the level. */
const SAME = { base: 6, share: 0.06 };
/** What interrupts a still cell for less is something that passed before it. */
const PASSES_MS = 5_000;
/** A model is young until then: what it learned of a place that shows something else ever since was under way. */
const YOUNG_MS = 5_000;
const ENOUGH_MS = { young: 2_500, settled: 90_000 };
/** How fast the remembered level follows the picture. */
const FOLLOW = 0.1;

/**
 * For how long each foreground cell has shown one and the same thing. It is asked of places and not of tracks, because
 * tracks begin anew whenever something passes: what stands on a busy road, or was only learned wrongly there, would
 * never come of age.
 */
export class Stillness {
  readonly #level = new Float32Array(CELLS);
  /** ms for which the cell has shown that level, and since the model began: when it was last foreground. */
  readonly #still = new Float32Array(CELLS);
  readonly #seen = new Float32Array(CELLS);
  readonly #young = new Uint8Array(CELLS);

  /** Learning has begun anew. */
  reset(): void {
    this.#still.fill(0);
    this.#seen.fill(Number.NEGATIVE_INFINITY);
  }

  /** `cells[0..count)` are foreground in `frame`; `stepMs` after the frame before, `ageMs` after the model began. */
  observe(cells: Int32Array, count: number, frame: Float32Array, stepMs: number, ageMs: number): void {
    const [level, still, seen] = [this.#level, this.#still, this.#seen];
    for (let i = 0; i < count; i++) {
      const c = cells[i]!;
      const value = frame[c]!;
      if (ageMs - seen[c]! > PASSES_MS + stepMs) {
        level[c] = value;
        still[c] = 0;
        this.#young[c] = ageMs < YOUNG_MS ? 1 : 0;
      }
      seen[c] = ageMs;
      const stray = value - level[c]!;
      if (Math.abs(stray) < SAME.base + SAME.share * value) {
        level[c]! += FOLLOW * stray;
        still[c]! += stepMs;
        continue;
      }
      still[c]! -= stepMs;
      if (still[c]! > 0) continue;
      still[c] = 0;
      level[c] = value;
    }
  }

  /** Whether the cell has shown for long enough that it shows nothing else any more. */
  settled(c: number): boolean {
    return this.#still[c]! >= (this.#young[c] === 1 ? ENOUGH_MS.young : ENOUGH_MS.settled);
  }
}
