import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle, box, sha, sign } from '../../test/proof/bundle.js';
import type { Manifest } from '../../src/contract/clip.js';
import { recordLink } from '../../src/proof/chain.js';

/** Of a segment of 10 s at 2.2 Mbit/s. */
const SEGMENT_BYTES = 2_750_000;

/** `bluelight verify` as it is called: start of the process, the whole file read and hashed, signatures, chain. */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const { values } = parseArgs({ args, options: { gb: { type: 'string' }, runs: { type: 'string' } } });
  const gb = Number(values.gb ?? 1);
  // On a disk: what fits into memory alone is no clip of an hour.
  const work = mkdtempSync('/var/tmp/bench-verify-');
  try {
    const clip = join(work, 'clip.mp4');
    const bytes = writeClip(clip, Math.ceil((gb * 1e9) / SEGMENT_BYTES));
    const runs = Array.from({ length: Number(values.runs ?? 5) }, () => once(clip)).sort(
      (a, b) => a.seconds - b.seconds,
    );
    const { seconds, rssMb } = runs[runs.length >> 1]!;
    return await Promise.resolve({
      bytes,
      seconds_per_gb: Math.round((seconds / bytes) * 1e12) / 1e3,
      rss_mb: rssMb,
    });
  } finally {
    rmSync(work, { recursive: true });
  }
}

function writeClip(path: string, segments: number): number {
  const { file, manifest, records } = bundle([Buffer.from('one')], []);
  const body = randomBytes(SEGMENT_BYTES);
  const bodySha = sha(body);
  const init = file.subarray(0, manifest.init.bytes);
  const whole = createHash('sha256').update(init);
  const fd = openSync(path, 'w');
  writeSync(fd, init);
  let prev = records[0]!.prev;
  const chain = Array.from({ length: segments }, (_, i) => {
    whole.update(body);
    for (let done = 0; done < body.length;) done += writeSync(fd, body, done);
    const record = { ...records[0]!, seq: 41 + i, bytes: body.length, sha256: bodySha, prev };
    prev = recordLink(record);
    return record;
  });
  closeSync(fd);
  const bytes = init.length + segments * body.length;
  const { anchor: _, ...rest } = manifest;
  const signed: Manifest = {
    ...rest,
    file: { ...manifest.file, bytes, sha256: whole.digest('hex') },
    segments: chain.map((record, i) => ({
      ...manifest.segments[0]!,
      ...{ seq: record.seq, offset: init.length + i * body.length, bytes: body.length, sha256: bodySha },
      ...{ link: recordLink(record), record },
    })),
  };
  writeFileSync(path.replace(/mp4$/, 'manifest.json'), JSON.stringify(sign(signed)));
  return bytes;
}

function once(clip: string): { seconds: number; rssMb: number } {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const script = `process.on('exit', () => process.stderr.write(String(process.resourceUsage().maxRSS)));`;
  const hook = `data:text/javascript,${encodeURIComponent(script)}`;
  const started = performance.now();
  const args = ['--import', hook, main, 'verify', clip, '--key', box.keyId, '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const seconds = (performance.now() - started) / 1000;
  const { verdict } = JSON.parse(stdout) as { verdict: string };
  if (status !== 0 || verdict !== 'authentic_completeness_not_proven')
    throw new Error(`${status} ${verdict} ${stderr}`);
  return { seconds, rssMb: Math.round(Number(stderr) / 1024) };
}
