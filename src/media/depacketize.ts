import { H264, H265, isFirstSlice, isSlice, nalType, splitAnnexB, writeUint32 } from './nal.js';
import type { Codec } from './stream.js';

export interface PictureSink {
  /** NAL units as they were sent, each behind a 4-byte big-endian length. `data` is valid during the call only. */
  picture(data: Uint8Array, timestamp: number): void;
  /** A picture was dropped because it is not whole; later ones may need it. */
  damaged(detail: string): void;
}

/** Packet types that are no NAL unit types: RFC 6184 §5.2 table 1, RFC 7798 §4.4. */
const H264_STAP_A = 24;
const H264_FU_A = 28;
const H265_AP = 48;
const H265_FU = 49;

const FIRST_BUFFER = 32 * 1024;

/**
 * Puts the payloads of RTP packets together to access units: H.264 (RFC 6184: single, STAP-A, FU-A) and H.265
 * (RFC 7798: single, AP, FU). A picture ends with the marker bit or where the timestamp changes. Payloads are gathered
 * in one buffer that stays, and pictures are handed out as they lie in it.
 */
export class Depacketizer {
  readonly #codec: Codec;
  readonly #sink: PictureSink;
  readonly #maxBytes: number;
  readonly #headBytes: number;
  #buffer = new Uint8Array(FIRST_BUFFER);
  #filled = 0;
  /** Where the length of the unit being fragmented stands; -1 if there is none. */
  #open = -1;
  #timestamp: number | undefined;
  #hasSlice = false;
  /** The rest of this picture is passed over. */
  #skipping = false;
  /** A picture with the current timestamp was handed out at its marker. */
  #handedOut = false;
  /** What came before the next packet is not known: it may stand in the middle of a picture. */
  #cut: 'begin' | 'gap' | undefined = 'begin';
  /** The stream has access unit delimiters: then every picture begins with one. */
  #delimited = false;
  /** Some cameras mark every slice: then only the timestamp tells where a picture ends. */
  #markersLie = false;

  /** `maxBytes` bounds one access unit. */
  constructor(codec: Codec, sink: PictureSink, maxBytes: number) {
    this.#codec = codec;
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    this.#headBytes = codec === 'h264' ? 1 : 2;
  }

  /** The payload at `data[start, end)` of the packet that follows the last one given. */
  packet(data: Uint8Array, start: number, end: number, timestamp: number, marker: boolean): void {
    if (timestamp !== this.#timestamp) this.#turn(timestamp);
    if (this.#cut !== undefined) {
      if (!this.#beginsPicture(data, start, end, this.#cut)) this.#skip();
      this.#cut = undefined;
    }
    if (!this.#skipping && end - start > this.#headBytes) {
      if (this.#codec === 'h264') this.#h264(data, start, end);
      else this.#h265(data, start, end);
    }
    if (!marker || this.#markersLie) return;
    if (this.#skipping) this.#forget();
    else if (this.#hasSlice) this.#handOut();
  }

  /** Packets are missing before the next one. */
  gap(detail: string): void {
    this.#damage(detail);
    this.#timestamp = undefined;
    this.#cut = 'gap';
  }

  /**
   * Whether nothing of the picture is missing before this packet. When a session begins, its first slice is proof
   * enough; after a gap only a unit that stands first in a picture, because an SEI may be among what was lost.
   */
  #beginsPicture(data: Uint8Array, start: number, end: number, cut: 'begin' | 'gap'): boolean {
    const h264 = this.#codec === 'h264';
    const packet = h264 ? data[start]! & 0x1f : (data[start]! >> 1) & 0x3f;
    const fu = packet === (h264 ? H264_FU_A : H265_FU);
    const aggregate = packet === (h264 ? H264_STAP_A : H265_AP);
    const at = start + (aggregate ? this.#headBytes + 2 : 0);
    if (at + this.#headBytes >= end) return false;
    if (fu) return cut === 'begin' && (data[start + this.#headBytes]! & 0x80) !== 0;
    const nal = data.subarray(at, end);
    const type = nalType(this.#codec, nal);
    if (cut === 'begin') return !isSlice(this.#codec, nal) || isFirstSlice(this.#codec, nal);
    if (this.#delimited) return type === (h264 ? H264.aud : H265.aud);
    return type === (h264 ? H264.sps : H265.vps);
  }

  #turn(timestamp: number): void {
    if (this.#skipping) this.#forget();
    else if (this.#hasSlice) this.#handOut();
    // What came without a slice (parameter sets, SEI) belongs to the picture that follows.
    this.#timestamp = timestamp;
    this.#handedOut = false;
  }

  #h264(data: Uint8Array, start: number, end: number): void {
    const type = data[start]! & 0x1f;
    if (type >= 1 && type < H264_STAP_A) this.#unit(data, start, end);
    else if (type === H264_STAP_A) this.#aggregate(data, start + 1, end);
    else if (type === H264_FU_A) {
      const fu = data[start + 1]!;
      this.#fragment(data, start + 2, end, fu, (data[start]! & 0xe0) | (fu & 0x1f));
    } else if (type > H264_STAP_A && type < 30) this.#damage('pictures are packed in a way that was not agreed');
  }

  #h265(data: Uint8Array, start: number, end: number): void {
    const type = (data[start]! >> 1) & 0x3f;
    if (type < H265_AP) this.#unit(data, start, end);
    else if (type === H265_AP) this.#aggregate(data, start + 2, end);
    else if (type === H265_FU) {
      const fu = data[start + 2]!;
      this.#fragment(data, start + 3, end, fu, (data[start]! & 0x81) | ((fu & 0x3f) << 1), data[start + 1]!);
    }
  }

  #unit(data: Uint8Array, start: number, end: number): void {
    this.#close();
    if (!this.#enter(data[start]!, data[start + this.#headBytes]!)) return;
    const at = this.#filled;
    if (!this.#reserve(4 + end - start)) return;
    this.#filled += 4;
    this.#append(data, start, end);
    this.#seal(at);
  }

  /** Units behind 16-bit lengths (RFC 6184 §5.7.1, RFC 7798 §4.4.2). */
  #aggregate(data: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end && !this.#skipping;) {
      const size = at + 2 <= end ? (data[at]! << 8) | data[at + 1]! : Infinity;
      const next = at + 2 + size;
      if (next > end) return this.#damage('a broken packet');
      if (size > this.#headBytes) this.#unit(data, at + 2, next);
      at = next;
    }
  }

  /** A piece of a unit (RFC 6184 §5.8, RFC 7798 §4.4.3): `first` and `second` are the head of the unit as it was. */
  #fragment(data: Uint8Array, start: number, end: number, fu: number, first: number, second?: number): void {
    if (start > end) return;
    if ((fu & 0x80) !== 0) {
      this.#close();
      if (!this.#enter(first, data[start] ?? 0) || !this.#reserve(4 + this.#headBytes)) return;
      this.#open = this.#filled;
      this.#buffer[this.#filled + 4] = first;
      if (second !== undefined) this.#buffer[this.#filled + 5] = second;
      this.#filled += 4 + this.#headBytes;
    }
    // The session began inside this unit.
    if (this.#open === -1) return this.#skip();
    if (!this.#reserve(end - start)) return;
    this.#append(data, start, end);
    if ((fu & 0x40) !== 0) this.#close();
  }

  /** A unit with these bytes (head, first after the head) begins; false if its picture cannot be used. */
  #enter(first: number, after: number): boolean {
    const type = this.#codec === 'h264' ? first & 0x1f : (first >> 1) & 0x3f;
    const slice = this.#codec === 'h264' ? type >= H264.slice && type <= H264.idr : type < H265.vps;
    if (type === (this.#codec === 'h264' ? H264.aud : H265.aud)) this.#delimited = true;
    if (!slice) return true;
    // first_mb_in_slice == 0 or first_slice_segment_in_pic_flag.
    if (this.#handedOut && !this.#hasSlice && (after & 0x80) === 0) {
      this.#markersLie = true;
      this.#damage('the camera marks the end of every slice');
      return false;
    }
    this.#hasSlice = true;
    return true;
  }

  #close(): void {
    if (this.#open === -1) return;
    const at = this.#open;
    this.#open = -1;
    this.#seal(at);
  }

  /** Writes the length of the unit at `at`, and takes apart what a camera glued with start codes. */
  #seal(at: number): void {
    const unit = this.#buffer.subarray(at + 4, this.#filled);
    writeUint32(this.#buffer, at, unit.length);
    if (isSlice(this.#codec, unit) || !hasStartCode(unit)) return;
    const glued = unit.slice();
    this.#filled = at;
    for (const nal of splitAnnexB(withStartCode(glued))) this.#place(nal);
  }

  #place(nal: Uint8Array): void {
    this.#hasSlice ||= isSlice(this.#codec, nal) && nalType(this.#codec, nal) >= 0;
    if (!this.#reserve(4 + nal.length)) return;
    writeUint32(this.#buffer, this.#filled, nal.length);
    this.#buffer.set(nal, this.#filled + 4);
    this.#filled += 4 + nal.length;
  }

  #append(data: Uint8Array, start: number, end: number): void {
    this.#buffer.set(data.subarray(start, end), this.#filled);
    this.#filled += end - start;
  }

  #reserve(bytes: number): boolean {
    const size = this.#filled + bytes;
    if (size > this.#maxBytes) {
      this.#damage(`a picture of more than ${Math.round(this.#maxBytes / 1e6)} MB`);
      return false;
    }
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(size, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    return true;
  }

  #handOut(): void {
    this.#close();
    const timestamp = this.#timestamp!;
    // Memory of its own, not cleared first: it is filled at once.
    const data = this.#buffer.subarray(0, this.#filled);
    this.#forget();
    this.#handedOut = true;
    this.#sink.picture(data, timestamp);
  }

  #damage(detail: string): void {
    this.#skip();
    this.#sink.damaged(detail);
  }

  #skip(): void {
    this.#forget();
    this.#skipping = true;
  }

  #forget(): void {
    this.#filled = 0;
    this.#open = -1;
    this.#hasSlice = false;
    this.#skipping = false;
  }
}

/** 00 00 01 cannot stand in a NAL unit (emulation prevention, H.264 7.4.1, H.265 7.4.2). */
function hasStartCode(unit: Uint8Array): boolean {
  for (let one = unit.indexOf(1, 2); one !== -1; one = unit.indexOf(1, one + 1)) {
    if (unit[one - 1] === 0 && unit[one - 2] === 0) return true;
  }
  return false;
}

function withStartCode(unit: Uint8Array): Uint8Array {
  const out = new Uint8Array(3 + unit.length);
  out[2] = 1;
  out.set(unit, 3);
  return out;
}
