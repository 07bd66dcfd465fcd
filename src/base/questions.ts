/** Questions to another thread that it answers by a message of its own, in any order. */
export class Questions<A> {
  readonly #open = new Map<number, (answer: A) => void>();
  #last = 0;

  /** `send` gets the number under which the answer has to come back. */
  ask(send: (ask: number) => void): Promise<A> {
    const ask = ++this.#last;
    return new Promise((resolve) => {
      this.#open.set(ask, resolve);
      send(ask);
    });
  }

  answer(ask: number, answer: A): void {
    this.#open.get(ask)?.(answer);
    this.#open.delete(ask);
  }
}
