import { killCampaign } from '../../test/ring/support/campaign.js';
import { agentKills } from '../../test/system/agent-kills.js';
import type { CampaignOptions } from './main.js';

const BUDGET_MS = 9 * 60_000;
/** Kills of a process that runs only the ring for each of the whole agent, which takes so much longer to start. */
const RING_PER_AGENT = 20;
/** Of the time, for the ring alone. */
const RING_SHARE = 0.6;

/** SIGKILL at random: N times of a process that runs only the ring under load, and N/20 times of the whole agent. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const n = options.n ?? (options.short ? RING_PER_AGENT : Infinity);
  const { seed } = options;
  const endMs = endOf(options);
  const ring = await killCampaign({
    rounds: n,
    seed,
    untilMs: endMs && Date.now() + (endMs - Date.now()) * RING_SHARE,
    now: () => Date.now(),
  });
  const kills = Math.ceil(n / RING_PER_AGENT);
  const agent = await agentKills({ kills, cameras: 4, address: '127.0.31.51', seed, untilMs: endMs });
  const problems = [...ring.problems, ...agent.problems];
  for (const problem of problems) console.log(problem);
  const repeat = problems.length > 0 ? `; repeat: scripts/prove kill --n ${ring.rounds} --seed ${seed}` : '';
  return {
    ok: problems.length === 0 && ring.rounds > 0 && agent.kills > 0,
    summary:
      `ring: ${ring.rounds} kills, at most ${ring.worstLostMs} ms lost, ${found(ring)}; ` +
      `agent: ${agent.kills} kills, lost at most ${lostBy(agent.lostMs)}, ${found(agent)}; ` +
      `${problems.length} problems${repeat}`,
  };
}

function found(result: { closed: number; unreadable: number; unaccounted: number }): string {
  return `${result.closed} closed segments read, ${result.unreadable} unreadable, ${result.unaccounted} files unaccounted`;
}

function lostBy(lostMs: Record<string, number>): string {
  return Object.entries(lostMs)
    .map(([stream, ms]) => `${stream} ${ms} ms`)
    .join(', ');
}

/** When to stop; undefined: when all was done. */
function endOf(options: CampaignOptions): number | undefined {
  if (options.hours !== undefined) return Date.now() + options.hours * 3_600_000;
  return options.n === undefined && !options.short ? Date.now() + BUDGET_MS : undefined;
}
