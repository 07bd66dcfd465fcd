import { randomInt } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export interface CampaignOptions {
  /** Repetitions in all; undefined: as many as fit the campaign's own time budget of at most 10 minutes. */
  n?: number;
  seed: number;
  /** The form that CI runs. */
  short: boolean;
  hours?: number;
}

/** What each campaign exports. `summary` is one line; a failure has already printed the command that repeats it. */
export interface Campaign {
  run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }>;
}

const here = fileURLToPath(new URL('.', import.meta.url));
const names = readdirSync(here)
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.slice(0, -3));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { n: { type: 'string' }, seed: { type: 'string' }, hours: { type: 'string' }, short: { type: 'boolean' } },
});
const wanted = positionals.length === 0 && values.short === true ? names : positionals;
if (wanted.length === 0 || wanted.some((name) => !existsSync(`${here}${name}.ts`) || name === 'main')) {
  console.error(`usage: scripts/prove ${names.join('|')} [--n N] [--seed S] [--short] [--hours H]`);
  process.exit(2);
}
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
// What a campaign has mounted and made goes with it, also when somebody stops it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
let held = true;
for (const name of wanted) {
  console.log(`${name}: seed ${seed}`);
  const { run } = (await import(`./${name}.ts`)) as Campaign;
  const result = await run({
    n: values.n === undefined ? undefined : Number(values.n),
    hours: values.hours === undefined ? undefined : Number(values.hours),
    seed,
    short: values.short ?? false,
  });
  held &&= result.ok;
  console.log(`${name}: ${result.ok ? 'held' : 'BROKEN'}: ${result.summary}`);
}
process.exit(held ? 0 : 1);
