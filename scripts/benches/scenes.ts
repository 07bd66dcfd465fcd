import { parseArgs } from 'node:util';
import { Watcher, type Cadence } from '../../src/motion/watcher.js';
import { labelledScenes, runClip } from '../lib/motion-sets.js';
import { figures, score, sum, type Score } from '../lib/motion-score.js';

/**
 * Motion on rendered scenes whose truth is exact: recall and precision by kind. `--round N`: other
 * scenes of the same kinds. `--kind TEXT` runs some,
 * `--clips` tells each clip and what was wrong in it.
 */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const options = {
    kind: { type: 'string' },
    clips: { type: 'boolean' },
    cadence: { type: 'string' },
    round: { type: 'string' },
  } as const;
  const { values } = parseArgs({ args, options });
  const cadence = (values.cadence ?? 'adaptive') as Cadence;
  const byKind = new Map<string, Score[]>();
  for (const clip of await labelledScenes(values.kind, Number(values.round ?? 0))) {
    const { truth } = clip;
    const { events, score: result } = runClip(clip, Watcher, cadence);
    byKind.set(clip.kind, [...(byKind.get(clip.kind) ?? []), result]);
    if (values.clips !== true) continue;
    const wrong = events.filter((event) => score(truth, [event]).false > 0);
    const missed = truth.events.filter((event) => score({ ...truth, events: [event] }, events).hit === 0);
    process.stderr.write(`${clip.name}: ${JSON.stringify(figures(result))}\n`);
    for (const one of wrong) process.stderr.write(`  false  ${one.start}-${one.end} ${one.reason}\n`);
    for (const one of missed) process.stderr.write(`  missed ${one.start}-${one.end}\n`);
  }
  const told: Record<string, number | string> = {};
  for (const [kind, scores] of byKind) told[kind] = words(sum(scores));
  const all = sum([...byKind.values()].flat());
  const { recall, precision, quietPct, f1 } = figures(all);
  return {
    ...told,
    recall: recall ?? 0,
    precision: precision ?? 0,
    false: all.false,
    quiet_pct: quietPct,
    f1: f1 ?? 0,
  };
}

function words(total: Score): string {
  const { recall, precision, quietPct, f1, worst } = figures(total);
  const events = `${total.hit} of ${total.events}`;
  return `recall ${recall ?? '-'} (${events}) precision ${precision ?? '-'} false ${total.false} quiet ${quietPct} % F1 ${f1 ?? '-'} worst start ${worst} s`;
}
