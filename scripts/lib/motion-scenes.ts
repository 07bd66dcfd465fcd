import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { boxAt, Scene, type SceneOptions } from '../../src/sim/scene/index.js';
import { planScene } from '../../src/sim/scene/plan.js';
import { objectTruth } from '../../src/sim/scene/truth.js';
import type { Span } from './motion-score.js';

/** A rendered scene, and how a camera would encode it. */
export interface RenderedScene {
  kind: string;
  name: string;
  scene: SceneOptions;
  fps: number;
  gopSeconds: number;
  /** Rate limit in kbit/s; low ones pulse with each key frame. */
  kbps: number;
}

/** Smaller than this share of the picture an object may be found, but need not be: 0.13 % are 19 cells. */
const VISIBLE = 0.0013;
/** Shadows and lamps reach out before and behind what they belong to. */
const REACH_S = { day: 1, night: 3 };
const SECONDS = 90;
const EVERY_S = 14;
const SIZE = { width: 640, height: 360 };

/**
 * Every kind in several speeds, noise levels, frame rates and GOP lengths, each with a seed of its own. Another `round`
 * is other scenes of the same kinds.
 */
export function renderedScenes(round = 0): RenderedScene[] {
  const kinds: Record<string, SceneOptions[]> = {
    street: [{ seed: 101 }, { seed: 102, speed: 1.5 }, { seed: 103, noise: 4 }],
    'night, headlights': [
      { seed: 111, night: true },
      { seed: 112, night: true, speed: 1.4 },
      { seed: 113, night: true, noise: 6 },
    ],
    'shop, people who stand': [
      { seed: 121, place: 'shop', activity: 0.7 },
      { seed: 122, place: 'shop', activity: 0.6, noise: 4 },
      { seed: 123, place: 'shop', activity: 0.8, speed: 0.7 },
    ],
    rain: [
      { seed: 131, weather: { rain: 80 } },
      { seed: 132, weather: { rain: 220 } },
      { seed: 133, night: true, weather: { rain: 160 } },
    ],
    snow: [
      { seed: 141, weather: { snow: 60 } },
      { seed: 142, night: true, weather: { snow: 150 } },
      { seed: 143, night: true, activity: 0, weather: { snow: 250 } },
    ],
    'insects at night': [
      { seed: 151, night: true, activity: 0, weather: { insects: 10 } },
      { seed: 152, night: true, weather: { insects: 6 } },
      { seed: 153, night: true, activity: 0, noise: 5, weather: { insects: 25 } },
    ],
    'light sweeps, soft': [
      { seed: 161, night: true, activity: 0, weather: { sweeps: 8 } },
      { seed: 162, night: true, weather: { sweeps: 5 } },
      { seed: 163, night: true, activity: 0, noise: 6, weather: { sweeps: 8 } },
    ],
    'light sweeps, hard': [
      { seed: 171, night: true, activity: 0, weather: { sweeps: 8, sweepEdge: 'hard' } },
      { seed: 172, night: true, weather: { sweeps: 5, sweepEdge: 'hard' } },
      { seed: 173, night: true, activity: 0, noise: 6, weather: { sweeps: 8, sweepEdge: 'hard' } },
      { seed: 174, place: 'shop', activity: 0, weather: { sweeps: 6, sweepEdge: 'hard' } },
    ],
    'light switched': [
      { seed: 181, place: 'shop', activity: 0.4, weather: { switched: 2 } },
      { seed: 182, place: 'shop', activity: 0, noise: 3, weather: { switched: 2 } },
      { seed: 183, night: true, weather: { switched: 1 } },
    ],
    clouds: [
      { seed: 191, weather: { clouds: 3 } },
      { seed: 192, activity: 0, weather: { clouds: 4 } },
      { seed: 193, noise: 3, speed: 1.3, weather: { clouds: 2 } },
    ],
    leaves: [
      { seed: 201, weather: { leaves: 4 } },
      { seed: 202, activity: 0, weather: { leaves: 8 } },
      { seed: 203, noise: 3, weather: { leaves: 12, clouds: 2 } },
    ],
    'exposure swings': [
      { seed: 211, weather: { pumping: 0.3 } },
      { seed: 212, activity: 0, weather: { pumping: 0.5 } },
      { seed: 213, night: true, weather: { pumping: 0.3 } },
    ],
    'fast passages': [
      { seed: 221, speed: 2.5 },
      { seed: 222, speed: 3 },
      { seed: 223, night: true, speed: 2.5 },
    ],
    'compression pulsing': [
      { seed: 231, noise: 3 },
      { seed: 232, night: true, noise: 6 },
      { seed: 233, activity: 0, noise: 5, weather: { leaves: 3 } },
    ],
    'noise only': [
      { seed: 241, activity: 0, noise: 8 },
      { seed: 242, night: true, activity: 0, noise: 12 },
    ],
  };
  const variants = [
    { fps: 10, gopSeconds: 2 },
    { fps: 15, gopSeconds: 1 },
    { fps: 8, gopSeconds: 4 },
    { fps: 25, gopSeconds: 2 },
  ];
  return Object.entries(kinds).flatMap(([kind, scenes]) =>
    scenes.map((scene, i) => ({
      ...{ kind, name: `${kind.replace(/[^a-z]+/g, '-')}-${i + 1}${round === 0 ? '' : `-${round}`}` },
      scene: withPassages({ loopSeconds: SECONDS, ...scene, seed: scene.seed + 1_000 * round }),
      ...variants[(i + round) % variants.length]!,
      kbps: kind === 'compression pulsing' ? 90 : 400,
    })),
  );
}

/** One or two objects every quarter of a minute, so that each passage is an event of its own. */
function withPassages(scene: SceneOptions & { loopSeconds: number }): SceneOptions {
  if (scene.activity !== undefined || scene.place === 'shop') return { activity: 0.5, ...scene };
  const objects = Array.from({ length: Math.floor((scene.loopSeconds - 10) / EVERY_S) }, (_, k) => {
    const planned = planScene({ ...scene, seed: 1_000 * scene.seed + k, loopSeconds: 30, activity: 0.3 });
    return planned.slice(0, 1 + (k % 2)).map((object, i) => {
      const truth = objectTruth(object)!;
      const startS = object.startS + 6 + k * EVERY_S + i - truth.inS;
      return { ...object, id: `k${k}-${i}`, startS: Math.round(startS * 1000) / 1000 };
    });
  });
  return { ...scene, objects: objects.flat() };
}

/** When something is there that has to be found, and when something may be found. */
export function sceneTruth({ scene }: RenderedScene): { duration: number; events: Span[]; ignore: Span[] } {
  const made = new Scene(scene);
  const night = scene.night === true || (scene.weather?.switched ?? 0) > 0;
  const seen: boolean[] = [];
  const there: boolean[] = [];
  const steps = made.loopSeconds * 10;
  for (let i = 0; i < steps; i++) {
    const boxes = made.objects.flatMap((object) => boxAt(object, i / 10, scene.place) ?? []);
    there.push(boxes.length > 0);
    seen.push(made.objects.some((object) => isVisible(boxAt(object, i / 10, scene.place))));
  }
  const events = spansOf(seen, 1).filter((span) => span.end - span.start >= 0.4);
  const reach = night ? REACH_S.night : REACH_S.day;
  const around = spansOf(there, 1).map(({ start, end }) => ({ start: start - reach, end: end + reach }));
  return { duration: made.loopSeconds, events, ignore: around };
}

function isVisible(box: [number, number, number, number] | undefined): boolean {
  return box !== undefined && box[2] * box[3] >= VISIBLE;
}

/** Runs of true in steps of 0.1 s; gaps up to `merge` seconds do not split them. */
function spansOf(flags: readonly boolean[], merge: number): Span[] {
  const spans: Span[] = [];
  flags.forEach((flag, i) => {
    if (!flag) return;
    const last = spans.at(-1);
    if (last !== undefined && i / 10 - last.end <= merge) last.end = (i + 1) / 10;
    else spans.push({ start: i / 10, end: (i + 1) / 10 });
  });
  return spans;
}

/** Encodes a scene as a camera's substream, MP4. */
export async function renderScene(spec: RenderedScene, path: string): Promise<void> {
  const scene = new Scene(spec.scene);
  const gop = String(Math.round(spec.fps * spec.gopSeconds));
  const size = `${SIZE.width}x${SIZE.height}`;
  const ffmpeg = spawn('ffmpeg', [
    ...[
      '-v',
      'error',
      '-y',
      '-f',
      'rawvideo',
      '-pix_fmt',
      'yuv420p',
      '-s',
      size,
      '-r',
      String(spec.fps),
      '-i',
      'pipe:0',
    ],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-x264-params', 'cabac=1:scenecut=0'],
    ...[
      '-g',
      gop,
      '-keyint_min',
      gop,
      '-b:v',
      `${spec.kbps}k`,
      '-maxrate',
      `${spec.kbps}k`,
      '-bufsize',
      `${spec.kbps}k`,
    ],
    ...['-f', 'mp4', path],
  ]);
  ffmpeg.stderr.pipe(process.stderr);
  const done = once(ffmpeg, 'close');
  const renderer = scene.renderer(SIZE.width, SIZE.height);
  for (let i = 0; i < scene.loopSeconds * spec.fps; i++) {
    if (!ffmpeg.stdin.write(Buffer.from(renderer.render(i / spec.fps).bytes))) await once(ffmpeg.stdin, 'drain');
  }
  ffmpeg.stdin.end();
  const [code] = (await done) as [number];
  if (code !== 0) throw new Error(`ffmpeg could not encode ${spec.name}`);
}
