import { corruptCampaign } from '../../test/ring/support/corrupt.js';
import type { CampaignOptions } from './main.js';

const BUDGET_MS = 9 * 60_000;

/** Random damage of ring.db and of segments: what is good is served with equal links, what is bad is not. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const result = await corruptCampaign({
    rounds: options.n ?? (options.short ? 40 : 400),
    seed: options.seed,
    untilMs: Date.now() + (options.hours === undefined ? BUDGET_MS : options.hours * 3_600_000),
    now: () => Date.now(),
  });
  for (const problem of result.problems) console.log(problem);
  return {
    ok: result.problems.length === 0 && result.slowestStartMs < 5_000,
    summary: `${result.rounds} corruptions, slowest start ${Math.round(result.slowestStartMs)} ms, ${result.problems.length} problems`,
  };
}
