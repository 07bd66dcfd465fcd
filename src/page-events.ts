import type { PageEvent } from './contract/http.js';

/** What pages that are open are told as it happens. */
export class PageEvents {
  readonly #listeners = new Set<(event: PageEvent) => void>();

  /** False: nobody listens, and nothing needs to be put together to be told. */
  get heard(): boolean {
    return this.#listeners.size > 0;
  }

  subscribe(listener: (event: PageEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(event: PageEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
