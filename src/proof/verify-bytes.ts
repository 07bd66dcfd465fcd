import { createHash, type Hash } from 'node:crypto';
import type { Manifest } from '../contract/clip.js';
import type { Finding, VerifyInput } from './findings.js';

const CHUNK = 1 << 20;

/** Init and segments must fill the file without holes: what no hash covers is proved by nothing. */
export function checkLayout(manifest: Manifest, findings: Finding[]): void {
  let at = manifest.init.bytes;
  for (const segment of manifest.segments) {
    if (segment.offset !== at) {
      findings.push({
        code: 'LAYOUT',
        level: 'tampered',
        message: `segment ${segment.seq} begins at ${segment.offset} and not at ${at}`,
        segment: segment.seq,
        offset: segment.offset,
      });
    }
    at = segment.offset + segment.bytes;
  }
  if (at !== manifest.file.bytes) {
    findings.push({ code: 'LAYOUT', level: 'tampered', message: 'the segments do not fill the file' });
  }
}

interface Part {
  name: string;
  seq?: number;
  from: number;
  to: number;
  sha256: string;
}

function partsOf(manifest: Manifest): Part[] {
  const init: Part = { name: 'the head of the file', from: 0, to: manifest.init.bytes, sha256: manifest.init.sha256 };
  const bodies = manifest.segments.map((s): Part => ({
    name: `segment ${s.seq} (${s.from} to ${s.to})`,
    seq: s.seq,
    from: s.offset,
    to: s.offset + s.bytes,
    sha256: s.sha256,
  }));
  return [init, ...bodies];
}

/** Reads the file once and compares it as a whole and part by part. */
export async function checkBytes(manifest: Manifest, input: VerifyInput, findings: Finding[]): Promise<void> {
  const { file } = input;
  if (file.size < manifest.file.bytes) {
    findings.push({
      code: 'TRUNCATED',
      level: 'tampered',
      message: `the file ends after ${file.size} of ${manifest.file.bytes} bytes`,
      offset: file.size,
    });
  } else if (file.size > manifest.file.bytes) {
    findings.push({
      code: 'EXTRA_BYTES',
      level: 'tampered',
      message: `${file.size - manifest.file.bytes} bytes were added behind the end`,
      offset: manifest.file.bytes,
    });
  }
  const parts = manifest.derived === undefined ? partsOf(manifest) : [];
  const whole = createHash('sha256');
  const meter = new PartMeter(parts);
  for (let at = 0; at < file.size;) {
    const chunk = await file.read(at, Math.min(CHUNK, file.size - at));
    if (chunk.length === 0) break;
    whole.update(chunk);
    meter.update(at, chunk);
    at += chunk.length;
    input.onProgress?.(at, file.size);
  }
  const bad = meter.mismatches(file.size);
  for (const part of bad) {
    findings.push({
      code: 'HASH',
      level: 'tampered',
      message: `${part.name} is not what was recorded`,
      offset: part.from,
      ...(part.seq === undefined ? {} : { segment: part.seq }),
    });
  }
  if (bad.length === 0 && file.size === manifest.file.bytes && whole.digest('hex') !== manifest.file.sha256) {
    findings.push({ code: 'HASH', level: 'tampered', message: 'the file is not the one that was signed' });
  }
}

/** Hashes the parts of a file while it goes by once. */
class PartMeter {
  readonly #parts: { part: Part; hash: Hash }[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts.map((part) => ({ part, hash: createHash('sha256') }));
  }

  update(at: number, chunk: Uint8Array): void {
    const end = at + chunk.length;
    for (const { part, hash } of this.#parts) {
      if (part.to <= at || part.from >= end) continue;
      hash.update(chunk.subarray(Math.max(0, part.from - at), Math.min(chunk.length, part.to - at)));
    }
  }

  /** Parts that are whole in the file but have another hash. */
  mismatches(size: number): Part[] {
    return this.#parts.flatMap(({ part, hash }) =>
      part.to <= size && hash.digest('hex') !== part.sha256 ? [part] : [],
    );
  }
}
