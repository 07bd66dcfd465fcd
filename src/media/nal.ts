import type { Codec } from './stream.js';

/** NAL unit types that matter here (H.264: ITU-T H.264 table 7-1, H.265: ITU-T H.265 table 7-1). */
export const H264 = { slice: 1, idr: 5, sei: 6, sps: 7, pps: 8, aud: 9, endOfStream: 11 } as const;
export const H265 = {
  blaWLp: 16,
  cra: 21,
  reservedIrap23: 23,
  vps: 32,
  sps: 33,
  pps: 34,
  aud: 35,
  prefixSei: 39,
} as const;

/** Type of a NAL unit without start code; -1 if it is too short to have one. */
export function nalType(codec: Codec, nal: Uint8Array): number {
  const first = nal[0];
  if (first === undefined) return -1;
  if (codec === 'h264') return first & 0x1f;
  return nal.length < 2 ? -1 : (first >> 1) & 0x3f;
}

/** A coded picture (VCL NAL unit). */
export function isSlice(codec: Codec, nal: Uint8Array): boolean {
  const type = nalType(codec, nal);
  return codec === 'h264' ? type >= H264.slice && type <= H264.idr : type >= 0 && type < H265.vps;
}

/** A picture from which decoding can start: H.264 IDR, H.265 IRAP (BLA, IDR, CRA). */
export function isKeyNal(codec: Codec, nal: Uint8Array): boolean {
  const type = nalType(codec, nal);
  return codec === 'h264' ? type === H264.idr : type >= H265.blaWLp && type <= H265.reservedIrap23;
}

export function isParameterSet(codec: Codec, nal: Uint8Array): boolean {
  const type = nalType(codec, nal);
  return codec === 'h264' ? type === H264.sps || type === H264.pps : type >= H265.vps && type <= H265.pps;
}

export function isSequenceParameterSet(codec: Codec, nal: Uint8Array): boolean {
  return nalType(codec, nal) === (codec === 'h264' ? H264.sps : H265.sps);
}

/**
 * Whether the slice is the first of its picture: `first_mb_in_slice == 0` (H.264 7.3.3, the exp-Golomb code of 0 is a
 * single 1 bit) or `first_slice_segment_in_pic_flag` (H.265 7.3.6.1).
 */
export function isFirstSlice(codec: Codec, nal: Uint8Array): boolean {
  return isSlice(codec, nal) && ((nal[codec === 'h264' ? 1 : 2] ?? 0) & 0x80) !== 0;
}

/** NAL units of a whole byte stream with start codes (H.264/H.265 Annex B). Views into `data`, trailing zeros removed. */
export function splitAnnexB(data: Uint8Array): Uint8Array[] {
  const nals: Uint8Array[] = [];
  let start = -1;
  for (let at = nextStartCode(data, 0); at !== -1; at = nextStartCode(data, at + 3)) {
    if (start !== -1) pushTrimmed(nals, data, start, at);
    start = at + 3;
  }
  if (start !== -1) pushTrimmed(nals, data, start, data.length);
  return nals;
}

/** Index of the next 00 00 01 at or after `from`, or -1. */
function nextStartCode(data: Uint8Array, from: number): number {
  // A scan for the 1 byte is native code; start codes are rare, so almost every hit is settled by one comparison.
  for (let one = data.indexOf(1, from + 2); one !== -1; one = data.indexOf(1, one + 1)) {
    if (data[one - 1] === 0 && data[one - 2] === 0) return one - 2;
  }
  return -1;
}

/** `trailing_zero_8bits` and the leading zero of a 4-byte start code are no part of the unit (Annex B.1). */
function pushTrimmed(nals: Uint8Array[], data: Uint8Array, start: number, end: number): void {
  let last = end;
  while (last > start && data[last - 1] === 0) last--;
  if (last > start) nals.push(data.subarray(start, last));
}

/** Cuts a byte stream that arrives in pieces into NAL units. A unit is known to be whole when the next start code comes. */
export class AnnexBSplitter {
  #rest: Uint8Array = new Uint8Array(0);
  #started = false;
  readonly #maxBytes: number;

  /** `maxBytes` bounds what is kept while no start code comes; what exceeds it is dropped. */
  constructor(maxBytes = 8 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** The units that became whole. They stay valid: nothing is overwritten. */
  push(chunk: Uint8Array): Uint8Array[] {
    const data = concatBytes([this.#rest, chunk]);
    const nals: Uint8Array[] = [];
    let start = this.#started ? 0 : -1;
    const searchFrom = Math.max(0, this.#rest.length - 2);
    for (let at = nextStartCode(data, searchFrom); at !== -1; at = nextStartCode(data, at + 3)) {
      if (start !== -1) pushTrimmed(nals, data, start, at);
      start = at + 3;
    }
    this.#started = start !== -1;
    this.#rest = data.subarray(start === -1 ? Math.max(0, data.length - 2) : start);
    if (this.#rest.length > this.#maxBytes) {
      this.#rest = new Uint8Array(0);
      this.#started = false;
    }
    return nals;
  }

  /** The last unit, at the end of the stream. */
  flush(): Uint8Array[] {
    const nals: Uint8Array[] = [];
    if (this.#started) pushTrimmed(nals, this.#rest, 0, this.#rest.length);
    this.#rest = new Uint8Array(0);
    this.#started = false;
    return nals;
  }
}

/** NAL units joined, each behind a 4-byte big-endian length (the sample format of ISO/IEC 14496-15). */
export function joinNals(nals: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(nals.reduce((sum, nal) => sum + 4 + nal.length, 0));
  let at = 0;
  for (const nal of nals) {
    writeUint32(out, at, nal.length);
    out.set(nal, at + 4);
    at += 4 + nal.length;
  }
  return out;
}

/** The inverse of `joinNals`: views into `data`. Stops at the first length that does not fit. */
export function splitNals(data: Uint8Array): Uint8Array[] {
  const nals: Uint8Array[] = [];
  for (let at = 0; at + 4 <= data.length;) {
    const length = readUint32(data, at);
    const end = at + 4 + length;
    if (end > data.length) break;
    if (length > 0) nals.push(data.subarray(at + 4, end));
    at = end;
  }
  return nals;
}

/** With a 4-byte start code before every unit. */
export function nalsToAnnexB(nals: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(nals.reduce((sum, nal) => sum + 4 + nal.length, 0));
  let at = 0;
  for (const nal of nals) {
    out[at + 3] = 1;
    out.set(nal, at + 4);
    at += 4 + nal.length;
  }
  return out;
}

/** Access unit data (length-prefixed) as a byte stream with start codes, for a decoder's pipe. */
export function toAnnexB(data: Uint8Array): Uint8Array {
  return nalsToAnnexB(splitNals(data));
}

/** A byte stream with start codes as access unit data (length-prefixed). */
export function fromAnnexB(data: Uint8Array): Uint8Array {
  return joinNals(splitAnnexB(data));
}

export function isKeyAccessUnit(codec: Codec, nals: readonly Uint8Array[]): boolean {
  return nals.some((nal) => isKeyNal(codec, nal));
}

/** The parameter sets among `nals` in the order that `VideoFormat.parameterSets` wants (VPS, SPS, PPS). */
export function parameterSetsOf(codec: Codec, nals: readonly Uint8Array[]): Uint8Array[] {
  return nals.filter((nal) => isParameterSet(codec, nal)).sort((a, b) => nalType(codec, a) - nalType(codec, b));
}

/**
 * NAL units of a stream put together to access units: a new one starts at the first slice of a picture, or at a unit
 * that may only stand before one (AUD, parameter sets, SEI), once a slice was seen (H.264 7.4.1.2.3, H.265 7.4.2.4.4).
 */
export function groupAccessUnits(codec: Codec, nals: readonly Uint8Array[]): Uint8Array[][] {
  const units: Uint8Array[][] = [];
  let current: Uint8Array[] = [];
  let hasSlice = false;
  for (const nal of nals) {
    if (hasSlice && (isFirstSlice(codec, nal) || startsAccessUnit(codec, nal))) {
      units.push(current);
      current = [];
      hasSlice = false;
    }
    current.push(nal);
    hasSlice ||= isSlice(codec, nal);
  }
  if (current.length > 0) units.push(current);
  return units;
}

/** A unit that is not a slice and may not follow one in the same access unit. */
function startsAccessUnit(codec: Codec, nal: Uint8Array): boolean {
  const type = nalType(codec, nal);
  if (codec === 'h264') return (type >= H264.sei && type <= H264.aud) || (type >= 14 && type <= 18);
  return (type >= H265.vps && type <= H265.aud) || type === H265.prefixSei || (type >= 41 && type <= 44);
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const filled = parts.filter((part) => part.length > 0);
  if (filled.length === 1 && filled[0] !== undefined) return filled[0];
  const out = new Uint8Array(filled.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of filled) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function readUint32(data: Uint8Array, at: number): number {
  return (
    ((data[at] ?? 0) * 0x1000000 + (((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0))) >>>
    0
  );
}

export function writeUint32(data: Uint8Array, at: number, value: number): void {
  data[at] = (value >>> 24) & 0xff;
  data[at + 1] = (value >>> 16) & 0xff;
  data[at + 2] = (value >>> 8) & 0xff;
  data[at + 3] = value & 0xff;
}
