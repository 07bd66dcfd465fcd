import { randomBytes } from 'node:crypto';
import { buildFrameStamp } from '../../media/sei.js';
import { TIMESCALE } from '../../media/stream.js';
import type { Clip, Timed } from './clip.js';
import type { CameraFaults, EncodingOptions } from './options.js';
import { audioPacket, packetise, senderReport, spoil, type RtpState } from './rtp.js';

export type TrackName = 'video' | 'audio';

/** One who watches a stream: gets everything as ready packets on interleaved channel 0 (RTP) and 1 (RTCP). */
export interface Viewer {
  picture(packets: readonly Buffer[], key: boolean): void;
  audio(packets: readonly Buffer[]): void;
  report(track: TrackName, packet: Buffer): void;
  /** Bytes that are no protocol. */
  noise(bytes: Buffer): void;
}

const REPORT_EVERY_MS = 5_000;
const AUDIO_RATE = 8_000;
const AUDIO_SAMPLES = 160;
/** One turn of a 400 Hz tone in µ-law (ITU-T G.711), as a square wave: loud enough to be told from silence. */
const TONE = Uint8Array.from({ length: AUDIO_SAMPLES }, (_, i) => (i % 20 < 10 ? 0x9f : 0x1f));

/** True wall time as captures are stamped: smooth between steps of the system's clock. */
export interface CaptureClock {
  /** Wall ms (with fraction) at a monotonic moment. */
  wallAt(monoMs: number): number;
}

export interface LiveStreamOptions {
  name: string;
  timed: Timed;
  /** Seconds of the loop by which it starts later. */
  offsetSeconds: number;
  audio: boolean;
  faults: Readonly<CameraFaults>;
  random: () => number;
}

/**
 * One encoding of one channel, running since the camera was switched on. Pictures are made into packets once,
 * however many watch; while nobody watches, only the frame number moves on.
 */
export class LiveStream {
  readonly name: string;
  readonly audio: boolean;
  readonly #viewers = new Set<Viewer>();
  #timed: Timed;
  #video = newRtp();
  #sound = newRtp();
  #timestampBase = randomBytes(4).readUInt32BE();
  #samplesSent = 0;
  #lastReportMono = -Infinity;
  #frozen: number | undefined;
  #next: Timed | undefined;

  constructor(private readonly options: LiveStreamOptions) {
    this.name = options.name;
    this.audio = options.audio;
    this.#timed = options.timed;
  }

  get clip(): Clip {
    return this.#timed.clip;
  }

  get encoding(): EncodingOptions {
    return this.#timed.encoding;
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
    this.#video = newRtp();
    this.#sound = newRtp();
    this.#timestampBase = randomBytes(4).readUInt32BE();
    this.#frozen = undefined;
  }

  /** Other pictures from now on, in the same RTP stream, as when somebody changes the settings of a camera. */
  change(timed: Timed): void {
    this.#timed = timed;
    this.#next = this.#frozen = undefined;
  }

  /** Other pictures in the same encoding, from the next key frame on. */
  show(timed: Timed): void {
    this.#next = timed;
  }

  /** Sends frame `frame` (counted since the camera was started), captured at `monoMs`. */
  send(frame: number, monoMs: number, clock: CaptureClock): void {
    const { faults, random } = this.options;
    if (this.#viewers.size === 0 || faults.freeze === 'silent') return;
    const { codec, fps } = this.encoding;
    const index = this.#loopFrame(frame);
    if (this.#next?.clip.units[index]?.key === true) {
      this.#timed = this.#next;
      this.#next = undefined;
    }
    const unit = this.clip.units[index]!;
    if (faults.noKeyFrames && unit.key) return;
    const captureUs = BigInt(Math.round(clock.wallAt(monoMs) * 1000));
    const stamp = buildFrameStamp(codec, { camera: this.name, frame, captureUs });
    const timestamp = this.#timestampBase + Math.round((frame * TIMESCALE) / fps);
    const nals = [...unit.head, stamp, ...unit.slices, ...this.#filler(unit.slices)];
    let packets = packetise(codec, nals, timestamp, this.#video);
    if (faults.dropShare > 0) packets = packets.filter(() => random() >= faults.dropShare);
    if (faults.garbage === 'payload') spoil(packets, random);
    for (const viewer of this.#viewers) {
      if (faults.garbage === 'wire') viewer.noise(randomBytes(2_000));
      else viewer.picture(packets, unit.key || faults.noKeyFrames);
    }
    if (this.audio) this.#sendAudio(frame);
    this.#reportAt(monoMs, timestamp, clock);
  }

  #sendAudio(frame: number): void {
    const due = Math.floor(((frame + 1) / this.encoding.fps) * AUDIO_RATE);
    // After a pause or a change of settings the sound goes on from now.
    if (due - this.#samplesSent > AUDIO_RATE || due < this.#samplesSent) this.#samplesSent = due - AUDIO_SAMPLES;
    const packets: Buffer[] = [];
    for (; this.#samplesSent + AUDIO_SAMPLES <= due; this.#samplesSent += AUDIO_SAMPLES) {
      packets.push(audioPacket(TONE, this.#timestampBase + this.#samplesSent, this.#sound));
    }
    for (const viewer of this.#viewers) viewer.audio(packets);
  }

  #reportAt(monoMs: number, timestamp: number, clock: CaptureClock): void {
    if (monoMs - this.#lastReportMono < REPORT_EVERY_MS) return;
    this.#lastReportMono = monoMs;
    const wall = clock.wallAt(monoMs) + this.options.faults.clockOffsetMs;
    const video = senderReport(this.#video, wall, timestamp, this.name);
    const sound = senderReport(this.#sound, wall, this.#timestampBase + this.#samplesSent, this.name);
    for (const viewer of this.#viewers) {
      viewer.report('video', video);
      if (this.audio) viewer.report('audio', sound);
    }
  }

  /** Filler data (H.264 type 12, H.265 type 38) that makes the picture as many times as large as the fault says. */
  #filler(slices: readonly Uint8Array[]): Uint8Array[] {
    const { bitrateFactor } = this.options.faults;
    if (bitrateFactor <= 1) return [];
    const bytes = slices.reduce((sum, slice) => sum + slice.length, 0) * (bitrateFactor - 1);
    const filler = new Uint8Array(Math.ceil(bytes)).fill(0xff);
    filler.set(this.encoding.codec === 'h264' ? [12] : [38 << 1, 1]);
    filler[filler.length - 1] = 0x80;
    return [filler];
  }

  #loopFrame(frame: number): number {
    const { fps, gopSeconds } = this.encoding;
    const count = this.clip.units.length;
    const now = (frame + Math.round(this.options.offsetSeconds * fps)) % count;
    if (this.options.faults.freeze !== 'picture') {
      this.#frozen = undefined;
      return now;
    }
    // Only a key frame can be repeated without reference errors: the freeze takes hold at the last one.
    const gop = Math.round(fps * gopSeconds);
    this.#frozen ??= now - (now % gop);
    return this.#frozen;
  }
}

function newRtp(): RtpState {
  const seed = randomBytes(6);
  return { ssrc: seed.readUInt32BE(0), sequence: seed.readUInt16BE(4), packets: 0, octets: 0 };
}
