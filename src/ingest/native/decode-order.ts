/** A picture with its time of showing, in decoding order. */
interface Timed {
  pts: number;
}

export interface Ordered<T extends Timed> {
  picture: T;
  dts: number;
}

/** H.264 A.3.1 and H.265 A.4.2 allow no more pictures to be kept for reordering. */
const MAX_DEPTH = 16;

/**
 * RTP carries only the time at which a picture is shown. The time at which it is decoded follows from how far pictures
 * are reordered: with a depth of n, it is the smallest time of showing among the last n + 1 pictures. Without B-frames
 * (depth 0) both are the same, and nothing is kept.
 */
export class DecodeOrder<T extends Timed> {
  #depth = 0;
  /** The last n + 1 times of showing, ascending. */
  #window: number[] = [];
  /** In decoding order, to see by how many a picture is overtaken. */
  #recent: number[] = [];
  /** At the start, until the distance of pictures is known. */
  #held: T[] | undefined = [];

  /** `depth`: as the sequence parameter set says; before the first picture. */
  expect(depth: number): void {
    this.#depth = Math.min(depth, MAX_DEPTH);
  }

  /** Whether the picture is overtaken by more than was known. Then the depth grows and decode times start anew. */
  grows(pts: number): boolean {
    const overtaken = this.#recent.filter((one) => one > pts).length;
    this.#recent.push(pts);
    if (this.#recent.length > MAX_DEPTH) this.#recent.shift();
    if (overtaken <= this.#depth) return false;
    this.#depth = overtaken;
    this.#window = [];
    this.#held = [];
    return true;
  }

  /** Nothing that was before says anything about what comes. */
  restart(): void {
    this.#window = [];
    this.#recent = [];
    this.#held = [];
  }

  /** Whether `push` keeps the next picture for later. */
  get keeps(): boolean {
    return this.#depth > 0 && this.#held !== undefined;
  }

  /** The pictures whose decode time became known. */
  push(picture: T): Ordered<T>[] {
    if (this.#depth === 0) return [{ picture, dts: picture.pts }];
    if (this.#held === undefined) return [{ picture, dts: this.#slide(picture.pts) }];
    this.#held.push(picture);
    if (this.#held.length < this.#depth + 2) return [];
    const held = this.#held;
    this.#held = undefined;
    this.#prime(held);
    return held.map((one) => ({ picture: one, dts: this.#slide(one.pts) }));
  }

  /** Fills the window as if pictures at the same distance had gone before. */
  #prime(held: readonly T[]): void {
    const times = held.map((one) => one.pts).sort((a, b) => a - b);
    const steps = times.slice(1).map((time, index) => time - times[index]!).filter((step) => step > 0); // prettier-ignore
    const step = steps.length === 0 ? 1 : Math.min(...steps);
    this.#window = Array.from({ length: this.#depth }, (_, index) => times[0]! - (this.#depth - index) * step);
  }

  #slide(pts: number): number {
    let at = this.#window.length;
    while (at > 0 && this.#window[at - 1]! > pts) at--;
    this.#window.splice(at, 0, pts);
    return this.#window.shift()!;
  }
}
