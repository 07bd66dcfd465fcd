/** How many times its usual deviation a picture must be larger than usual, and for how many in a row. */
const SPIKE = 5;
const LEAST_RATIO = 1.5;
const IN_A_ROW = 2;
const SECONDS = 20;

/**
 * The usual size of a stream's predicted pictures. A spike is a reason to look before the next key frame comes;
 * silence proves nothing, because rate control and noise hide movement.
 */
export class SizeHabit {
  #mean = 0;
  #stray = 0;
  #seen = 0;
  #spikes = 0;

  /** True when something makes the pictures larger than they use to be. */
  observe(bytes: number, seconds: number): boolean {
    this.#seen += seconds;
    const surprising = this.#seen > 4 && bytes > this.#mean + SPIKE * this.#stray && bytes > LEAST_RATIO * this.#mean;
    this.#spikes = surprising ? this.#spikes + 1 : 0;
    const a = 1 - Math.exp(-seconds / Math.min(SECONDS, Math.max(0.5, this.#seen)));
    // A spike counts for what is usual, but slowly: else one passage would hide the next.
    const weight = surprising ? 0.3 * a : a;
    this.#stray += weight * (Math.abs(bytes - this.#mean) - this.#stray);
    this.#mean += weight * (bytes - this.#mean);
    return this.#spikes >= IN_A_ROW;
  }

  reset(): void {
    this.#mean = this.#stray = this.#seen = this.#spikes = 0;
  }
}
