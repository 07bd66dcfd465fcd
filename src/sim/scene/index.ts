import { Background } from './background.js';
import { drawObject, type Light } from './draw.js';
import { poseAt, routeOf, type SceneObject } from './objects.js';
import { Picture } from './picture.js';
import { planScene } from './plan.js';
import { mergeEvents, objectTruth, type SceneTruth } from './truth.js';
import { View, type Place } from './view.js';
import { Sky, type Weather } from './weather.js';

export { boxAt, type ObjectTruth, type SceneTruth } from './truth.js';
export type { ColourName, Person, SceneObject, Vehicle } from './objects.js';
export type { Side } from './route.js';
export type { Place } from './view.js';
export type { Weather } from './weather.js';
export { Picture } from './picture.js';

/** Raised whenever the same options would give other pictures, so that cached encodings are not mistaken. */
export const RENDERER_VERSION = 3;

export interface SceneOptions {
  seed: number;
  loopSeconds?: number;
  /** Share of the time in which something moves, 0..1. */
  activity?: number;
  night?: boolean;
  /** Vehicles with their lamps on; as a rule at night. */
  headlights?: boolean;
  /** Default: the intersection. */
  place?: Place;
  /** Everybody moves so many times as fast as usual (default 1). */
  speed?: number;
  /** Deviation of the sensor's noise in levels; default 1.3, at night 2.6. */
  noise?: number;
  /** What moves besides persons and vehicles. */
  weather?: Weather;
  /** The traffic itself, instead of a planned one. */
  objects?: SceneObject[];
}

/** An intersection with vehicles and people whose every movement is known. It repeats after `loopSeconds`. */
export class Scene {
  readonly loopSeconds: number;
  readonly objects: readonly SceneObject[];
  readonly #seed: number;
  readonly #light: Light;
  readonly #options: SceneOptions;

  constructor(options: SceneOptions) {
    this.#options = options;
    const night = options.night ?? false;
    this.loopSeconds = options.loopSeconds ?? 60;
    this.#seed = options.seed;
    this.#light = { night, headlights: options.headlights ?? night };
    this.objects =
      options.objects ?? planScene({ ...options, loopSeconds: this.loopSeconds, activity: options.activity ?? 0.35 });
  }

  truth(): SceneTruth {
    const objects = this.objects
      .map((object) => objectTruth(object, this.#options.place))
      .filter((o) => o !== undefined);
    const { loopSeconds } = this;
    return { seed: this.#seed, loopSeconds, night: this.#light.night, objects, events: mergeEvents(objects) };
  }

  /** Width and height are even. */
  renderer(width: number, height: number): SceneRenderer {
    const { place, noise, weather } = this.#options;
    return new SceneRenderer(this, new View(width, height, place), {
      ...{ seed: this.#seed, light: this.#light, noise, weather: weather ?? {} },
    });
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
  readonly #sky: Sky;
  readonly #routes;

  constructor(
    readonly scene: Scene,
    readonly view: View,
    private readonly look: { seed: number; light: Light; noise: number | undefined; weather: Weather },
  ) {
    const { seed, light, noise, weather } = look;
    this.#background = new Background(view, seed, light.night, noise);
    this.#sky = new Sky({ view, seed, night: light.night, weather, loopSeconds: scene.loopSeconds });
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
    this.#sky.behind(this.#picture, t);
    for (const { object, pose } of present) drawObject(this.#picture, this.view, object, pose, this.look.light);
    this.#sky.before(this.#picture, t);
    return this.#picture;
  }
}
