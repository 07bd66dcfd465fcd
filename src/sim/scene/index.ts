import { Background } from './background.js';
import { drawObject, type Light } from './draw.js';
import { poseAt, routeOf, type SceneObject } from './objects.js';
import { Picture } from './picture.js';
import { planScene } from './plan.js';
import { mergeEvents, objectTruth, type SceneTruth } from './truth.js';
import { View } from './view.js';

export { boxAt, type ObjectTruth, type SceneTruth } from './truth.js';
export type { ColourName, Person, SceneObject, Vehicle } from './objects.js';
export type { Side } from './route.js';
export { Picture } from './picture.js';

/** Raised whenever the same options would give other pictures, so that cached encodings are not mistaken. */
export const RENDERER_VERSION = 2;

export interface SceneOptions {
  seed: number;
  loopSeconds?: number;
  /** Share of the time in which something moves, 0..1. */
  activity?: number;
  night?: boolean;
  /** Vehicles with their lamps on; as a rule at night. */
  headlights?: boolean;
  /** The traffic itself, instead of a planned one. */
  objects?: SceneObject[];
}

/** An intersection with vehicles and people whose every movement is known. It repeats after `loopSeconds`. */
export class Scene {
  readonly loopSeconds: number;
  readonly objects: readonly SceneObject[];
  readonly #seed: number;
  readonly #light: Light;

  constructor(options: SceneOptions) {
    const night = options.night ?? false;
    this.loopSeconds = options.loopSeconds ?? 60;
    this.#seed = options.seed;
    this.#light = { night, headlights: options.headlights ?? night };
    this.objects =
      options.objects ??
      planScene({ seed: options.seed, loopSeconds: this.loopSeconds, activity: options.activity ?? 0.35 });
  }

  truth(): SceneTruth {
    const objects = this.objects.map(objectTruth).filter((o) => o !== undefined);
    const { loopSeconds } = this;
    return { seed: this.#seed, loopSeconds, night: this.#light.night, objects, events: mergeEvents(objects) };
  }

  /** Width and height are even. */
  renderer(width: number, height: number): SceneRenderer {
    return new SceneRenderer(this, new View(width, height), this.#seed, this.#light);
  }

  /** Luma of consecutive frames, one byte a pixel, each in its own buffer: what a motion detector is fed. */
  *grayFrames(options: { width: number; height: number; fps: number }): Generator<{ t: number; gray: Uint8Array }> {
    const renderer = this.renderer(options.width, options.height);
    for (let i = 0; i < Math.round(this.loopSeconds * options.fps); i++) {
      const t = i / options.fps;
      yield { t, gray: renderer.render(t).y.slice() };
    }
  }
}

export class SceneRenderer {
  readonly #background: Background;
  readonly #picture: Picture;
  readonly #routes;

  constructor(
    readonly scene: Scene,
    readonly view: View,
    seed: number,
    readonly light: Light,
  ) {
    this.#background = new Background(view, seed, light.night);
    this.#picture = new Picture(view.width, view.height);
    this.#routes = scene.objects.map((object) => ({ object, route: routeOf(object) }));
  }

  /** The picture at a second of the loop. The buffer is used again by the next call. */
  render(seconds: number): Picture {
    const t = seconds % this.scene.loopSeconds;
    this.#background.copyTo(this.#picture, Math.round(t * 1000));
    const present = this.#routes.flatMap(({ object, route }) => {
      const pose = poseAt(object, route, t);
      return pose === undefined ? [] : [{ object, pose }];
    });
    present.sort((a, b) => b.pose.z - a.pose.z);
    for (const { object, pose } of present) drawObject(this.#picture, this.view, object, pose, this.light);
    return this.#picture;
  }
}
