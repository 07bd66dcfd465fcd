import type { Blob, BlobFinder } from './blobs.js';
import { CELLS, HEIGHT, WIDTH } from './grid.js';

/** Correlation of the coarse texture of picture and background from which the surface is the same. */
const SAME = 0.6;
/** How far the contrast of that texture may be from what the change of brightness explains. */
const EXPLAINED = { least: 0.5, most: 1.6 };
/**
 * Where the ground has no texture that could show through: everywhere brighter, by nearly the same factor in most of
 * the inside, is a pool of light. Objects have structure. What stands upright may be a person all the same.
 */
const EVEN = { share: 0.75, within: 0.2, ratio: 1.3, sign: 0.9, upright: 1.3, largestUpright: 300 };
/** The ground's texture, brightened, would make up this share of what is seen: if it is not there, it is covered. */
const VISIBLE = 0.7;
const LEAST_CELLS = 25;
const WINDOW = 4;
/** Blobs larger than this are judged by every second cell. */
const LARGE = 2_500;

/**
 * Compares the inside of a blob, away from its edge, with the background as a whole: under light or shadow the ground
 * keeps its pattern and only its contrast changes with the brightness; an object covers it. Averaged over 3x3 cells
 * and summed over the blob, so that it also tells at night, where no single place shows texture above the noise.
 */
export class SurfaceTest {
  readonly #bins = new Uint16Array(512);
  readonly #inside = new Int32Array(CELLS);
  readonly #mask = new Float32Array(CELLS);
  readonly #picture = new Float32Array(CELLS);
  readonly #ground = new Float32Array(CELLS);

  isLit(blob: Blob, finder: BlobFinder, diff: Float32Array, frame: Float32Array): boolean {
    const count = this.#interior(blob, finder);
    if (count < LEAST_CELLS) return false;
    const { correlation, slope, ratio, texture, grain } = this.#measure(count, diff, frame);
    for (let i = 0; i < count; i++) this.#mask[this.#inside[i]!] = 0;
    const contrast = slope / ratio;
    if (correlation > SAME && contrast > EXPLAINED.least && contrast < EXPLAINED.most) return true;
    if (blob.sign < EVEN.sign || ratio * texture > VISIBLE * grain) return false;
    return !mayBeUpright(blob) && this.#isEven(count);
  }

  #isEven(count: number): boolean {
    const bins = this.#bins.fill(0);
    for (let i = 0; i < count; i++) bins[Math.min(511, Math.max(0, this.#brighter(this.#inside[i]!) * 64)) | 0]!++;
    let seen = 0;
    let bin = 0;
    while (bin < 511 && seen * 2 < count) seen += bins[bin++]!;
    const middle = (bin - 0.5) / 64;
    if (middle < EVEN.ratio - 1) return false;
    let near = 0;
    for (let i = 0; i < count; i++) {
      if (Math.abs(this.#brighter(this.#inside[i]!) - middle) < EVEN.within * middle) near++;
    }
    return near > EVEN.share * count;
  }

  /** By what share the picture is brighter than the ground. */
  #brighter(c: number): number {
    return (this.#picture[c]! + 2) / (this.#ground[c]! + 2) - 1;
  }

  /** Cells that have two cells of the blob around them on every side. */
  #interior(blob: Blob, finder: BlobFinder): number {
    const { owner, cells } = finder;
    const own = owner[cells[blob.from]!]!;
    let count = 0;
    for (let i = blob.from; i < blob.to; i++) {
      const c = cells[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      if (x < 2 || y < 2 || x >= WIDTH - 2 || y >= HEIGHT - 2) continue;
      if (owner[c - 2] !== own || owner[c + 2] !== own) continue;
      if (owner[c - 2 * WIDTH] !== own || owner[c + 2 * WIDTH] !== own) continue;
      if (owner[c - WIDTH - 1] !== own || owner[c - WIDTH + 1] !== own) continue;
      if (owner[c + WIDTH - 1] !== own || owner[c + WIDTH + 1] !== own) continue;
      this.#inside[count++] = c;
    }
    return count;
  }

  #measure(
    count: number,
    diff: Float32Array,
    frame: Float32Array,
  ): { correlation: number; slope: number; ratio: number; texture: number; grain: number } {
    const picture = this.#picture;
    const ground = this.#ground;
    let sumPicture = 0;
    let sumGround = 0;
    for (let i = 0; i < count; i++) {
      const c = this.#inside[i]!;
      const f = nine(frame, c) / 9;
      picture[c] = f;
      ground[c] = f - nine(diff, c) / 9;
      this.#mask[c] = 1;
      sumPicture += f;
      sumGround += ground[c]!;
    }
    let ff = 0;
    let gg = 0;
    let fg = 0;
    let used = 0;
    const stride = count > LARGE ? 3 : 1;
    for (let i = 0; i < count; i += stride) {
      const c = this.#inside[i]!;
      const f = this.#highPass(picture, c);
      const g = this.#highPass(ground, c);
      ff += f * f;
      gg += g * g;
      fg += f * g;
      used++;
    }
    return {
      correlation: fg / Math.sqrt(ff * gg + 1e-9),
      slope: fg / (gg + 1e-9),
      ratio: (sumPicture / count + 2) / (sumGround / count + 2),
      texture: Math.sqrt(gg / used),
      grain: Math.sqrt(ff / used),
    };
  }

  /** A cell minus the mean of the inside around it. Every second row and column of the window will do. */
  #highPass(values: Float32Array, c: number): number {
    let sum = 0;
    let count = 0;
    for (let dy = -WINDOW; dy <= WINDOW; dy += 2) {
      const row = c + dy * WIDTH;
      for (let dx = -WINDOW; dx <= WINDOW; dx += 2) {
        if (this.#mask[row + dx] !== 1) continue;
        sum += values[row + dx]!;
        count++;
      }
    }
    return values[c]! - sum / count;
  }
}

/** What comes in at the side shows a part of itself only, so its shape says nothing. */
function mayBeUpright(blob: Blob): boolean {
  if (blob.x0 === 0 || blob.x1 === WIDTH - 1 || blob.area > EVEN.largestUpright) return false;
  return blob.y1 - blob.y0 > EVEN.upright * (blob.x1 - blob.x0);
}

function nine(values: Float32Array, c: number): number {
  return (
    values[c - WIDTH - 1]! +
    values[c - WIDTH]! +
    values[c - WIDTH + 1]! +
    values[c - 1]! +
    values[c]! +
    values[c + 1]! +
    values[c + WIDTH - 1]! +
    values[c + WIDTH]! +
    values[c + WIDTH + 1]!
  );
}
