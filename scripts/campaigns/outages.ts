import { OUTAGES, outageMatrix } from '../lib/outages.js';
import type { CampaignOptions } from './main.js';

const BUDGET_MS = 9 * 60_000;
/** Those of which a camera network sees one a week; CI runs them. */
const SHORT = new Set(['off for 10 s', 'reboot', 'new address', 'half-open', 'frozen', 'new password', 'new resolution', 'garbage']); // prettier-ignore

/** Cameras that fail in every way while others record on: how soon each is back, and whether one was taken for another. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const rounds = options.n ?? (options.short ? 1 : Number.POSITIVE_INFINITY);
  const budget = options.hours === undefined ? BUDGET_MS : options.hours * 3_600_000;
  const end = options.n === undefined ? Date.now() + budget : Number.POSITIVE_INFINITY;
  const outages = options.short ? OUTAGES.filter((outage) => SHORT.has(outage.name)) : OUTAGES;
  const problems: string[] = [];
  let done = 0;
  let worst = { name: 'none', ms: 0 };
  for (; done < rounds && (done === 0 || Date.now() < end); done++) {
    const result = await outageMatrix(`62.${done % 250}`, outages);
    for (const { name, backMs } of result.outages) {
      console.log(`${name}: back after ${backMs === undefined ? 'never' : `${(backMs / 1000).toFixed(1)} s`}`);
      if ((backMs ?? 0) > worst.ms) worst = { name, ms: backMs ?? 0 };
    }
    problems.push(...result.problems);
  }
  for (const problem of problems) console.log(problem);
  const slowest = `slowest ${(worst.ms / 1000).toFixed(1)} s (${worst.name})`;
  return { ok: problems.length === 0, summary: `${done} rounds of ${outages.length + 1} outages, ${slowest}` };
}
