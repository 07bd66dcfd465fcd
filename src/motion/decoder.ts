import type { Log } from '../base/log.js';
import type { Processes, RunningProcess } from '../base/processes.js';
import { buildFragment, buildInit } from '../media/mp4.js';
import { concatBytes, joinNals } from '../media/nal.js';
import { TIMESCALE, type AccessUnit, type VideoFormat } from '../media/stream.js';
import { FRAME_BYTES, FRAME_HEIGHT, FRAME_WIDTH } from './grid.js';

/** What may wait for the decoder before it counts as behind. */
const MAX_WAITING_FRAMES = 150;
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

/**
 * Access units go in as fragmented MP4, one fragment each: so the decoder knows where a picture ends without waiting
 * for the next one. The second `-threads 1` keeps the raw "encoder" from holding a picture back, and `flush_packets`
 * the output buffer: together one picture in is one picture out, within milliseconds. Which picture it is stands on
 * stderr, so that one that cannot be decoded does not shift the times of all that follow.
 */
const ARGS = [
  ...['-hide_banner', '-nostdin', '-v', 'error', '-threads', '1', '-flags', 'low_delay', '-copyts'],
  ...['-probesize', '32', '-analyzeduration', '0', '-f', 'mp4', '-i', 'pipe:0'],
  ...['-map', '0:v:0', '-vf', `scale=${FRAME_WIDTH}:${FRAME_HEIGHT}:flags=area`, '-filter_threads', '1'],
  ...['-c:v', 'rawvideo', '-pix_fmt', 'gray', '-fps_mode', 'passthrough', '-enc_time_base', `1:${TIMESCALE}`],
  ...['-threads', '1', '-f', 'tee', '[f=framecrc:flush_packets=1]pipe:2|[f=rawvideo:flush_packets=1]pipe:1'],
];
/** A line of ffmpeg's framecrc: stream, dts, pts, duration, size, checksum. It may stand behind the start of a complaint. */
const STAMP = new RegExp(`0, +-?\\d+, +(-?\\d+), +\\d+, +${FRAME_BYTES}, 0x[0-9a-f]{8}$`);
const LONGEST_LINE = 2_000;

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
  /** A later picture is out: this one could not be decoded. */
  onLost: (tag: T) => void;
  /** The decoder is gone without having been closed; what waited in it is lost. */
  onFailed: (lost: T[]) => void;
  /** How many pictures may wait in it. */
  maxWaiting?: number;
}

/** One ffmpeg child that turns access units into 320x180 gray pictures, in order of presentation. */
export class Decoder<T> {
  readonly #options: DecoderOptions<T>;
  readonly #child: RunningProcess;
  /** Sorted by presentation time: pictures come out in this order. */
  readonly #waiting: Waiting<T>[] = [];
  readonly #picture = new Uint8Array(FRAME_BYTES);
  readonly #sets: Uint8Array;
  /** Presentation times of the pictures that come next, and bytes of pictures whose time is not known yet. */
  readonly #stamps: number[] = [];
  readonly #unread: Buffer[] = [];
  #line = '';
  #filled = 0;
  #index = 0;
  #closed = false;
  #finishing = false;
  #complaint = '';

  constructor(options: DecoderOptions<T>) {
    this.#options = options;
    this.#sets = joinNals(options.format.parameterSets);
    this.#child = options.processes.start({ command: 'ffmpeg', args: ARGS });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#unread.push(chunk);
      this.#read();
    });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#listen(chunk.toString('latin1'));
      this.#read();
    });
    this.#child.stdin.write(buildInit(options.format));
    void this.#child.ended.then((end) => {
      if (this.#closed) return;
      this.#closed = true;
      if (this.#finishing && end.code === 0) {
        for (const one of this.#waiting.splice(0)) options.onLost(one.tag);
        return;
      }
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
    if (this.#closed || this.#waiting.length >= (this.#options.maxWaiting ?? MAX_WAITING_FRAMES)) return false;
    if (this.#child.stdin.writableLength > MAX_WAITING_BYTES) return false;
    // Key frames carry the parameter sets: pictures of several cameras may share a decoder.
    const data = unit.key ? concatBytes([this.#sets, unit.data]) : unit.data;
    this.#enqueue(unit.pts, tag);
    this.#child.stdin.write(buildFragment(this.#index++, [{ ...unit, data }]));
    return true;
  }

  /** Resolves when it has read almost all that was fed, or is gone. */
  async taken(): Promise<void> {
    const { stdin } = this.#child;
    if (this.#closed || !stdin.writableNeedDrain) return;
    const drained = new Promise<void>((resolve) => stdin.once('drain', resolve));
    await Promise.race([drained, this.#child.ended]);
  }

  /** Nothing more will be fed: gives what it keeps back, then it is gone. */
  async finish(): Promise<void> {
    this.#finishing = true;
    this.#child.stdin.end();
    await this.#child.ended;
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

  #listen(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop()!.slice(-LONGEST_LINE);
    for (const line of lines) {
      const stamp = STAMP.exec(line)?.[1];
      if (stamp !== undefined) this.#stamps.push(Number(stamp));
      else if (!line.startsWith('#')) this.#complaint = `${this.#complaint}${line}\n`.slice(-500);
    }
  }

  #read(): void {
    while (!this.#closed) {
      if (this.#filled === FRAME_BYTES) {
        const pts = this.#stamps.shift();
        if (pts === undefined) return;
        this.#filled = 0;
        this.#give(pts);
        continue;
      }
      const chunk = this.#unread.shift();
      if (chunk === undefined) return;
      const taken = Math.min(FRAME_BYTES - this.#filled, chunk.length);
      this.#picture.set(chunk.subarray(0, taken), this.#filled);
      this.#filled += taken;
      if (taken < chunk.length) this.#unread.unshift(chunk.subarray(taken));
    }
  }

  /** Pictures come in order of presentation: what should have come before this one will not come. */
  #give(pts: number): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.pts < pts) this.#options.onLost(this.#waiting.shift()!.tag);
    const first = this.#waiting.shift();
    if (first !== undefined) this.#options.onFrame(first.tag, this.#picture);
  }
}
