import { FRAME_BYTES, FRAME_HEIGHT, FRAME_WIDTH } from '../../src/motion/grid.js';

/** A small deterministic generator (mulberry32), so that a failing scene can be drawn again. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
  level: number;
}

/** A still place with texture, drawn with fresh noise in every frame; 320x180 gray. */
export class Scene {
  readonly ground = new Float32Array(FRAME_BYTES);
  readonly #random: () => number;
  /** Drawn once; every frame begins somewhere else in it. */
  readonly #noise = new Float32Array(FRAME_BYTES + 65_536);

  constructor(options: { seed?: number; noise?: number; level?: number } = {}) {
    this.#random = randomFrom(options.seed ?? 1);
    const noise = options.noise ?? 2;
    for (let i = 0; i < this.#noise.length; i++) {
      this.#noise[i] = (this.#random() + this.#random() + this.#random() - 1.5) * 2 * noise;
    }
    const level = options.level ?? 110;
    for (let y = 0; y < FRAME_HEIGHT; y++) {
      for (let x = 0; x < FRAME_WIDTH; x++) {
        const slabs = (Math.floor(x / 16) + Math.floor(y / 12)) % 2 === 0 ? 0.15 : -0.15;
        const grain = (this.#random() - 0.5) * 0.1;
        this.ground[y * FRAME_WIDTH + x] = level * (1 + slabs + grain);
      }
    }
  }

  /** `light(x, y)` multiplies what is there, boxes included. */
  frame(boxes: readonly Box[] = [], light: (x: number, y: number) => number = () => 1): Uint8Array {
    const out = new Uint8Array(FRAME_BYTES);
    const from = Math.floor(this.#random() * 65_536);
    for (let y = 0; y < FRAME_HEIGHT; y++) {
      for (let x = 0; x < FRAME_WIDTH; x++) {
        let value = this.ground[y * FRAME_WIDTH + x]!;
        for (const box of boxes) {
          const dx = x - box.x;
          const dy = y - box.y;
          // Stripes: an object has a texture of its own.
          if (dx >= 0 && dy >= 0 && dx < box.w && dy < box.h) value = box.level + (Math.floor(dy / 8) % 2) * 20;
        }
        const at = y * FRAME_WIDTH + x;
        out[at] = Math.max(0, Math.min(255, Math.round(value * light(x, y) + this.#noise[from + at]!)));
      }
    }
    return out;
  }
}
