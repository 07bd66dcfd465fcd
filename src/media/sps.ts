import { BitReader } from './bits.js';
import { isSequenceParameterSet } from './nal.js';
import { unescapeRbsp } from './sei.js';
import type { Codec, VideoFormat } from './stream.js';

export interface SpsInfo {
  /** Pixels after cropping. */
  width: number;
  height: number;
  profile: number;
  level: number;
  /** RFC 6381 */
  codecString: string;
  chromaFormat: number;
  bitDepthLuma: number;
  bitDepthChroma: number;
  /** Largest number of pictures that precede another in decoding order and follow it in output order; undefined if not said. */
  reorderFrames: number | undefined;
}

export interface H265SpsInfo extends SpsInfo {
  /** general_profile_space .. general_level_idc: the 12 bytes that `hvcC` repeats (H.265 7.3.3, ISO/IEC 14496-15 8.3.3.1). */
  profileTierLevel: Uint8Array;
  temporalLayers: number;
  temporalIdNested: boolean;
}

/** Profiles whose SPS carries chroma format and bit depth (H.264 7.3.2.1.1). */
const H264_HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

/** Size and profile of a sequence parameter set; undefined if it is broken. */
export function parseSps(codec: Codec, sps: Uint8Array): SpsInfo | undefined {
  return codec === 'h264' ? parseH264Sps(sps) : parseH265Sps(sps);
}

/** The format that parameter sets describe; undefined if there is no usable SPS among them. */
export function videoFormat(codec: Codec, parameterSets: readonly Uint8Array[]): VideoFormat | undefined {
  const sps = parameterSets.find((set) => isSequenceParameterSet(codec, set));
  const info = sps === undefined ? undefined : parseSps(codec, sps);
  if (info === undefined) return undefined;
  return {
    codec,
    width: info.width,
    height: info.height,
    codecString: info.codecString,
    parameterSets: parameterSets.map((set) => new Uint8Array(set)),
  };
}

/** H.264 7.3.2.1.1 seq_parameter_set_data. */
export function parseH264Sps(nal: Uint8Array): SpsInfo | undefined {
  const rbsp = unescapeRbsp(nal.subarray(1));
  if (rbsp.length < 4) return undefined;
  const r = new BitReader(rbsp);
  const profile = r.bits(8);
  const constraints = r.bits(8);
  const level = r.bits(8);
  r.ue(); // seq_parameter_set_id
  const chroma = H264_HIGH_PROFILES.has(profile) ? readH264Chroma(r) : { format: 1, separate: 0, luma: 8, chroma: 8 };
  r.ue(); // log2_max_frame_num_minus4
  skipPicOrderCount(r);
  r.ue(); // max_num_ref_frames
  r.skip(1);
  const widthMbs = r.ue() + 1;
  const heightUnits = r.ue() + 1;
  const frameMbsOnly = r.bit();
  if (frameMbsOnly === 0) r.skip(1);
  r.skip(1); // direct_8x8_inference_flag
  const crop = r.bit() === 1 ? [r.ue(), r.ue(), r.ue(), r.ue()] : [0, 0, 0, 0];
  const [left = 0, right = 0, top = 0, bottom = 0] = crop;
  // Cropping units: table 6-1 and equations 7-19 to 7-22.
  const array = chroma.separate === 1 ? 0 : chroma.format;
  const unitX = array === 1 || array === 2 ? 2 : 1;
  const unitY = (array === 1 ? 2 : 1) * (2 - frameMbsOnly);
  const width = widthMbs * 16 - unitX * (left + right);
  const height = (2 - frameMbsOnly) * heightUnits * 16 - unitY * (top + bottom);
  if (r.exhausted || !plausible(width, height)) return undefined;
  const reorderFrames = r.bit() === 1 ? readH264Reorder(r) : undefined;
  return {
    width,
    height,
    profile,
    level,
    codecString: `avc1.${hexByte(profile)}${hexByte(constraints)}${hexByte(level)}`,
    chromaFormat: chroma.format,
    bitDepthLuma: chroma.luma,
    bitDepthChroma: chroma.chroma,
    reorderFrames: profile === 66 ? 0 : reorderFrames,
  };
}

function readH264Chroma(r: BitReader): { format: number; separate: number; luma: number; chroma: number } {
  const format = r.ue();
  const separate = format === 3 ? r.bit() : 0;
  const luma = r.ue() + 8;
  const chroma = r.ue() + 8;
  r.skip(1); // qpprime_y_zero_transform_bypass_flag
  if (r.bit() === 1) {
    const lists = format === 3 ? 12 : 8;
    for (let i = 0; i < lists; i++) if (r.bit() === 1) skipScalingList(r, i < 6 ? 16 : 64);
  }
  return { format, separate, luma, chroma };
}

/** H.264 7.3.2.1.1.1 */
function skipScalingList(r: BitReader, size: number): void {
  let last = 8;
  let next = 8;
  for (let i = 0; i < size && !r.exhausted; i++) {
    if (next !== 0) next = (last + r.se() + 256) % 256;
    last = next === 0 ? last : next;
  }
}

function skipPicOrderCount(r: BitReader): void {
  const type = r.ue();
  if (type === 0) r.ue();
  if (type !== 1) return;
  r.skip(1);
  r.se();
  r.se();
  const cycle = r.ue();
  for (let i = 0; i < cycle && !r.exhausted; i++) r.se();
}

/** max_num_reorder_frames of the VUI (H.264 E.1.1); undefined if the VUI does not say or is cut. */
function readH264Reorder(r: BitReader): number | undefined {
  if (r.bit() === 1 && r.bits(8) === 255) r.skip(32); // aspect_ratio_idc = Extended_SAR
  if (r.bit() === 1) r.skip(1); // overscan
  if (r.bit() === 1) {
    r.skip(4);
    if (r.bit() === 1) r.skip(24);
  }
  if (r.bit() === 1) {
    r.ue();
    r.ue();
  }
  if (r.bit() === 1) r.skip(65); // timing_info
  const nalHrd = r.bit();
  if (nalHrd === 1) skipHrd(r);
  const vclHrd = r.bit();
  if (vclHrd === 1) skipHrd(r);
  if (nalHrd === 1 || vclHrd === 1) r.skip(1);
  r.skip(1); // pic_struct_present_flag
  if (r.bit() === 0) return undefined;
  r.skip(1);
  for (let i = 0; i < 4; i++) r.ue();
  const reorder = r.ue();
  return r.exhausted || reorder > 16 ? undefined : reorder;
}

/** H.264 E.1.2 */
function skipHrd(r: BitReader): void {
  const count = r.ue() + 1;
  r.skip(8);
  for (let i = 0; i < count && !r.exhausted; i++) {
    r.ue();
    r.ue();
    r.skip(1);
  }
  r.skip(20);
}

/** H.265 7.3.2.2 seq_parameter_set_rbsp. */
export function parseH265Sps(nal: Uint8Array): H265SpsInfo | undefined {
  const rbsp = unescapeRbsp(nal.subarray(2));
  if (rbsp.length < 14) return undefined;
  const r = new BitReader(rbsp);
  r.skip(4);
  const subLayers = r.bits(3);
  const nested = r.bit() === 1;
  const profileTierLevel = new Uint8Array(rbsp.subarray(1, 13));
  r.skip(96);
  skipSubLayers(r, subLayers);
  r.ue(); // sps_seq_parameter_set_id
  const chromaFormat = r.ue();
  const separate = chromaFormat === 3 ? r.bit() : 0;
  const codedWidth = r.ue();
  const codedHeight = r.ue();
  const [left = 0, right = 0, top = 0, bottom = 0] = r.bit() === 1 ? [r.ue(), r.ue(), r.ue(), r.ue()] : [];
  const unitX = separate === 0 && (chromaFormat === 1 || chromaFormat === 2) ? 2 : 1;
  const unitY = separate === 0 && chromaFormat === 1 ? 2 : 1;
  const width = codedWidth - unitX * (left + right);
  const height = codedHeight - unitY * (top + bottom);
  const bitDepthLuma = r.ue() + 8;
  const bitDepthChroma = r.ue() + 8;
  r.ue(); // log2_max_pic_order_cnt_lsb_minus4
  const perLayer = r.bit();
  let reorderFrames = 0;
  for (let i = perLayer === 1 ? 0 : subLayers; i <= subLayers; i++) {
    r.ue();
    reorderFrames = r.ue();
    r.ue();
  }
  if (r.exhausted || !plausible(width, height) || chromaFormat > 3) return undefined;
  return {
    width,
    height,
    profile: (profileTierLevel[0] ?? 0) & 0x1f,
    level: profileTierLevel[11] ?? 0,
    codecString: h265CodecString(profileTierLevel),
    chromaFormat,
    bitDepthLuma,
    bitDepthChroma,
    reorderFrames: reorderFrames > 16 ? undefined : reorderFrames,
    profileTierLevel,
    temporalLayers: subLayers + 1,
    temporalIdNested: nested,
  };
}

/** The sub-layer part of profile_tier_level (H.265 7.3.3). */
function skipSubLayers(r: BitReader, subLayers: number): void {
  if (subLayers === 0) return;
  const present: [number, number][] = [];
  for (let i = 0; i < 8; i++) {
    const flags: [number, number] = [r.bit(), r.bit()];
    if (i < subLayers) present.push(flags);
  }
  for (const [profile, level] of present) r.skip(profile * 88 + level * 8);
}

/** ISO/IEC 14496-15 annex E.3: hvc1.{space+profile}.{compatibility, bits reversed}.{tier+level}.{constraint bytes}. */
function h265CodecString(ptl: Uint8Array): string {
  const first = ptl[0] ?? 0;
  const space = ['', 'A', 'B', 'C'][first >> 6] ?? '';
  let compatibility = 0;
  for (let i = 0; i < 32; i++) {
    const bit = ((ptl[1 + (i >> 3)] ?? 0) >> (7 - (i & 7))) & 1;
    compatibility += bit * 2 ** i;
  }
  const constraints = [...ptl.subarray(5, 11)];
  while (constraints.length > 0 && constraints[constraints.length - 1] === 0) constraints.pop();
  const tier = (first & 0x20) !== 0 ? 'H' : 'L';
  const tail = constraints.map((byte) => `.${byte.toString(16).toUpperCase()}`).join('');
  return `hvc1.${space}${first & 0x1f}.${compatibility.toString(16).toUpperCase()}.${tier}${ptl[11] ?? 0}${tail}`;
}

/** Level 6.2 of both codecs ends at 16888 pixels a side; what claims more is garbage. */
function plausible(width: number, height: number): boolean {
  return width >= 16 && height >= 16 && width <= 16_888 && height <= 16_888;
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
