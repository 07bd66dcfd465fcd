import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonical } from '../../src/proof/canonical.js';
import { verifyClip, type VerifyInput } from '../../src/proof/verify.js';
import { footage } from '../ring/support/media.js';
import { EvidenceBox } from './delivered.js';

/** Everything that is delivered of a clip, byte by byte as it lies in its files. */
const FILES = ['mp4', 'manifest', 'anchor'] as const;

export interface SmallClip {
  files: Record<(typeof FILES)[number], Uint8Array>;
  /** Public key of the box. */
  key: string;
}

/** A clip of two segments as small as a real one gets: recorded, delivered and anchored by the product's own way. */
export async function smallClip(): Promise<SmallClip> {
  const dir = mkdtempSync(join(tmpdir(), 'small-clip-'));
  const file = join(dir, 'footage.mp4');
  const scene = ['-v', 'error', '-f', 'lavfi', '-i', 'color=gray:size=64x64:rate=10', '-t', '20'];
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '10', '-bf', '0'];
  const movie = ['-video_track_timescale', '90000', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', file];
  execFileSync('ffmpeg', [...scene, ...encode, ...movie]);
  footage(file);
  rmSync(dir, { recursive: true });
  const box = new EvidenceBox({ segmentMs: 1_000 });
  try {
    box.record(4);
    const clip = await box.deliver(1, 3);
    box.record(1).checkpoint();
    const anchor = Buffer.from(canonical(box.anchor(clip)));
    const manifest = Buffer.from(JSON.stringify(clip.signed));
    return { files: { mp4: clip.bytes, manifest, anchor }, key: box.signer.keyId };
  } finally {
    box.remove();
  }
}

export function sizeOf({ files }: SmallClip): number {
  return FILES.reduce((sum, name) => sum + files[name].length, 0);
}

/** What the verifier says of these very bytes. */
export async function verdictOn({ files, key }: SmallClip): Promise<string> {
  const { mp4, manifest, anchor } = files;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  const file: VerifyInput['file'] = {
    size: mp4.length,
    read: (offset, length) => mp4.subarray(offset, offset + length),
  };
  return (await verifyClip({ file, signed: text(manifest), anchor: text(anchor), trusted: [key] })).verdict;
}

export interface ByteChanges {
  clip: SmallClip;
  /** What is added to each byte, modulo 256: value by value over all bytes, so that each byte is tried early. */
  steps: number[];
  /** Only every so many bytes, from the `first` on; 1: all. */
  stride?: number;
  first?: number;
  /** `Date.now` after which no further bytes are tried. */
  untilMs?: number | undefined;
}

/** Changes one byte at a time, in every file of the clip; each change must be found. */
export async function changeBytes(
  { clip, steps, stride = 1, first = 0, untilMs = Infinity }: ByteChanges,
  now: () => number,
): Promise<{ tried: number; problems: string[] }> {
  const result = { tried: 0, problems: [] as string[] };
  for (const by of steps) {
    for (const name of FILES) {
      const changed = Uint8Array.from(clip.files[name]);
      const other = { ...clip, files: { ...clip.files, [name]: changed } };
      for (let at = first; at < changed.length; at += stride) {
        if (now() > untilMs) return result;
        const was = changed[at]!;
        changed[at] = (was + by) & 255;
        const verdict = await verdictOn(other);
        changed[at] = was;
        result.tried++;
        if (verdict !== 'tampered') result.problems.push(`byte ${at} of the ${name} changed by ${by}: ${verdict}`);
      }
    }
  }
  return result;
}
