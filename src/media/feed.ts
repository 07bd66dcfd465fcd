import type { Fragment, GapReason, RunStart } from './stream.js';

/** What goes from the media thread to the ring thread, in this order per stream: run, fragments, end. */
export type FeedMessage =
  | { kind: 'run'; start: RunStart }
  | { kind: 'fragment'; stream: string; run: string; fragment: Fragment }
  | { kind: 'end'; stream: string; run: string | undefined; reason: GapReason; detail: string };

/** What comes back: bytes that the ring has taken off the queue, and the memory that they lay in. */
export interface FeedAck {
  taken: number;
  memory: ArrayBuffer[];
}

interface Flow {
  start: RunStart;
  /** Run id under which the ring knows what is being fed; undefined while fragments are dropped. */
  feeding: string | undefined;
}

export interface FeedOptions {
  /** `memory` goes with the messages: it is not ours any more afterwards. */
  post: (messages: FeedMessage[], memory: ArrayBuffer[]) => void;
  /** Runs what it is given when everything that is at hand has been worked off. */
  later: (work: () => void) => void;
  /** Bytes that may wait for the disk, of all streams together. */
  limitBytes: number;
  newRunId: () => string;
}

/**
 * The queue between the cameras and the disk, bounded in bytes. While the disk does not keep up, whole groups of
 * pictures are dropped and recorded as a gap `disk_slow`; recording goes on at the next key frame once half is free.
 */
export class Feed {
  #options: FeedOptions;
  #flows = new Map<string, Flow>();
  #waiting = 0;
  #outgoing: FeedMessage[] = [];

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get waitingBytes(): number {
    return this.#waiting;
  }

  run(start: RunStart): void {
    this.#flows.set(start.stream, { start, feeding: start.run });
    this.#send({ kind: 'run', start });
  }

  fragment(stream: string, run: string, fragment: Fragment): void {
    const flow = this.#flows.get(stream);
    if (flow === undefined || flow.start.run !== run) return;
    if (flow.feeding !== undefined && this.#waiting + fragment.bytes.length > this.#options.limitBytes) {
      const detail = `${Math.round(this.#waiting / 1e6)} MB wait for the disk`;
      this.#send({ kind: 'end', stream, run: flow.feeding, reason: 'disk_slow', detail });
      flow.feeding = undefined;
    }
    if (flow.feeding === undefined && !this.#resume(flow, fragment)) return;
    this.#waiting += fragment.bytes.length;
    this.#send({ kind: 'fragment', stream, run: flow.feeding!, fragment });
  }

  end(stream: string, run: string | undefined, reason: GapReason, detail: string): void {
    const flow = this.#flows.get(stream);
    if (run !== undefined && flow?.start.run === run) this.#flows.delete(stream);
    const known = flow?.start.run === run ? flow?.feeding : run;
    this.#send({ kind: 'end', stream, run: known, reason, detail });
  }

  ack(ack: FeedAck): void {
    this.#waiting -= ack.taken;
  }

  /** Sends what is gathered at once. */
  flush(): void {
    if (this.#outgoing.length === 0) return;
    const messages = this.#outgoing;
    this.#outgoing = [];
    const memory = messages.flatMap((message) => (message.kind === 'fragment' ? memoryOf(message.fragment) : []));
    this.#options.post(messages, memory);
  }

  /** Together with others: each message by itself would wake the other thread. */
  #send(message: FeedMessage): void {
    this.#outgoing.push(message);
    if (this.#outgoing.length === 1) this.#options.later(() => this.flush());
  }

  /** A new run of the ring from a key frame on; true if the fragment may be fed. */
  #resume(flow: Flow, fragment: Fragment): boolean {
    if (!fragment.key || this.#waiting > this.#options.limitBytes / 2) return false;
    flow.feeding = this.#options.newRunId();
    const { wallMs, monoMs } = fragment;
    this.#send({ kind: 'run', start: { ...flow.start, run: flow.feeding, wallMs, monoMs } });
    return true;
  }
}

/** Video is moved between threads, not copied. */
export function memoryOf({ bytes }: Fragment): ArrayBuffer[] {
  return bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
}
