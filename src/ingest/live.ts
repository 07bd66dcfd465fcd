import { Keep } from '../media/keep.js';
import { TIMESCALE, type Fragment, type RunStart } from '../media/stream.js';

/** What a viewer needs of a run. */
export interface LiveRun {
  run: string;
  codec: string;
  width: number;
  height: number;
  /** Wall clock of decode time 0 of this run, ms since 1970. */
  zeroMs: number;
  init: Uint8Array;
}

export interface LiveFragment {
  key: boolean;
  bytes: Uint8Array;
}

export type LiveMessage =
  | { stream: string; kind: 'run'; run: LiveRun }
  | { stream: string; kind: 'fragment'; fragment: LiveFragment }
  | { stream: string; kind: 'paused'; reason: string; detail: string };

export interface LiveListener {
  run(run: LiveRun): void;
  /** The bytes are the listener's to keep. */
  fragment(fragment: LiveFragment): void;
  paused(reason: string, detail: string): void;
}

interface Newest {
  run: LiveRun | undefined;
  /** Since the newest key frame, so that a viewer sees a picture at once. */
  group: Keep<{ key: boolean }>;
  paused: { reason: string; detail: string };
}

/**
 * Live view out of the ingest that records: no further session to the camera. Stands in the media thread and again,
 * for streams that are watched, in the main thread; both times it gives a new viewer the newest group of pictures.
 */
export class LiveFan {
  #streams = new Map<string, Newest>();
  #listeners = new Map<string, Set<LiveListener>>();

  take(message: LiveMessage): void {
    const newest = this.#newest(message.stream);
    if (message.kind === 'run') {
      newest.run = message.run;
      newest.group.clear();
    } else if (message.kind === 'fragment') {
      const { key, bytes } = message.fragment;
      if (key) newest.group.clear();
      newest.group.add({ key }, bytes);
    } else {
      newest.run = undefined;
      newest.group.release();
      newest.paused = { reason: message.reason, detail: message.detail };
    }
    for (const listener of this.#listeners.get(message.stream) ?? []) deliver(listener, message);
  }

  run(start: RunStart): void {
    const { run, init, wallMs, format } = start;
    const live = { run, codec: format.codecString, width: format.width, height: format.height, zeroMs: wallMs, init };
    this.take({ stream: start.stream, kind: 'run', run: live });
  }

  /** The fragment stays the caller's: what is kept or told of it are copies. */
  fragment(stream: string, fragment: Fragment): void {
    const newest = this.#streams.get(stream);
    // The camera's clock drifts against the box's: who comes later reckons from what is newest.
    if (newest?.run !== undefined) {
      newest.run = { ...newest.run, zeroMs: fragment.wallMs - fragment.decodeTime / (TIMESCALE / 1000) };
    }
    const bytes = this.watched(stream) > 0 ? fragment.bytes.slice() : fragment.bytes;
    this.take({ stream, kind: 'fragment', fragment: { key: fragment.key, bytes } });
  }

  /** Number of viewers of a stream. */
  watched(stream: string): number {
    return this.#listeners.get(stream)?.size ?? 0;
  }

  /** What is known is delivered before this returns. Returns the unsubscription. */
  subscribe(stream: string, listener: LiveListener): () => void {
    const listeners = this.#listeners.get(stream) ?? new Set();
    this.#listeners.set(stream, listeners.add(listener));
    const newest = this.#streams.get(stream);
    if (newest?.run !== undefined) {
      listener.run(newest.run);
      for (const { what, bytes } of newest.group.items()) listener.fragment({ key: what.key, bytes: bytes.slice() });
    } else if (newest !== undefined) {
      listener.paused(newest.paused.reason, newest.paused.detail);
    }
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(stream);
    };
  }

  forget(stream: string): void {
    this.#streams.delete(stream);
  }

  #newest(stream: string): Newest {
    const known = this.#streams.get(stream) ?? {
      run: undefined,
      group: new Keep(),
      paused: { reason: 'starting', detail: 'waiting for the camera' },
    };
    this.#streams.set(stream, known);
    return known;
  }
}

function deliver(listener: LiveListener, message: LiveMessage): void {
  if (message.kind === 'run') listener.run(message.run);
  else if (message.kind === 'fragment') listener.fragment(message.fragment);
  else listener.paused(message.reason, message.detail);
}
