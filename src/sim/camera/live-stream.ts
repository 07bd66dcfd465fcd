import { randomBytes } from 'node:crypto';
import { buildFrameStamp } from '../../media/sei.js';
import { TIMESCALE } from '../../media/stream.js';
import type { Clip } from './clip.js';
import type { CameraFaults, EncodingOptions } from './options.js';
import { packetise, senderReport, type RtpState } from './rtp.js';

/** One who watches a stream: gets every picture as ready packets on interleaved channel 0 (RTP) and 1 (RTCP). */
export interface Viewer {
  picture(packets: readonly Buffer[], key: boolean): void;
  report(packet: Buffer): void;
}

const REPORT_EVERY_MS = 5_000;

/** True wall time as captures are stamped: smooth between steps of the system's clock. */
export interface CaptureClock {
  /** Wall ms (with fraction) at a monotonic moment. */
  wallAt(monoMs: number): number;
}

/**
 * One encoding of one channel, running since the camera was switched on. Pictures are made into packets once,
 * however many watch; while nobody watches, only the frame number moves on.
 */
export class LiveStream {
  readonly #viewers = new Set<Viewer>();
  #rtp: RtpState;
  #timestampBase: number;
  #lastReportMono = -Infinity;
  #frozen: number | undefined;

  constructor(
    readonly name: string,
    readonly clip: Clip,
    readonly encoding: EncodingOptions,
    /** Frame of the loop that is captured first. */
    readonly firstFrame: number,
    private readonly faults: Readonly<CameraFaults>,
    private readonly random: () => number,
  ) {
    this.#rtp = newRtp();
    this.#timestampBase = randomBytes(4).readUInt32BE();
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  add(viewer: Viewer): void {
    this.#viewers.add(viewer);
    // So that a new viewer learns the time at once.
    this.#lastReportMono = -Infinity;
  }

  remove(viewer: Viewer): void {
    this.#viewers.delete(viewer);
  }

  /** After a reboot sequence numbers, source and timeline begin anew; the frame number of the stamps runs on. */
  restart(): void {
    this.#rtp = newRtp();
    this.#timestampBase = randomBytes(4).readUInt32BE();
    this.#frozen = undefined;
  }

  /** Sends frame `frame` (counted since the camera was started), captured at `monoMs`. */
  send(frame: number, monoMs: number, clock: CaptureClock): void {
    if (this.#viewers.size === 0 || this.faults.freeze === 'silent') return;
    const unit = this.clip.units[this.#loopFrame(frame)]!;
    const captureUs = BigInt(Math.round(clock.wallAt(monoMs) * 1000));
    const stamp = buildFrameStamp('h264', { camera: this.name, frame, captureUs });
    const timestamp = this.#timestampBase + Math.round((frame * TIMESCALE) / this.encoding.fps);
    let packets = packetise([...unit.head, stamp, ...unit.slices], timestamp, this.#rtp);
    if (this.faults.dropShare > 0) packets = packets.filter(() => this.random() >= this.faults.dropShare);
    for (const viewer of this.#viewers) viewer.picture(packets, unit.key);
    if (monoMs - this.#lastReportMono >= REPORT_EVERY_MS) {
      this.#lastReportMono = monoMs;
      const wall = clock.wallAt(monoMs) + this.faults.clockOffsetMs;
      const report = senderReport(this.#rtp, wall, timestamp, this.name);
      for (const viewer of this.#viewers) viewer.report(report);
    }
  }

  #loopFrame(frame: number): number {
    const count = this.clip.units.length;
    const now = (frame + this.firstFrame) % count;
    if (this.faults.freeze !== 'picture') {
      this.#frozen = undefined;
      return now;
    }
    // Only a key frame can be repeated without reference errors: the freeze takes hold at the last one.
    const gop = Math.round(this.encoding.fps * this.encoding.gopSeconds);
    this.#frozen ??= now - (now % gop);
    return this.#frozen;
  }
}

function newRtp(): RtpState {
  const seed = randomBytes(6);
  return { ssrc: seed.readUInt32BE(0), sequence: seed.readUInt16BE(4), packets: 0, octets: 0 };
}
