import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What each benchmark exports: named figures, measured in this run. Ratios are ours divided by the other's. */
export interface Bench {
  run(args: string[]): Promise<Record<string, number | string>>;
}

const here = fileURLToPath(new URL('.', import.meta.url));
const [name = '', ...args] = process.argv.slice(2);
if (!/^[a-z]+$/.test(name) || name === 'main' || !existsSync(`${here}${name}.ts`)) {
  const names = readdirSync(here).filter((file) => file.endsWith('.ts') && file !== 'main.ts');
  console.error(`usage: scripts/bench ${names.map((file) => file.slice(0, -3)).join('|')} [--json]`);
  process.exit(2);
}
const { run } = (await import(`./${name}.ts`)) as Bench;
const figures = await run(args.filter((arg) => arg !== '--json'));
if (args.includes('--json')) console.log(JSON.stringify({ bench: name, figures }));
else for (const [key, value] of Object.entries(figures)) console.log(`${key.padEnd(28)} ${value}`);
process.exit(0);
