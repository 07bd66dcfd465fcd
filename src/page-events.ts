import type { PageEvent } from './contract/http.js';

/** What pages that are open are told as it happens. */
export class PageEvents {
  readonly #listeners = new Set<(event: PageEvent) => void>();

  subscribe(listener: (event: PageEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(event: PageEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
