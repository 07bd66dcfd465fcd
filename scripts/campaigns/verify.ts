import { availableParallelism } from 'node:os';
import { verifyCampaign } from '../../test/proof/campaign.js';
import type { CampaignOptions } from './main.js';

const BUDGET_MS = 9 * 60_000;
const CASES = 10_000;
const SHORT = 1_000;
const ALL_VALUES = 255;

/** Changed clips that `bluelight verify` must find, and clean ones of which it must not complain. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const cases = options.n ?? (options.short ? SHORT : CASES);
  const hours = options.hours === undefined ? BUDGET_MS : options.hours * 3_600_000;
  const result = await verifyCampaign({
    seed: options.seed,
    values: options.short ? 1 : ALL_VALUES,
    threads: availableParallelism(),
    structural: cases,
    clean: cases,
    untilMs: Date.now() + hours,
    now: () => Date.now(),
  });
  for (const problem of result.problems.slice(0, 20)) console.log(problem);
  const found = result.problems.length === 0 ? 'all found, no false alarm' : `${result.problems.length} problems`;
  const values = Math.floor((result.byteChanges / result.fileBytes) * 10) / 10;
  const bytes =
    result.byteChanges === result.fileBytes * ALL_VALUES
      ? `all ${result.byteChanges} single-byte changes (each of ${result.fileBytes} bytes to each of ${ALL_VALUES} other values)`
      : `${result.byteChanges} single-byte changes (each of ${result.fileBytes} bytes, ${values} of ${ALL_VALUES} values)`;
  const repeat =
    result.problems.length === 0 ? '' : `; repeat: scripts/prove verify --n ${cases} --seed ${options.seed}`;
  return {
    ok: result.problems.length === 0 && result.byteChanges >= result.fileBytes,
    summary: `${bytes}, ${result.structural} structural changes, ${result.clean} clean clips: ${found}${repeat}`,
  };
}
