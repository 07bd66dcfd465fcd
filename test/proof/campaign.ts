import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seeded, type Random } from '../../scripts/lib/random.js';
import { canonical } from '../../src/proof/canonical.js';
import { verifyClip, type VerifyInput } from '../../src/proof/verify.js';
import { footage } from '../ring/support/media.js';
import { cleanCase, structuralCase, type Case } from './cases.js';
import { EvidenceBox } from './delivered.js';

export interface VerifyCampaign {
  seed: number;
  /** Other values that are tried for each byte of the three files of a real clip; 255: all. */
  values: number;
  /** Only every so many bytes; 1: all. */
  stride?: number;
  structural: number;
  clean: number;
  /** `Date.now` after which no further bytes are tried. */
  untilMs?: number;
  now: () => number;
}

export interface VerifyResult {
  fileBytes: number;
  /** Changed bytes that were tried; as many as `fileBytes * values` unless the time ran out. */
  byteChanges: number;
  structural: number;
  clean: number;
  problems: string[];
}

/** Everything that is not what the box delivered must be found, and nothing else. */
export async function verifyCampaign(options: VerifyCampaign): Promise<VerifyResult> {
  const random = seeded(options.seed);
  const problems: string[] = [];
  const result: VerifyResult = { fileBytes: 0, byteChanges: 0, structural: 0, clean: 0, problems };
  for (; result.structural < options.structural; result.structural++) await tryCase(structuralCase(random), problems);
  for (; result.clean < options.clean; result.clean++) await tryCase(cleanCase(random), problems);
  await changeBytes(options, random, result);
  return result;
}

async function tryCase({ what, input, expected }: Case, problems: string[]): Promise<void> {
  const { verdict, findings } = await verifyClip(input);
  if (verdict === expected) return;
  problems.push(`${what}: ${verdict} (${findings.map((f) => f.code).join()}) and not ${expected}`);
}

/** A clip of two segments as small as a real one gets: recorded, delivered and anchored by the product's own way. */
async function smallClip(): Promise<{ box: EvidenceBox; files: Record<'mp4' | 'manifest' | 'anchor', Buffer> }> {
  const dir = mkdtempSync(join(tmpdir(), 'small-clip-'));
  const file = join(dir, 'footage.mp4');
  const scene = ['-v', 'error', '-f', 'lavfi', '-i', 'color=gray:size=64x64:rate=10', '-t', '20'];
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '10', '-bf', '0'];
  const movie = ['-video_track_timescale', '90000', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', file];
  execFileSync('ffmpeg', [...scene, ...encode, ...movie]);
  footage(file);
  rmSync(dir, { recursive: true });
  const box = new EvidenceBox({ segmentMs: 1_000 });
  box.record(4);
  const clip = await box.deliver(1, 3);
  box.record(1).checkpoint();
  const anchor = Buffer.from(canonical(box.anchor(clip)));
  return { box, files: { mp4: clip.bytes, manifest: Buffer.from(JSON.stringify(clip.signed)), anchor } };
}

async function changeBytes(options: VerifyCampaign, random: Random, result: VerifyResult): Promise<void> {
  const { stride = 1 } = options;
  const { box, files } = await smallClip();
  const verify = ({ mp4, manifest, anchor }: typeof files): ReturnType<typeof verifyClip> =>
    verifyClip({
      file: bytesOf(mp4),
      signed: manifest.toString('utf8'),
      anchor: anchor.toString('utf8'),
      trusted: [box.signer.keyId],
    });
  try {
    const whole = await verify(files);
    if (whole.verdict !== 'authentic') result.problems.push(`the unchanged clip is ${whole.verdict}`);
    result.fileBytes = Object.values(files).reduce((sum, file) => sum + file.length, 0);
    // Value by value over all bytes, so that each byte has been tried once before the time runs out.
    for (const by of steps(random, options.values)) {
      for (const name of ['mp4', 'manifest', 'anchor'] as const) {
        for (let at = random.below(stride); at < files[name].length; at += stride) {
          if (options.untilMs !== undefined && options.now() > options.untilMs) return;
          const changed = Buffer.from(files[name]);
          changed[at] = (changed[at]! + by) & 255;
          const { verdict } = await verify({ ...files, [name]: changed });
          result.byteChanges++;
          if (verdict !== 'tampered') result.problems.push(`byte ${at} of the ${name} changed by ${by}: ${verdict}`);
        }
      }
    }
  } finally {
    box.remove();
  }
}

/** `count` different ones of 1 to 255. */
function steps(random: Random, count: number): number[] {
  const all = Array.from({ length: 255 }, (_, i) => i + 1);
  return Array.from({ length: Math.min(count, 255) }, () => all.splice(random.below(all.length), 1)[0]!);
}

function bytesOf(data: Uint8Array): VerifyInput['file'] {
  return { size: data.length, read: (offset, length) => data.subarray(offset, offset + length) };
}
