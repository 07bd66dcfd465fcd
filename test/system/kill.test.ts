import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { descendants } from '../../scripts/lib/meter.js';
import { until } from '../../scripts/lib/program.js';
import { openSite, segmentFiles, stampsOf, streamsOf } from './site.js';

const KILLS = 10;
/** One fragment, and the way from the camera to the disk. */
const MOST_LOST_MS = 1_100;

test(
  `kill -9 at ${KILLS} random times loses at most one fragment per stream, and recording goes on`,
  { timeout: 400_000 },
  async () => {
    await using opened = await openSite({ cameras: 4, address: '127.0.31.11' });
    const { site, ring } = opened;
    const seed = Date.now() % 2 ** 31;
    console.log(`seed ${seed}`);
    const random = lehmer(seed);
    let worst = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 500 + random() * 3_500));
      const family = descendants(site.agent.pid);
      const killedAt = Date.now();
      await site.agent.stop('SIGKILL');
      const orphans = await until(
        async () => (family.some((pid) => existsSync(`/proc/${pid}`)) ? undefined : []),
        2_000,
      );
      expect(orphans, 'children that outlived the agent').toEqual([]);
      const lost = streamsOf(ring).map((stream) => {
        // The newest file may have been begun at this very moment, and hold nothing yet.
        const newest = segmentFiles(ring, stream)
          .slice(-2)
          .flatMap((file) => stampsOf(file))
          .at(-1);
        return newest === undefined ? Infinity : killedAt - Number(newest.captureUs / 1000n);
      });
      worst = Math.max(worst, ...lost);
      await site.startAgent();
      expect(
        await site.recording(8, 30_000),
        `recording after kill ${kill + 1}\n${site.agent.log().slice(-3_000)}`,
      ).toBeDefined();
    }
    console.log(`lost at most ${worst} ms of any stream`);
    expect(worst).toBeLessThanOrEqual(MOST_LOST_MS);

    const gaps = (await site.cli<{ gaps: { reason: string }[] }>(['coverage', 'cam-1', '--from', '-10m'])).gaps;
    expect(gaps.filter((gap) => gap.reason === 'agent_crashed')).toHaveLength(KILLS);
    await site.agent.stop();
    const files = streamsOf(ring).flatMap((stream) => segmentFiles(ring, stream));
    expect(indexedSegments(ring), 'files and rows').toBe(files.length);
    for (const file of files) expect(decodeErrors(file), file).toBe('');
  },
);

/** Park and Miller's generator: the seed that was printed gives the same times again. */
function lehmer(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

function indexedSegments(ring: string): number {
  const db = new Database(join(ring, 'ring.db'), { readonly: true });
  try {
    return (db.prepare('select count(*) as n from segments where state = 1').get() as { n: number }).n;
  } finally {
    db.close();
  }
}

/** What a full decode by ffmpeg complains of. */
function decodeErrors(file: string): string {
  return spawnSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-'], { encoding: 'utf8' }).stderr;
}
