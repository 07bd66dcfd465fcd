const FIRST_BYTES = 16 * 1024;

/** Things with their bytes, copied into one memory that is used again after `clear`. */
export class Keep<T> {
  #memory = new Uint8Array(0);
  #filled = 0;
  #items: { what: T; start: number; end: number }[] = [];

  get bytes(): number {
    return this.#filled;
  }

  get count(): number {
    return this.#items.length;
  }

  add(what: T, bytes: Uint8Array): void {
    const end = this.#filled + bytes.length;
    if (end > this.#memory.length) {
      const larger = new Uint8Array(Math.max(FIRST_BYTES, end, Math.ceil(this.#memory.length * 1.5)));
      larger.set(this.#memory.subarray(0, this.#filled));
      this.#memory = larger;
    }
    this.#memory.set(bytes, this.#filled);
    this.#items.push({ what, start: this.#filled, end });
    this.#filled = end;
  }

  /** In the order in which they came. The bytes are valid until the next `add` or `clear`. */
  items(): { what: T; bytes: Uint8Array }[] {
    return this.#items.map(({ what, start, end }) => ({ what, bytes: this.#memory.subarray(start, end) }));
  }

  clear(): void {
    this.#items = [];
    this.#filled = 0;
  }

  /** As `clear`, and gives the memory up. */
  release(): void {
    this.clear();
    this.#memory = new Uint8Array(0);
  }
}
