import { powercutCampaign } from '../../test/ring/support/campaign.js';
import { canCutPower } from '../../test/ring/support/loop-disk.js';
import type { CampaignOptions } from './main.js';

const BUDGET_MS = 9 * 60_000;

/** Power cuts of a loop ext4 while the ring records four streams under load and state.db takes events and audit rows. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  if (!canCutPower()) return { ok: false, summary: 'needs root, loop devices and /usr/bin/python3' };
  const result = await powercutCampaign({
    rounds: options.n ?? (options.short ? 25 : Number.POSITIVE_INFINITY),
    seed: options.seed,
    untilMs: untilOf(options),
    now: () => Date.now(),
  });
  for (const problem of result.problems) console.log(problem);
  const repeat =
    result.problems.length > 0 ? `; repeat: scripts/prove powercut --n ${result.rounds} --seed ${options.seed}` : '';
  return {
    ok: result.problems.length === 0 && result.rounds > 0,
    summary: `${result.rounds} power cuts, at most ${result.worstLostMs} ms of footage lost, ${result.problems.length} problems${repeat}`,
  };
}

function untilOf(options: CampaignOptions): number | undefined {
  if (options.hours !== undefined) return Date.now() + options.hours * 3_600_000;
  return options.n === undefined && !options.short ? Date.now() + BUDGET_MS : undefined;
}
