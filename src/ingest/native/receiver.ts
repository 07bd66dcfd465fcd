import { Depacketizer } from '../../media/depacketize.js';
import { isSequenceParameterSet, splitNals } from '../../media/nal.js';
import {
  buildReceiverReport,
  emptyPacket,
  parseRtcp,
  parseRtp,
  Reception,
  type SenderReport,
} from '../../media/rtp.js';
import type { VideoTrack } from '../../media/sdp.js';
import { parseSps } from '../../media/sps.js';
import { TIMESCALE } from '../../media/stream.js';
import type { EngineEvents, RawPicture } from '../ports.js';
import { DecodeOrder } from './decode-order.js';
import { failure } from './failure.js';
import { Timeline } from './timeline.js';

const TICKS_PER_MS = TIMESCALE / 1_000;
/** So many packets in a row that are none: the other side does not speak RTP. */
const MAX_GARBAGE = 50;

export interface ReceiverOptions {
  track: VideoTrack;
  maxAccessUnitBytes: number;
  /** Our own SSRC in reports. */
  ssrc: number;
}

interface Arrived {
  data: Uint8Array;
  pts: number;
  arrivedMs: number;
  cameraWallMs: number | undefined;
}

/** Turns the RTP and RTCP packets of one video track into pictures. Throws what ends the session. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #events: Pick<EngineEvents, 'picture' | 'lost'>;
  readonly #packet = emptyPacket();
  readonly #depacketizer: Depacketizer;
  readonly #timeline = new Timeline();
  readonly #order = new DecodeOrder<Arrived>();
  /** A sequence parameter set has said how far pictures are reordered. */
  #depthKnown = false;
  #reception: Reception | undefined;
  #report: SenderReport | undefined;
  #garbage = 0;
  #nowMs = 0;
  /** When the packet before the current one came. */
  #beforeMs = 0;

  constructor(options: ReceiverOptions, events: Pick<EngineEvents, 'picture' | 'lost'>) {
    this.#options = options;
    this.#events = events;
    const { codec, parameterSets } = options.track;
    this.#learnDepth(parameterSets);
    const sink = {
      picture: (data: Uint8Array, timestamp: number): void => this.#onPicture(data, timestamp),
      damaged: (detail: string): void => events.lost(detail),
    };
    this.#depacketizer = new Depacketizer(codec, sink, options.maxAccessUnitBytes);
  }

  rtp(data: Uint8Array, start: number, end: number, nowMs: number): void {
    const packet = this.#packet;
    if (!parseRtp(data, start, end, packet)) {
      if (++this.#garbage > MAX_GARBAGE) throw failure('invalid', 'the camera sends something that is not video');
      return;
    }
    if (packet.payloadType !== this.#options.track.payloadType) return;
    this.#garbage = 0;
    this.#beforeMs = this.#nowMs;
    this.#nowMs = nowMs;
    this.#reception ??= new Reception(packet.ssrc, packet.sequence);
    if (packet.ssrc !== this.#reception.ssrc) throw failure('offline', 'the camera started its stream anew');
    const arrival = this.#reception.arrive(packet.sequence);
    // Over TCP nothing is overtaken on the way: what comes late was sent late, and its picture is lost already.
    if (arrival.kind === 'late') return;
    if (arrival.kind === 'lost') this.#depacketizer.gap(`${arrival.packets} packets of the camera are missing`);
    this.#depacketizer.packet(data, packet.payloadStart, packet.payloadEnd, packet.timestamp, packet.marker);
  }

  rtcp(data: Uint8Array, start: number, end: number, nowMs: number): void {
    const { report, bye } = parseRtcp(data, start, end);
    if (bye) throw failure('offline', 'the camera ended the stream');
    if (report === undefined) return;
    this.#report = report;
    if (report.ssrc === this.#reception?.ssrc) this.#reception.heard(report.middle, nowMs);
  }

  /** The receiver report that is due; undefined while nothing was received. */
  receiverReport(nowMs: number): Uint8Array | undefined {
    if (this.#reception === undefined) return undefined;
    return buildReceiverReport(this.#options.ssrc, [this.#reception.block(nowMs)], 'bluelight');
  }

  #onPicture(data: Uint8Array, timestamp: number): void {
    const arrivedMs = timestamp === this.#packet.timestamp ? this.#nowMs : this.#beforeMs;
    const { ticks, jumped } = this.#timeline.at(timestamp, arrivedMs);
    this.#reception?.timing(Math.round(arrivedMs * TICKS_PER_MS), timestamp);
    if (jumped) {
      this.#events.lost("the time of the camera's pictures jumped");
      this.#order.restart();
    }
    if (!this.#depthKnown) this.#learnDepth(splitNals(data));
    if (this.#order.grows(ticks)) this.#events.lost('the camera sends pictures in another order than it says');
    const cameraWallMs = this.#cameraWallMs(timestamp);
    const kept = this.#order.keeps ? data.slice() : data;
    for (const { picture, dts } of this.#order.push({ data: kept, pts: ticks, arrivedMs, cameraWallMs })) {
      const { pts, arrivedMs, cameraWallMs } = picture;
      this.#events.picture({ data: picture.data, dts, pts, arrivedMs, cameraWallMs } satisfies RawPicture);
    }
  }

  #learnDepth(nals: readonly Uint8Array[]): void {
    const { codec } = this.#options.track;
    const sps = nals.find((nal) => isSequenceParameterSet(codec, nal));
    if (sps === undefined) return;
    this.#depthKnown = true;
    this.#order.expect(parseSps(codec, sps)?.reorderFrames ?? 0);
  }

  /** When the picture was taken, by the camera's clock. A report may come before the first packet that it is about. */
  #cameraWallMs(timestamp: number): number | undefined {
    const report = this.#report;
    if (report === undefined || report.ssrc !== this.#reception?.ssrc) return undefined;
    return report.wallMs + ((timestamp - report.timestamp) | 0) / TICKS_PER_MS;
  }
}
