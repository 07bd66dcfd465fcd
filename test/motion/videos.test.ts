import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { analyzeFile } from '../../src/motion/analyze.js';
import { inTemp, processes } from './video.js';

/** Labelled videos beside the repository; they are too large to be part of it. */
const shared = fileURLToPath(new URL('../../../shared', import.meta.url));
const here = existsSync(join(shared, 'score-motion'));

test.skipIf(!here)(
  'every labelled event of the videos is found, nothing else is told',
  { timeout: 240_000 },
  async () => {
    await inTemp(async (directory) => {
      const videos = join(shared, 'videos');
      const names = readdirSync(videos)
        .filter((name) => name.endsWith('.mp4') && !name.includes('-main'))
        .map((name) => name.slice(0, -4));
      const pairs: string[] = [];
      for (const name of names) {
        const { events } = await analyzeFile({ processes, path: join(videos, `${name}.mp4`) });
        const found = join(directory, `${name}.json`);
        writeFileSync(found, JSON.stringify(events));
        pairs.push(join(videos, `${name}.json`), found);
      }
      const scores = execFileSync(join(shared, 'score-motion'), ['--json', ...pairs], { encoding: 'utf8' });
      const { TOTAL: total } = JSON.parse(scores) as { TOTAL: Record<string, number> };
      expect(total['recall']).toBe(1);
      expect(total['false']).toBe(0);
      expect(total['quiet_flagged_pct']).toBeLessThanOrEqual(0.5);
      expect(total['f1']).toBeGreaterThanOrEqual(0.95);
      expect(total['decided_max']).toBeLessThanOrEqual(2.1);
    });
  },
);
