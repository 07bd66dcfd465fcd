import type { Log } from '../base/log.js';
import type { Processes, RunningProcess } from '../base/processes.js';
import { buildFragment, buildInit } from '../media/mp4.js';
import { concatBytes, joinNals } from '../media/nal.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { FRAME_BYTES, FRAME_HEIGHT, FRAME_WIDTH } from './grid.js';

/** What may wait for the decoder before it counts as behind. */
const MAX_WAITING_FRAMES = 150;
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

/**
 * Access units go in as fragmented MP4, one fragment each: so the decoder knows where a picture ends without waiting
 * for the next one. The second `-threads 1` keeps the raw "encoder" from holding a picture back, and `flush_packets`
 * the output buffer: together one picture in is one picture out, within milliseconds.
 */
const ARGS = [
  ...['-hide_banner', '-nostdin', '-v', 'error', '-threads', '1', '-flags', 'low_delay'],
  ...['-probesize', '32', '-analyzeduration', '0', '-f', 'mp4', '-i', 'pipe:0'],
  ...['-map', '0:v:0', '-vf', `scale=${FRAME_WIDTH}:${FRAME_HEIGHT}:flags=area`, '-filter_threads', '1'],
  ...['-pix_fmt', 'gray', '-fps_mode', 'passthrough', '-threads', '1', '-flush_packets', '1'],
  ...['-f', 'rawvideo', 'pipe:1'],
];

interface Waiting<T> {
  pts: number;
  tag: T;
}

export interface DecoderOptions<T> {
  processes: Processes;
  log: Log;
  format: VideoFormat;
  /** The picture is valid during the call only. */
  onFrame: (tag: T, gray: Uint8Array) => void;
  /** The decoder is gone without having been closed; what waited in it is lost. */
  onFailed: (lost: T[]) => void;
}

/** One ffmpeg child that turns access units into 320x180 gray pictures, in order of presentation. */
export class Decoder<T> {
  readonly #options: DecoderOptions<T>;
  readonly #child: RunningProcess;
  /** Sorted by presentation time: pictures come out in this order. */
  readonly #waiting: Waiting<T>[] = [];
  readonly #picture = new Uint8Array(FRAME_BYTES);
  readonly #sets: Uint8Array;
  #filled = 0;
  #index = 0;
  #closed = false;
  #complaint = '';

  constructor(options: DecoderOptions<T>) {
    this.#options = options;
    this.#sets = joinNals(options.format.parameterSets);
    this.#child = options.processes.start({ command: 'ffmpeg', args: ARGS });
    this.#child.stdout.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString('utf8')).slice(-500);
    });
    this.#child.stdin.write(buildInit(options.format));
    void this.#child.ended.then((end) => {
      if (this.#closed) return;
      this.#closed = true;
      const reason = end.error?.message ?? this.#complaint.trim();
      options.log.warn({ code: end.code, signal: end.signal, reason }, 'the motion decoder ended by itself');
      options.onFailed(this.#waiting.splice(0).map((one) => one.tag));
    });
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** False if it is behind: then the unit was not taken, and nothing may follow it before the next key frame. */
  feed(unit: AccessUnit, tag: T): boolean {
    if (this.#closed || this.#waiting.length >= MAX_WAITING_FRAMES) return false;
    if (this.#child.stdin.writableLength > MAX_WAITING_BYTES) return false;
    // Key frames carry the parameter sets: pictures of several cameras may share a decoder.
    const data = unit.key ? concatBytes([this.#sets, unit.data]) : unit.data;
    this.#enqueue(unit.pts, tag);
    this.#child.stdin.write(buildFragment(this.#index++, [{ ...unit, data }]));
    return true;
  }

  /** Gives what still waited in it. */
  close(): T[] {
    if (this.#closed) return [];
    this.#closed = true;
    this.#child.kill();
    return this.#waiting.splice(0).map((one) => one.tag);
  }

  #enqueue(pts: number, tag: T): void {
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.pts > pts) at--;
    this.#waiting.splice(at, 0, { pts, tag });
  }

  #read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#closed;) {
      const taken = Math.min(FRAME_BYTES - this.#filled, chunk.length - at);
      this.#picture.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled < FRAME_BYTES) continue;
      this.#filled = 0;
      const first = this.#waiting.shift();
      if (first !== undefined) this.#options.onFrame(first.tag, this.#picture);
    }
  }
}
