import type { Grant } from '../contract/grant.js';
import { streamId } from '../contract/primitives.js';
import { LiveFan, type LiveListener, type LiveMessage } from './live.js';

export interface LivePorts {
  /** Asks the media thread to send, or to send no more, what it has of a stream. */
  watch(stream: string, on: boolean): void;
}

/** The main thread's side: the media thread sends a stream only while somebody watches it. */
export class LiveHub {
  #fan = new LiveFan();
  #ports: LivePorts;

  constructor(ports: LivePorts) {
    this.#ports = ports;
  }

  take(message: LiveMessage): void {
    if (this.#fan.watched(message.stream) > 0) this.#fan.take(message);
  }

  /** Who leaves pictures out of the box comes with a grant. Returns the unsubscription. */
  subscribe(grant: Grant, role: 'main' | 'sub', listener: LiveListener): () => void {
    const stream = streamId(grant.camera, role);
    const first = this.#fan.watched(stream) === 0;
    const leave = this.#fan.subscribe(stream, listener);
    if (first) this.#ports.watch(stream, true);
    return () => {
      if (this.#fan.watched(stream) === 0) return;
      leave();
      if (this.#fan.watched(stream) > 0) return;
      this.#ports.watch(stream, false);
      this.#fan.forget(stream);
    };
  }
}
