import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fillRing } from '../../test/ring/support/bulk.js';
import { makeFootage } from '../../test/ring/support/media.js';
import { writeFileSync } from 'node:fs';

/**
 * Start of the recorder on a ring with a million segments, in a process of its own: from the start of the process's
 * work to the first byte of footage written to its segment file.
 */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const { values } = parseArgs({ args, options: { segments: { type: 'string' }, runs: { type: 'string' } } });
  const segments = Number(values.segments ?? 1_000_000);
  const work = mkdtempSync(join(tmpdir(), 'bench-startup-'));
  try {
    writeFileSync(join(work, 'footage.mp4'), makeFootage());
    fillRing({ directory: join(work, 'ring'), segments, streams: 32 });
    const runs = Array.from({ length: Number(values.runs ?? 5) }, () => once(work));
    const median = (pick: (run: Once) => number): number => {
      const sorted = runs.map(pick).sort((a, b) => a - b);
      return sorted[Math.floor(sorted.length / 2)]!;
    };
    return await Promise.resolve({
      segments,
      first_byte_ms: Math.round(median((r) => r.firstByteMs)),
      open_ms: Math.round(median((r) => r.openMs)),
      rss_mb: Math.round(median((r) => r.rssMb)),
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

interface Once {
  firstByteMs: number;
  openMs: number;
  rssMb: number;
}

function once(work: string): Once {
  const child = fileURLToPath(new URL('../../test/ring/support/start-child.ts', import.meta.url));
  const args = ['--import', 'tsx', child, join(work, 'ring'), join(work, 'footage.mp4')];
  const result = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout) as Once;
}
