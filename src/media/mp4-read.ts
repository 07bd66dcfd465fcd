import { concatBytes, nalType, readUint32 } from './nal.js';
import { videoFormat } from './sps.js';
import type { AccessUnit, Codec, VideoFormat } from './stream.js';

export interface Box {
  type: string;
  /** Of the box, header included, in the bytes that were walked. */
  start: number;
  /** First byte of the content. */
  body: number;
  end: number;
}

/** A size beyond this is a lie: no box of a camera's stream is larger. */
const MAX_BOX_BYTES = 1 << 30;

/** The header at `at`; undefined if it is cut or impossible. `end` may lie beyond the data. */
function boxAt(data: Uint8Array, at: number): Box | undefined {
  if (at + 8 > data.length) return undefined;
  let size = readUint32(data, at);
  const type = String.fromCharCode(...data.subarray(at + 4, at + 8));
  let body = at + 8;
  if (size === 1) {
    if (at + 16 > data.length) return undefined;
    size = readUint32(data, at + 8) * 0x1_0000_0000 + readUint32(data, at + 12);
    body = at + 16;
  }
  if (size < body - at || size > MAX_BOX_BYTES || !/^[\x20-\x7e]{4}$/.test(type)) return undefined;
  return { type, start: at, body, end: at + size };
}

/** The whole boxes in `data[from, to)`, in order; stops at the first that is cut or broken. */
export function walkBoxes(data: Uint8Array, from = 0, to = data.length): Box[] {
  const boxes: Box[] = [];
  for (let at = from; at < to;) {
    const next = boxAt(data, at);
    if (next === undefined || next.end > to) break;
    boxes.push(next);
    at = next.end;
  }
  return boxes;
}

/** The first box at a path of nested types, e.g. `['moov', 'trak', 'mdia']`. */
function findBox(data: Uint8Array, path: readonly string[], from = 0, to = data.length): Box | undefined {
  const [type, ...rest] = path;
  const found = walkBoxes(data, from, to).find((one) => one.type === type);
  if (found === undefined || rest.length === 0) return found;
  return findBox(data, rest, found.body, found.end);
}

export interface InitInfo {
  format: VideoFormat;
  /** Ticks per second of the track. */
  timescale: number;
  trackId: number;
}

/** Reads `ftyp` + `moov` (of ours or of ffmpeg); undefined if there is no H.264 or H.265 track with usable parameter sets. */
export function parseInit(data: Uint8Array): InitInfo | undefined {
  const mdia = ['moov', 'trak', 'mdia'];
  const mdhd = findBox(data, [...mdia, 'mdhd']);
  const tkhd = findBox(data, ['moov', 'trak', 'tkhd']);
  const stsd = findBox(data, [...mdia, 'minf', 'stbl', 'stsd']);
  if (mdhd === undefined || tkhd === undefined || stsd === undefined) return undefined;
  const timescale = readUint32(data, mdhd.body + (data[mdhd.body] === 1 ? 20 : 12));
  const trackId = readUint32(data, tkhd.body + (data[tkhd.body] === 1 ? 20 : 12));
  const entry = walkBoxes(data, stsd.body + 8, stsd.end)[0];
  if (entry === undefined || timescale === 0) return undefined;
  // A VisualSampleEntry has 78 bytes before its boxes (14496-12 12.1.3).
  const config = walkBoxes(data, entry.body + 78, entry.end).find((one) => one.type === 'avcC' || one.type === 'hvcC');
  if (config === undefined) return undefined;
  const codec: Codec = config.type === 'avcC' ? 'h264' : 'h265';
  const record = data.subarray(config.body, config.end);
  const format = videoFormat(codec, codec === 'h264' ? setsOfAvcC(record) : setsOfHvcC(record));
  return format === undefined ? undefined : { format, timescale, trackId };
}

function setsOfAvcC(record: Uint8Array): Uint8Array[] {
  const sets: Uint8Array[] = [];
  const spsCount = (record[5] ?? 0) & 0x1f;
  const at = readSets(record, 6, spsCount, sets);
  readSets(record, at + 1, record[at] ?? 0, sets);
  return sets.filter((set) => [7, 8].includes(nalType('h264', set)));
}

function setsOfHvcC(record: Uint8Array): Uint8Array[] {
  const sets: Uint8Array[] = [];
  let at = 23;
  for (let i = 0; i < (record[22] ?? 0) && at < record.length; i++) {
    at = readSets(record, at + 3, ((record[at + 1] ?? 0) << 8) | (record[at + 2] ?? 0), sets);
  }
  // hvcC may also list SEI; only VPS, SPS and PPS are parameter sets.
  return sets.filter((set) => [32, 33, 34].includes(nalType('h265', set)));
}

function readSets(record: Uint8Array, from: number, count: number, into: Uint8Array[]): number {
  let at = from;
  for (let i = 0; i < count && at + 2 <= record.length; i++) {
    const length = ((record[at] ?? 0) << 8) | (record[at + 1] ?? 0);
    into.push(new Uint8Array(record.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return at;
}

export interface SampleInfo {
  size: number;
  duration: number;
  /** pts - dts, ticks. */
  compositionOffset: number;
  key: boolean;
}

export interface MoofInfo {
  sequence: number;
  /** Ticks (`tfdt`). */
  decodeTime: number;
  /** Sum of the sample durations, ticks. */
  duration: number;
  key: boolean;
  /** Where the samples start, counted from the first byte of the `moof`. */
  dataOffset: number;
  samples: SampleInfo[];
}

/** Reads a `moof` box (given whole, from its header on); undefined if it is not one or its numbers contradict each other. */
export function parseMoof(data: Uint8Array): MoofInfo | undefined {
  const mfhd = findBox(data, ['moof', 'mfhd']);
  const traf = findBox(data, ['moof', 'traf']);
  if (mfhd === undefined || traf === undefined) return undefined;
  const inner = walkBoxes(data, traf.body, traf.end);
  const tfhd = inner.find((one) => one.type === 'tfhd');
  const tfdt = inner.find((one) => one.type === 'tfdt');
  const trun = inner.find((one) => one.type === 'trun');
  if (tfhd === undefined || tfdt === undefined || trun === undefined) return undefined;
  const wide = data[tfdt.body] === 1;
  const decodeTime = wide
    ? readUint32(data, tfdt.body + 4) * 0x1_0000_0000 + readUint32(data, tfdt.body + 8)
    : readUint32(data, tfdt.body + 4);
  const run = parseTrun(data, trun, parseTfhd(data, tfhd));
  if (run === undefined || !Number.isSafeInteger(decodeTime)) return undefined;
  return {
    sequence: readUint32(data, mfhd.body + 4),
    decodeTime,
    duration: run.samples.reduce((sum, sample) => sum + sample.duration, 0),
    key: run.samples[0]?.key ?? false,
    dataOffset: run.dataOffset,
    samples: run.samples,
  };
}

interface SampleDefaults {
  duration: number;
  size: number;
  flags: number;
}

/** 14496-12 8.8.7 */
function parseTfhd(data: Uint8Array, tfhd: Box): SampleDefaults {
  const flags = readUint32(data, tfhd.body) & 0xffffff;
  let at = tfhd.body + 8;
  if ((flags & 0x01) !== 0) at += 8;
  if ((flags & 0x02) !== 0) at += 4;
  const next = (present: number): number => {
    if ((flags & present) === 0) return 0;
    at += 4;
    return readUint32(data, at - 4);
  };
  return { duration: next(0x08), size: next(0x10), flags: next(0x20) };
}

/** 14496-12 8.8.8 */
function parseTrun(
  data: Uint8Array,
  trun: Box,
  defaults: SampleDefaults,
): { dataOffset: number; samples: SampleInfo[] } | undefined {
  const flags = readUint32(data, trun.body) & 0xffffff;
  const count = readUint32(data, trun.body + 4);
  let at = trun.body + 8;
  const next = (present: number, otherwise: number): number => {
    if ((flags & present) === 0) return otherwise;
    at += 4;
    return readUint32(data, at - 4);
  };
  const dataOffset = next(0x01, 0);
  const firstFlags = next(0x04, defaults.flags);
  const perSample = [0x100, 0x200, 0x400, 0x800].filter((bit) => (flags & bit) !== 0).length * 4;
  if (count > 100_000 || at + count * perSample > trun.end) return undefined;
  const samples: SampleInfo[] = [];
  for (let i = 0; i < count; i++) {
    const duration = next(0x100, defaults.duration);
    const size = next(0x200, defaults.size);
    const sampleFlags = next(0x400, i === 0 ? firstFlags : defaults.flags);
    // Signed in version 1; some writers put negative values into version 0 too, and none needs more than 2^31.
    const compositionOffset = next(0x800, 0) | 0;
    samples.push({ size, duration, compositionOffset, key: (sampleFlags & 0x1_0000) === 0 });
  }
  return { dataOffset, samples };
}

export interface FragmentInfo extends MoofInfo {
  /** First byte of the `moof`. */
  offset: number;
  /** `moof` + `mdat` */
  bytes: number;
}

export interface FileInfo {
  init: InitInfo | undefined;
  /** Length of `ftyp` + `moov`. */
  initBytes: number;
  fragments: FragmentInfo[];
  /** Where the last whole fragment ends; what follows is cut or garbage. */
  wholeBytes: number;
}

/** Reads a segment file that may be cut anywhere or end in zeros: whole fragments whose samples are really there. */
export function parseFile(data: Uint8Array): FileInfo {
  const boxes = walkBoxes(data);
  const first = boxes.findIndex((one) => one.type === 'moof');
  const head = first === -1 ? boxes : boxes.slice(0, first);
  const initBytes = head.find((one) => one.type === 'moov')?.end ?? 0;
  const init = initBytes === 0 ? undefined : parseInit(data.subarray(0, initBytes));
  const info: FileInfo = { init, initBytes, fragments: [], wholeBytes: initBytes };
  if (init === undefined) return { ...info, wholeBytes: 0 };
  const listed = listFragments(data, initBytes);
  const hollow = listed.findIndex((one) => !samplesAreFilled(data, one));
  info.fragments = hollow === -1 ? listed : listed.slice(0, hollow);
  const last = info.fragments[info.fragments.length - 1];
  if (last !== undefined) info.wholeBytes = last.offset + last.bytes;
  return info;
}

/** The whole fragments from `from` on, without a hole between them. Offsets count from the start of `data`. */
export function listFragments(data: Uint8Array, from = 0): FragmentInfo[] {
  const boxes = walkBoxes(data, from);
  const fragments: FragmentInfo[] = [];
  for (let i = 0; i + 1 < boxes.length; i += 2) {
    const moof = boxes[i];
    const mdat = boxes[i + 1];
    if (moof?.type !== 'moof' || mdat?.type !== 'mdat') break;
    const info = parseMoof(data.subarray(moof.start, moof.end));
    if (info === undefined || !samplesFit(info, mdat.end - moof.start)) break;
    fragments.push({ ...info, offset: moof.start, bytes: mdat.end - moof.start });
  }
  return fragments;
}

function samplesFit(info: MoofInfo, bytes: number): boolean {
  return info.dataOffset + info.samples.reduce((sum, sample) => sum + sample.size, 0) <= bytes;
}

/**
 * Whether every sample is a row of NAL units and none ends in zeros: some file systems leave zeros where the data of
 * the last writes was lost with the power. A NAL unit itself never ends in 0 (H.264 7.4.1); a few zeros may follow it.
 */
function samplesAreFilled(data: Uint8Array, fragment: FragmentInfo): boolean {
  let at = fragment.offset + fragment.dataOffset;
  for (const sample of fragment.samples) {
    const end = at + sample.size;
    while (at < end) {
      const length = readUint32(data, at);
      if (length === 0 || at + 4 + length > end || (length >= 4 && readUint32(data, at + length) === 0)) return false;
      at += 4 + length;
    }
  }
  return true;
}

/** The access units of one fragment (`moof` + `mdat`, as in `Fragment.bytes`); `data` are views. */
export function accessUnitsOf(
  fragment: Uint8Array,
  at: { wallMs: number; monoMs: number } = { wallMs: 0, monoMs: 0 },
): AccessUnit[] {
  const info = listFragments(fragment)[0];
  if (info === undefined) return [];
  const units: AccessUnit[] = [];
  let offset = info.dataOffset;
  let dts = info.decodeTime;
  for (const sample of info.samples) {
    const elapsedMs = (dts - info.decodeTime) / 90;
    units.push({
      data: fragment.subarray(offset, offset + sample.size),
      key: sample.key,
      dts,
      pts: dts + sample.compositionOffset,
      duration: sample.duration,
      wallMs: at.wallMs + elapsedMs,
      monoMs: at.monoMs + elapsedMs,
    });
    offset += sample.size;
    dts += sample.duration;
  }
  return units;
}

/** Cuts a stream of boxes that arrives in pieces into whole top-level boxes. */
export class BoxReader {
  #parts: Uint8Array[] = [];
  #length = 0;
  #need = 8;
  readonly #maxBytes: number;

  /** `maxBytes` bounds a single box. */
  constructor(maxBytes = 16 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** The boxes that became whole; undefined once the stream is broken or a box is larger than allowed. */
  push(chunk: Uint8Array): { type: string; bytes: Uint8Array }[] | undefined {
    this.#parts.push(chunk);
    this.#length += chunk.length;
    // Joining only when a box can be whole keeps large pictures from being copied once per chunk.
    if (this.#length < this.#need) return [];
    const data = concatBytes(this.#parts);
    const boxes: { type: string; bytes: Uint8Array }[] = [];
    let at = 0;
    this.#need = 8;
    while (at + 16 <= data.length) {
      const head = boxAt(data, at);
      if (head === undefined || head.end - at > this.#maxBytes) return undefined;
      if (head.end > data.length) {
        this.#need = head.end - at;
        break;
      }
      boxes.push({ type: head.type, bytes: data.subarray(at, head.end) });
      at = head.end;
    }
    this.#parts = at < data.length ? [data.subarray(at)] : [];
    this.#length = data.length - at;
    return boxes;
  }
}
