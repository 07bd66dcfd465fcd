/** Reads bits of an RBSP from the most significant on. Beyond the end it reads 0, so that a cut unit cannot hang a parser. */
export class BitReader {
  readonly #data: Uint8Array;
  #bit = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  /** Whether more was read than there is. */
  get exhausted(): boolean {
    return this.#bit > this.#data.length * 8;
  }

  bit(): number {
    const byte = this.#data[this.#bit >> 3] ?? 0;
    const value = (byte >> (7 - (this.#bit & 7))) & 1;
    this.#bit++;
    return value;
  }

  /** Up to 32 bits. */
  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 2 + this.bit();
    return value;
  }

  skip(count: number): void {
    this.#bit += count;
  }

  /** ue(v): unsigned exp-Golomb (H.264 9.1, H.265 9.2). */
  ue(): number {
    let zeros = 0;
    while (zeros < 32 && !this.exhausted && this.bit() === 0) zeros++;
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  /** se(v): signed exp-Golomb. */
  se(): number {
    const code = this.ue();
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2;
  }
}
