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
 * stderr, so that one that cannot be decoded does not shift the times of all that follow. Pictures with odd times are
 * decoded because others follow from them, and go no further. The deblocking filter is a quarter of the decoding of a
 * key frame; what it smooths is finer than a cell of the detector, and what adds up without it to the next key frame
 * was not seen to count, with groups of 10 s at 150 kbit/s either.
 */
const ARGS = [
  ...['-hide_banner', '-nostdin', '-v', 'error', '-threads', '1', '-flags', 'low_delay', '-copyts'],
  ...['-skip_loop_filter', 'all', '-probesize', '32', '-analyzeduration', '0', '-f', 'mp4', '-i', 'pipe:0'],
  ...['-map', '0:v:0', '-filter_threads', '1'],
  ...['-vf', `select=not(mod(pts\\,2)),scale=${FRAME_WIDTH}:${FRAME_HEIGHT}:flags=area`],
  ...['-c:v', 'rawvideo', '-pix_fmt', 'gray', '-fps_mode', 'passthrough', '-enc_time_base', `1:${TIMESCALE}`],
  ...['-threads', '1', '-f', 'tee', '[f=framecrc:flush_packets=1]pipe:2|[f=rawvideo:flush_packets=1]pipe:1'],
];
/** A line of ffmpeg's framecrc: stream, dts, pts, duration, size, checksum. It may stand behind the start of a complaint. */
const STAMP = new RegExp(`0, +-?\\d+, +(-?\\d+), +\\d+, +${FRAME_BYTES}, 0x[0-9a-f]{8}$`);
const LONGEST_LINE = 2_000;

/** Gets the picture, which is valid during the call only; nothing if it could not be decoded. */
export type Take = (gray: Uint8Array | undefined) => void;

interface Waiting {
  pts: number;
  take: Take;
}

export interface DecoderOptions {
  processes: Processes;
  log: Log;
  /** Of the first pictures; others must have the same codec and should have the same size. */
  format: VideoFormat;
  /** The decoder is gone without having been closed. Whoever waited for a picture was told before. */
  onFailed: () => void;
  /** How many pictures may wait in it. */
  maxWaiting?: number;
}

/** One ffmpeg child that turns access units into 320x180 gray pictures, in order of presentation. */
export class Decoder {
  readonly #options: DecoderOptions;
  readonly #child: RunningProcess;
  /** Sorted by presentation time: pictures come out in this order. */
  #waiting: Waiting[] = [];
  readonly #picture = new Uint8Array(FRAME_BYTES);
  /** Presentation times of the pictures that come next, and bytes of pictures whose time is not known yet. */
  readonly #stamps: number[] = [];
  readonly #unread: Buffer[] = [];
  /** The decoder's clock, which runs on from stream to stream: where it stands, and how far a stream's is behind it. */
  #now = 0;
  #offset: number | undefined;
  #reorders = false;
  #line = '';
  #filled = 0;
  #index = 0;
  #closed = false;
  #finishing = false;
  #complaint = '';

  constructor(options: DecoderOptions) {
    this.#options = options;
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
      this.#lose();
      if (this.#finishing && end.code === 0) return;
      const reason = end.error?.message ?? this.#complaint.trim();
      options.log.warn({ code: end.code, signal: end.signal, reason }, 'the motion decoder ended by itself');
      options.onFailed();
    });
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether it may go on with another stream: one that has put pictures in order keeps pictures back from then on. */
  get reusable(): boolean {
    return !this.#closed && !this.#reorders;
  }

  /** What follows is of another stream, or of another time of it, and begins with a key frame. */
  cut(): void {
    this.#offset = undefined;
  }

  /**
   * False if it is behind: then the unit was not taken, and nothing may follow it before the next key frame. Without
   * `take` it is decoded only because others follow from it.
   */
  feed(format: VideoFormat, unit: AccessUnit, take: Take | undefined): boolean {
    if (this.#closed || this.#waiting.length >= (this.#options.maxWaiting ?? MAX_WAITING_FRAMES)) return false;
    if (this.#child.stdin.writableLength > MAX_WAITING_BYTES) return false;
    const fresh = this.#offset === undefined;
    this.#offset ??= this.#now - unit.dts;
    const [dts, duration] = [2 * (unit.dts + this.#offset), 2 * unit.duration];
    const pts = 2 * (unit.pts + this.#offset) + (take === undefined ? 1 : 0);
    this.#now = Math.max(this.#now, unit.dts + this.#offset + Math.max(1, unit.duration));
    this.#reorders ||= unit.pts !== unit.dts;
    // Key frames carry the parameter sets: pictures of several cameras may share a decoder.
    const data = unit.key ? concatBytes([joinNals(headOf(format, fresh)), unit.data]) : unit.data;
    if (take !== undefined) this.#enqueue(pts, take);
    this.#child.stdin.write(buildFragment(this.#index++, [{ ...unit, data, dts, pts, duration }]));
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

  /** Whoever waits for a picture is told that it will not come. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#child.kill();
    this.#lose();
  }

  #lose(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { take } of waiting) take(undefined);
  }

  #enqueue(pts: number, take: Take): void {
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.pts > pts) at--;
    this.#waiting.splice(at, 0, { pts, take });
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
    while (this.#waiting.length > 0 && this.#waiting[0]!.pts < pts) this.#waiting.shift()!.take(undefined);
    this.#waiting.shift()?.take(this.#picture);
  }
}

/** End of sequence (Rec. ITU-T H.265, 7.4.2.4.4 and 8.1.3): pictures that lead the first key frame have nothing to follow from. */
const H265_END_OF_SEQUENCE = Uint8Array.of(36 << 1, 1);

function headOf({ codec, parameterSets }: VideoFormat, fresh: boolean): Uint8Array[] {
  return codec === 'h265' && fresh ? [H265_END_OF_SEQUENCE, ...parameterSets] : parameterSets;
}
