import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Watcher, type Cadence } from '../../src/motion/watcher.js';
import { RENDERER_VERSION } from '../../src/sim/scene/index.js';
import { decodeClip, replay } from '../lib/motion-replay.js';
import { renderedScenes, renderScene, sceneTruth, type RenderedScene } from '../lib/motion-scenes.js';
import { figures, score, sum, type Score } from '../lib/motion-score.js';

/**
 * Motion on rendered scenes whose truth is exact: recall and precision by kind. `--kind TEXT` runs some,
 * `--clips` tells each clip and what was wrong in it.
 */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const options = { kind: { type: 'string' }, clips: { type: 'boolean' }, cadence: { type: 'string' } } as const;
  const { values } = parseArgs({ args, options });
  const cadence = (values.cadence ?? 'adaptive') as Cadence;
  const byKind = new Map<string, Score[]>();
  for (const scene of renderedScenes().filter((one) => one.kind.includes(values.kind ?? ''))) {
    const truth = sceneTruth(scene);
    const { events } = replay(decodeClip(...(await rendered(scene))), Watcher, cadence);
    const result = score(truth, events);
    byKind.set(scene.kind, [...(byKind.get(scene.kind) ?? []), result]);
    if (values.clips !== true) continue;
    const wrong = events.filter((event) => score(truth, [event]).false > 0);
    const missed = truth.events.filter((event) => score({ ...truth, events: [event] }, events).hit === 0);
    process.stderr.write(`${scene.name}: ${JSON.stringify(figures(result))}\n`);
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

/** The file, and what stands before the names of what was decoded from it. */
async function rendered(scene: RenderedScene): Promise<[string, string]> {
  const directory = join(tmpdir(), `bluelight-scenes-${RENDERER_VERSION}`);
  mkdirSync(directory, { recursive: true });
  const cache = join(directory, scene.name);
  const path = `${cache}.mp4`;
  if (!existsSync(path)) {
    await renderScene(scene, `${path}.part`);
    renameSync(`${path}.part`, path);
  }
  return [path, cache];
}
