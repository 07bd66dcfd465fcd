import type { Blob } from './blobs.js';

const SMALL = 80;
const MANY = 5;
const LIMIT = 160;
const SECONDS = 3;

/** Rain and snow: many small blobs at once that are new in every frame. Says below what area a blob is one of them. */
export class Weather {
  #count = 0;
  /** Seconds that it has been watched: the first moments decide as well as they can. */
  #age = 0;
  #largest = 0;

  /** The least area of a blob that counts. */
  get least(): number {
    return this.#count > MANY ? Math.min(LIMIT, 1.5 * this.#largest) : 0;
  }

  observe(blobs: readonly Blob[], seconds: number): void {
    let count = 0;
    let largest = 0;
    for (const blob of blobs) {
      if (blob.area >= SMALL || blob.changed <= 0.5) continue;
      count++;
      largest = Math.max(largest, blob.area);
    }
    this.#age += seconds;
    const a = 1 - Math.exp(-seconds / Math.min(SECONDS, this.#age));
    this.#count += a * (count - this.#count);
    this.#largest = largest > this.#largest ? largest : this.#largest + a * (largest - this.#largest);
  }
}
