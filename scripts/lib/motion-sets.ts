import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cadence, Watcher } from '../../src/motion/watcher.js';
import { RENDERER_VERSION } from '../../src/sim/scene/index.js';
import { decodeClip, replay } from './motion-replay.js';
import { renderedScenes, renderScene, sceneTruth, type RenderedScene } from './motion-scenes.js';
import { score, type Score, type Truth } from './motion-score.js';

/** A clip whose events are known. */
export interface LabelledClip {
  set: 'videos' | 'stress' | 'scenes';
  kind: string;
  name: string;
  truth: Truth;
  /** The file, and what stands before the names of what was decoded from it. */
  path: string;
  cache: string;
}

/** Labelled videos beside the repository, if they are there: too large to be part of it. */
const VIDEOS = fileURLToPath(new URL('../../../shared/videos', import.meta.url));

export function labelledVideos(directory = process.env['BLUELIGHT_VIDEOS'] ?? VIDEOS): LabelledClip[] {
  if (!existsSync(directory)) return [];
  const cached = join(tmpdir(), 'bluelight-videos');
  mkdirSync(cached, { recursive: true });
  const of = (set: 'videos' | 'stress', from: string): LabelledClip[] =>
    (existsSync(from) ? readdirSync(from) : [])
      .filter((file) => file.endsWith('.mp4') && !file.includes('-main'))
      .map((file) => basename(file, '.mp4'))
      .map((name) => ({
        ...{ set, kind: name, name },
        truth: JSON.parse(readFileSync(join(from, `${name}.json`), 'utf8')) as Truth,
        path: join(from, `${name}.mp4`),
        cache: join(cached, `${set}-${name}`),
      }));
  return [...of('videos', directory), ...of('stress', join(directory, 'stress'))];
}

/** Renders what has not been rendered yet. */
export async function labelledScenes(kind = '', round = 0): Promise<LabelledClip[]> {
  const clips: LabelledClip[] = [];
  for (const scene of renderedScenes(round).filter((one) => one.kind.includes(kind))) {
    const cache = await rendered(scene);
    const { name } = scene;
    clips.push({ set: 'scenes', kind: scene.kind, name, truth: sceneTruth(scene), path: `${cache}.mp4`, cache });
  }
  return clips;
}

export function runClip(clip: LabelledClip, watcher: typeof Watcher, cadence: Cadence = 'adaptive') {
  const told = replay(decodeClip(clip.path, clip.cache), watcher, cadence);
  return { ...told, score: score(clip.truth, told.events) satisfies Score };
}

async function rendered(scene: RenderedScene): Promise<string> {
  const directory = join(tmpdir(), `bluelight-scenes-${RENDERER_VERSION}`);
  mkdirSync(directory, { recursive: true });
  const cache = join(directory, scene.name);
  if (!existsSync(`${cache}.mp4`)) {
    await renderScene(scene, `${cache}.part.mp4`);
    renameSync(`${cache}.part.mp4`, `${cache}.mp4`);
  }
  return cache;
}
