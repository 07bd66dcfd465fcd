import { BluelightError } from '../base/errors.js';
import { concatBytes, nalType, readUint32, writeUint32 } from './nal.js';
import { parseH264Sps, parseH265Sps } from './sps.js';
import { TIMESCALE, type AccessUnit, type VideoFormat } from './stream.js';

/**
 * Fragmented MP4 as ISO/IEC 14496-12 (boxes) and 14496-15 (avcC, hvcC) define it: one video track, id 1,
 * `default-base-is-moof` (brand iso5 on), which Media Source Extensions demand.
 */
const TRACK_ID = 1;

/** sample_flags (14496-12 8.8.3.1): depends on no other picture / depends on others and is no sync sample. */
export const KEY_FLAGS = 0x0200_0000;
export const DELTA_FLAGS = 0x0101_0000;

/** A box: 32-bit size, four letters, content. */
function box(type: string, ...content: Uint8Array[]): Uint8Array {
  const size = 8 + content.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(size);
  writeUint32(out, 0, size);
  out.set(ascii(type), 4);
  let at = 8;
  for (const part of content) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A box with version and flags. */
function fullBox(type: string, version: number, flags: number, ...content: Uint8Array[]): Uint8Array {
  return box(type, u32((version << 24) | flags), ...content);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function u8(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

function u16(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

function u32(...values: number[]): Uint8Array {
  const out = new Uint8Array(values.length * 4);
  values.forEach((value, index) => writeUint32(out, index * 4, value));
  return out;
}

/** `ftyp` + `moov` of a stream: what every file and every live session starts with. Throws MEDIA_FORMAT if the parameter sets are unusable. */
export function buildInit(format: VideoFormat): Uint8Array {
  const ftyp = box('ftyp', ascii('iso5'), u32(512), ascii('iso5iso6mp41'));
  return concatBytes([ftyp, box('moov', mvhd(), trak(format), box('mvex', trex()))]);
}

const UNITY_MATRIX = u32(0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000);

function mvhd(): Uint8Array {
  return fullBox(
    'mvhd',
    0,
    0,
    u32(0, 0, TIMESCALE, 0, 0x1_0000),
    u16(0x0100, 0),
    u32(0, 0),
    UNITY_MATRIX,
    u32(0, 0, 0, 0, 0, 0, TRACK_ID + 1),
  );
}

function trex(): Uint8Array {
  return fullBox('trex', 0, 0, u32(TRACK_ID, 1, 0, 0, 0));
}

function trak(format: VideoFormat): Uint8Array {
  // Flags: enabled, in movie.
  const tkhd = fullBox(
    'tkhd',
    0,
    3,
    u32(0, 0, TRACK_ID, 0, 0, 0, 0),
    u16(0, 0, 0, 0),
    UNITY_MATRIX,
    u32(format.width * 0x1_0000, format.height * 0x1_0000),
  );
  const mdhd = fullBox('mdhd', 0, 0, u32(0, 0, TIMESCALE, 0), u16(0x55c4, 0));
  const hdlr = fullBox('hdlr', 0, 0, u32(0), ascii('vide'), u32(0, 0, 0), ascii('bluelight\0'));
  const dinf = box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1)));
  const stbl = box(
    'stbl',
    fullBox('stsd', 0, 0, u32(1), sampleEntry(format)),
    fullBox('stts', 0, 0, u32(0)),
    fullBox('stsc', 0, 0, u32(0)),
    fullBox('stsz', 0, 0, u32(0, 0)),
    fullBox('stco', 0, 0, u32(0)),
  );
  const minf = box('minf', fullBox('vmhd', 0, 1, u16(0, 0, 0, 0)), dinf, stbl);
  return box('trak', tkhd, box('mdia', mdhd, hdlr, minf));
}

/** VisualSampleEntry (14496-12 12.1.3) with the decoder configuration. */
function sampleEntry(format: VideoFormat): Uint8Array {
  const head = concatBytes([
    u8(0, 0, 0, 0, 0, 0),
    u16(1, 0, 0),
    u32(0, 0, 0),
    u16(format.width, format.height),
    u32(0x0048_0000, 0x0048_0000, 0),
    u16(1),
    new Uint8Array(32),
    u16(24, 0xffff),
  ]);
  return format.codec === 'h264' ? box('avc1', head, avcC(format)) : box('hvc1', head, hvcC(format));
}

/** AVCDecoderConfigurationRecord, 14496-15 5.3.3.1. */
function avcC(format: VideoFormat): Uint8Array {
  const sps = format.parameterSets.filter((set) => nalType('h264', set) === 7);
  const pps = format.parameterSets.filter((set) => nalType('h264', set) === 8);
  const first = sps[0];
  const info = first === undefined ? undefined : parseH264Sps(first);
  if (first === undefined || info === undefined || pps.length === 0) throw unusable();
  const list = (sets: Uint8Array[]): Uint8Array[] => sets.flatMap((set) => [u16(set.length), set]);
  const high = ![66, 77, 88].includes(info.profile);
  return box(
    'avcC',
    u8(1, first[1] ?? 0, first[2] ?? 0, first[3] ?? 0, 0xff, 0xe0 | (sps.length & 0x1f)),
    ...list(sps),
    u8(pps.length & 0xff),
    ...list(pps),
    high
      ? u8(0xfc | info.chromaFormat, 0xf8 | ((info.bitDepthLuma - 8) & 7), 0xf8 | ((info.bitDepthChroma - 8) & 7), 0)
      : u8(),
  );
}

/** HEVCDecoderConfigurationRecord, 14496-15 8.3.3.1. */
function hvcC(format: VideoFormat): Uint8Array {
  const ofType = (type: number): Uint8Array[] => format.parameterSets.filter((set) => nalType('h265', set) === type);
  const first = ofType(33)[0];
  const info = first === undefined ? undefined : parseH265Sps(first);
  if (info === undefined || ofType(32).length === 0 || ofType(34).length === 0) throw unusable();
  const arrays = [32, 33, 34].map((type) => {
    const sets = ofType(type);
    // array_completeness 0 although the entry is hvc1: parameter sets also stay in the samples, as the camera sent them.
    return concatBytes([u8(type), u16(sets.length), ...sets.flatMap((set) => [u16(set.length), set])]);
  });
  return box(
    'hvcC',
    u8(1),
    info.profileTierLevel,
    u16(0xf000),
    u8(0xfc, 0xfc | info.chromaFormat, 0xf8 | (info.bitDepthLuma - 8), 0xf8 | (info.bitDepthChroma - 8)),
    u16(0),
    u8(((info.temporalLayers & 7) << 3) | (info.temporalIdNested ? 4 : 0) | 3, arrays.length),
    ...arrays,
  );
}

function unusable(): BluelightError {
  return new BluelightError('MEDIA_FORMAT', 'the parameter sets of the stream cannot be read', {
    fix: "choose H.264 or H.265 in the camera's video settings",
  });
}

/** Bytes of a `moof` with one `traf` before its samples: moof 8, mfhd 16, traf 8, tfhd 16, tfdt 20, trun 20. */
const MOOF_HEAD = 88;
const TRUN_ENTRY = 16;
const BOX_HEAD = 8;

/** tr_flags: data offset, and per sample duration, size, flags, composition offset (14496-12 8.8.8). */
const TRUN_FLAGS = 0x000f01;
const DEFAULT_BASE_IS_MOOF = 0x020000;

const [MOOF, MFHD, TRAF, TFHD, TFDT, TRUN, MDAT] = ['moof', 'mfhd', 'traf', 'tfhd', 'tfdt', 'trun', 'mdat'].map(
  (type) => readUint32(ascii(type), 0),
) as [number, number, number, number, number, number, number];

/** What the `moof` tells of an access unit; times in ticks. */
export interface Sample {
  size: number;
  key: boolean;
  dts: number;
  pts: number;
  duration: number;
}

/** Bytes before the pictures of a fragment with so many access units: the `moof` and the head of the `mdat`. */
export function fragmentHeadBytes(units: number): number {
  return MOOF_HEAD + TRUN_ENTRY * units + BOX_HEAD;
}

/** Writes at `out[at]` what `fragmentHeadBytes` counts; the pictures follow. `index` counts from 0 in the run. */
export function writeFragmentHead(out: Uint8Array, at: number, index: number, samples: readonly Sample[]): void {
  const view = new DataView(out.buffer, out.byteOffset + at);
  const count = samples.length;
  const moofSize = MOOF_HEAD + TRUN_ENTRY * count;
  const decodeTime = samples[0]?.dts ?? 0;
  const words = [
    ...[moofSize, MOOF],
    ...[16, MFHD, 0, index + 1],
    ...[moofSize - 24, TRAF],
    ...[16, TFHD, DEFAULT_BASE_IS_MOOF, TRACK_ID],
    ...[20, TFDT, 0x0100_0000, Math.floor(decodeTime / 0x1_0000_0000), decodeTime % 0x1_0000_0000],
    // Version 1: composition offsets are signed.
    ...[20 + TRUN_ENTRY * count, TRUN, 0x0100_0000 | TRUN_FLAGS, count, moofSize + BOX_HEAD],
  ];
  for (let i = 0; i < words.length; i++) view.setUint32(4 * i, words[i]!);
  let payload = 0;
  let to = MOOF_HEAD;
  for (const { size, key, dts, pts, duration } of samples) {
    view.setUint32(to, duration);
    view.setUint32(to + 4, size);
    view.setUint32(to + 8, key ? KEY_FLAGS : DELTA_FLAGS);
    view.setInt32(to + 12, pts - dts);
    to += TRUN_ENTRY;
    payload += size;
  }
  view.setUint32(to, BOX_HEAD + payload);
  view.setUint32(to + 4, MDAT);
}

/** `moof` + `mdat` of access units that follow each other. `index` counts from 0 in the run; times are ticks since its start. */
export function buildFragment(index: number, units: readonly AccessUnit[]): Uint8Array {
  const samples = units.map(({ data, key, dts, pts, duration }) => ({ size: data.length, key, dts, pts, duration }));
  let at = fragmentHeadBytes(units.length);
  const out = new Uint8Array(samples.reduce((sum, { size }) => sum + size, at));
  writeFragmentHead(out, 0, index, samples);
  for (const { data } of units) {
    out.set(data, at);
    at += data.length;
  }
  return out;
}
