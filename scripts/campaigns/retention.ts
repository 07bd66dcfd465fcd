import { simulateDays } from '../../test/ring/support/days/days.js';
import type { CampaignOptions } from './main.js';

const BUDGET_MS = 9 * 60_000;
const SHORT = 5;

/** Small boxes for ten days each, and one in twenty with 16 cameras for 40: their ring against a model of it. */
export function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const rounds = options.n ?? (options.short ? SHORT : Infinity);
  const until = Date.now() + (options.hours === undefined ? BUDGET_MS : options.hours * 3_600_000);
  const sum = { rounds: 0, days: 0, asked: 0, proved: 0, files: 0, evicted: 0 };
  for (; sum.rounds < rounds && Date.now() < until; sum.rounds++) {
    const seed = options.seed + sum.rounds;
    const size = sum.rounds % 20 === 19 ? { days: 40, cameras: 16 } : { days: 10, cameras: 1 + (sum.rounds % 3) };
    const result = simulateDays({ seed, ...size });
    sum.days += size.days;
    for (const key of ['asked', 'proved', 'files', 'evicted'] as const) sum[key] += result[key];
    if (result.problems.length === 0) continue;
    for (const problem of result.problems) console.log(problem);
    const again = `${size.days} days, ${size.cameras} cameras, seed ${seed}`;
    return Promise.resolve({
      ok: false,
      summary: `${result.problems.length} problems in round ${sum.rounds} (${again})`,
    });
  }
  return Promise.resolve({
    ok: sum.rounds > 0,
    summary:
      `${sum.rounds} boxes, ${sum.days} days: ${sum.asked} coverage answers as the model says, ${sum.proved} segments ` +
      `proved, ${sum.evicted} of ${sum.files} files deleted, each of them allowed`,
  });
}
