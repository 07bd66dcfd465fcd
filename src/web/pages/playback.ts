import type { StreamMessage } from '../../contract/http.js';
import { getStream, inWords } from './api.js';
import { canPlay, Feed } from './mse.js';

/** Kinds of frames of `GET /playback`. */
const MESSAGE = 1;
const FRAME_HEADER = 5;
/** The first segment may start before what was asked; its times must not become negative. */
const LEAD_MS = 120_000;
/** One request covers so much; then the next one follows. */
const REACH_MS = 30 * 60_000;
const AHEAD_S = 40;
const KEEP_S = 60;
const TICK_MS = 200;
const STALLED_TICKS = 3;

export interface PlaybackEvents {
  /** Wall clock of the shown picture moved. */
  at(ms: number): void;
  gap(fromMs: number, toMs: number, reason: string): void;
  waiting(waiting: boolean): void;
  failed(what: string, fix: string): void;
  /** The newest footage was reached. */
  caughtUp(): void;
}

/** Plays footage of one camera from a moment on, reading ahead no more than is needed. */
export class PlaybackView {
  readonly #video: HTMLVideoElement;
  readonly #camera: string;
  readonly #role: 'main' | 'sub';
  readonly #events: PlaybackEvents;
  readonly #abort = new AbortController();
  readonly #feed: Feed;
  readonly #fromMs: number;
  readonly #toMs: number;
  readonly #baseMs: number;
  readonly #tick: ReturnType<typeof setInterval>;
  #started = false;
  #broken = false;
  #lastAt = -1;
  #still = 0;
  #finished = false;
  #skipped = new Set<number>();
  #gaps: { fromMs: number; toMs: number; reason: string }[] = [];

  constructor(
    video: HTMLVideoElement,
    camera: string,
    role: 'main' | 'sub',
    fromMs: number,
    nowMs: number,
    events: PlaybackEvents,
  ) {
    this.#video = video;
    this.#camera = camera;
    this.#role = role;
    this.#events = events;
    this.#fromMs = fromMs;
    this.#toMs = Math.max(fromMs + 1000, Math.min(nowMs, fromMs + REACH_MS));
    this.#baseMs = fromMs - LEAD_MS;
    this.#feed = new Feed(video, (why) => events.failed(why, ''));
    this.#tick = setInterval(() => this.#step(), TICK_MS);
    void this.#read();
  }

  get shownAt(): number {
    return this.#started ? this.#baseMs + this.#video.currentTime * 1000 : this.#fromMs;
  }

  close(): void {
    clearInterval(this.#tick);
    this.#abort.abort();
    this.#feed.close();
  }

  async #read(): Promise<void> {
    this.#events.waiting(true);
    const query = {
      camera: this.#camera,
      role: this.#role,
      from: new Date(this.#fromMs).toISOString(),
      to: new Date(this.#toMs).toISOString(),
    };
    try {
      const response = await getStream('/playback', query, this.#abort.signal);
      for await (const frame of frames(response.body!)) {
        if (frame.kind !== MESSAGE) this.#feed.append(frame.payload);
        else if (!this.#message(JSON.parse(new TextDecoder().decode(frame.payload)) as StreamMessage)) return;
        await this.#room();
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      // What is here is played; then it is asked for again.
      if (this.#started) return void (this.#broken = true);
      const { what, fix } = inWords(error);
      this.#events.failed(what, fix);
    }
  }

  /** False: it cannot go on. */
  #message(message: StreamMessage): boolean {
    if (message.type === 'run') {
      if (!canPlay(message.mime)) {
        this.#events.failed(message.codec, '');
        return false;
      }
      this.#feed.run(message.mime, (message.zeroMs - this.#baseMs) / 1000);
    } else if (message.type === 'gap') {
      this.#gaps.push(message);
    } else if (message.type === 'end') {
      this.#finished = true;
      this.#feed.end();
    }
    return true;
  }

  /** Waits while enough is read ahead: what is not read stays on the box. */
  async #room(): Promise<void> {
    const full = (): boolean => this.#feed.lastEnd - this.#video.currentTime > AHEAD_S && this.#started;
    while (!this.#abort.signal.aborted && (this.#feed.waiting > 20 || full())) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #step(): void {
    const video = this.#video;
    if (!this.#started) this.#begin();
    if (!this.#started) return;
    this.#skipHole();
    this.#feed.trim(video.currentTime - KEEP_S);
    this.#events.waiting(!video.paused && video.readyState < 3 && !this.#finished);
    this.#events.at(this.shownAt);
    if (this.#broken && this.#feed.waiting === 0 && this.#feed.ahead(video.currentTime) < 0.5) this.#events.caughtUp();
    if (this.#finished && this.#feed.waiting === 0 && (video.ended || video.currentTime >= this.#feed.lastEnd - 0.2)) {
      this.#events.caughtUp();
    }
  }

  #begin(): void {
    const wanted = (this.#fromMs - this.#baseMs) / 1000;
    if (this.#video.buffered.length === 0) {
      if (this.#finished && this.#feed.waiting === 0) this.#nothing();
      return;
    }
    const inside = this.#feed.ahead(wanted) > 0;
    const start = inside ? wanted : this.#feed.nextStart(wanted);
    if (start === null) return;
    this.#started = true;
    this.#video.currentTime = start;
    this.#video.play().catch(() => undefined);
    this.#events.waiting(false);
    const gap = this.#gaps[0];
    if (!inside && gap !== undefined) this.#events.gap(gap.fromMs, gap.toMs, gap.reason);
  }

  #nothing(): void {
    clearInterval(this.#tick);
    const gap = this.#gaps[0];
    this.#events.waiting(false);
    this.#events.gap(this.#fromMs, this.#toMs, gap?.reason ?? 'unknown');
  }

  #skipHole(): void {
    const at = this.#video.currentTime;
    this.#still = at === this.#lastAt && !this.#video.paused ? this.#still + 1 : 0;
    this.#lastAt = at;
    // Before a hole a decoder may stop a few pictures early, because it waits for the ones behind them.
    if (this.#feed.ahead(at) > (this.#still >= STALLED_TICKS ? 2 : 0.15)) return;
    const next = this.#feed.nextStart(at + 0.1);
    if (next === null || this.#skipped.has(next)) return;
    this.#skipped.add(next);
    const wall = this.#baseMs + at * 1000;
    const gap = this.#gaps.find((g) => g.toMs > wall);
    this.#video.currentTime = next + 0.02;
    if (gap !== undefined && next - at > 1) this.#events.gap(gap.fromMs, gap.toMs, gap.reason);
  }
}

interface Frame {
  kind: number;
  payload: Uint8Array<ArrayBuffer>;
}

/** Cuts a byte stream into frames: kind (1 byte), length (4 bytes, big-endian), payload. */
export async function* frames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame> {
  const reader = body.getReader();
  const header = new Uint8Array(FRAME_HEADER);
  let inHeader = 0;
  let payload: Uint8Array<ArrayBuffer> | null = null;
  let filled = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    for (let at = 0; at < value.length || (payload !== null && filled === payload.length);) {
      if (payload === null) {
        header[inHeader++] = value[at++]!;
        if (inHeader < FRAME_HEADER) continue;
        payload = new Uint8Array(new DataView(header.buffer).getUint32(1));
        filled = 0;
        continue;
      }
      const part = value.subarray(at, at + payload.length - filled);
      payload.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < payload.length) break;
      yield { kind: header[0]!, payload };
      payload = null;
      inHeader = 0;
    }
  }
}
