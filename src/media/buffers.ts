/** Sizes that are kept are powers of two from here on, so that what one stream gives back fits another. */
const SMALLEST = 16 * 1024;

/**
 * Memory that is used again. Video that passes through would leave megabytes a second to the garbage collector, which
 * then runs all the time; what is handed back here never gets that far.
 */
export class BufferPool {
  readonly #limitBytes: number;
  readonly #free = new Map<number, ArrayBuffer[]>();
  #kept = 0;

  /** `limitBytes`: what lies here unused at most; more is left to the garbage collector. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get keptBytes(): number {
    return this.#kept;
  }

  /** At least so many bytes, with whatever was in them before. */
  take(bytes: number): ArrayBuffer {
    const size = sizeFor(bytes);
    const kept = this.#free.get(size)?.pop();
    if (kept === undefined) return new ArrayBuffer(size);
    this.#kept -= size;
    return kept;
  }

  /** Nobody may use it any more. Memory that is not from a pool is left alone. */
  give(buffer: ArrayBuffer): void {
    const size = buffer.byteLength;
    if (size < SMALLEST || size !== sizeFor(size) || this.#kept + size > this.#limitBytes) return;
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [buffer]);
    else list.push(buffer);
    this.#kept += size;
  }
}

function sizeFor(bytes: number): number {
  return bytes <= SMALLEST ? SMALLEST : 2 ** Math.ceil(Math.log2(bytes));
}
