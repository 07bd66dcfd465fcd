import { createHash } from 'node:crypto';
import { parseFile, type FragmentInfo } from '../media/mp4.js';
import { readIfThere, type DiskIo } from './disk-io.js';
import { encodeFragments } from './fragment-list.js';

/** What is whole in a segment's file, whatever a crash did to its end. */
export interface ScannedSegment {
  init: Uint8Array;
  initSha256: Buffer;
  fileBytes: number;
  /** Where the last whole fragment ends. */
  wholeBytes: number;
  bodyBytes: number;
  bodySha256: string;
  decodeTicks: number;
  durationTicks: number;
  fragments: Buffer;
  count: number;
}

/** Reads a segment's file up to its last whole fragment; undefined when there is no file or no init in it. */
export function scanSegment(io: DiskIo, path: string): ScannedSegment | undefined {
  const data = readIfThere(io, path);
  if (data === undefined) return undefined;
  const file = parseFile(data);
  if (file.init === undefined) return undefined;
  const fragments = soundFragments(data, file.fragments);
  const last = fragments.at(-1);
  const wholeBytes = last === undefined ? file.initBytes : last.offset + last.bytes;
  const init = data.slice(0, file.initBytes);
  return {
    init,
    initSha256: createHash('sha256').update(init).digest(),
    fileBytes: data.length,
    wholeBytes,
    bodyBytes: wholeBytes - file.initBytes,
    bodySha256: createHash('sha256').update(data.subarray(file.initBytes, wholeBytes)).digest('hex'),
    decodeTicks: fragments[0]?.decodeTime ?? 0,
    durationTicks: last === undefined ? 0 : last.decodeTime + last.duration - fragments[0]!.decodeTime,
    fragments: encodeFragments(fragments.map((f) => ({ bytes: f.bytes, ticks: f.duration, key: f.key }))),
    count: fragments.length,
  };
}

/**
 * Fragments up to the first whose pictures are not there: after a power cut a file can have its length but zeros in
 * place of its last blocks, and the boxes alone do not tell.
 */
function soundFragments(data: Uint8Array, fragments: readonly FragmentInfo[]): FragmentInfo[] {
  const bad = fragments.findIndex((fragment) => !hasPictures(data, fragment));
  return bad === -1 ? [...fragments] : fragments.slice(0, bad);
}

/** Every sample is a row of NAL units, each behind its 4-byte length (ISO/IEC 14496-15 §5.3.2), none of them empty. */
function hasPictures(data: Uint8Array, fragment: FragmentInfo): boolean {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = fragment.offset + fragment.dataOffset;
  for (const sample of fragment.samples) {
    const end = at + sample.size;
    while (at < end) {
      const length = at + 4 <= end ? view.getUint32(at) : 0;
      if (length === 0) return false;
      at += 4 + length;
    }
    if (at !== end) return false;
  }
  return true;
}
