import { durationOf, footprint, poseAt, routeOf, SIZES, type SceneObject } from './objects.js';
import { View, type Place } from './view.js';

/** What really happens in the scene; seconds of the loop, boxes as shares of the picture `[x, y, w, h]`. */
export interface SceneTruth {
  seed: number;
  loopSeconds: number;
  night: boolean;
  objects: ObjectTruth[];
  /** Spells in which at least one object is in view; pauses under a second do not split them. */
  events: { start: number; end: number }[];
}

export interface ObjectTruth {
  id: string;
  kind: SceneObject['kind'];
  colour: SceneObject['colour'];
  from: SceneObject['from'];
  to: SceneObject['to'];
  /** First and last moment at which at least the smallest visible part is in the picture. */
  inS: number;
  outS: number;
  boxes: { t: number; box: [number, number, number, number] }[];
}

const STEP_S = 0.1;
const BOX_EVERY = 5;
/** A sliver below this share of the picture's width or height counts as out of view. */
const SLIVER = 0.006;
/** Boxes do not depend on the size of the picture; any view of the place does. */
const VIEWS: Record<Place, View> = {
  intersection: new View(1600, 900),
  shop: new View(1600, 900, 'shop'),
};

/** The box around an object, clipped to the picture; undefined when it is out of view. */
export function boxAt(
  object: SceneObject,
  seconds: number,
  place: Place = 'intersection',
): [number, number, number, number] | undefined {
  const view = VIEWS[place];
  const pose = poseAt(object, routeOf(object), seconds);
  if (pose === undefined) return undefined;
  const size = SIZES[object.kind];
  const points = footprint(pose, size).flatMap((c) => [view.project(c.x, 0, c.z), view.project(c.x, size.height, c.z)]);
  const clip = (value: number, limit: number): number => Math.min(1, Math.max(0, value / limit));
  const left = clip(Math.min(...points.map((p) => p.x)), view.width);
  const right = clip(Math.max(...points.map((p) => p.x)), view.width);
  const top = clip(Math.min(...points.map((p) => p.y)), view.height);
  const bottom = clip(Math.max(...points.map((p) => p.y)), view.height);
  if (right - left < SLIVER || bottom - top < SLIVER) return undefined;
  return [left, top, right - left, bottom - top];
}

/** Undefined if the object never comes into view. */
export function objectTruth(object: SceneObject, place: Place = 'intersection'): ObjectTruth | undefined {
  const seen: ObjectTruth['boxes'] = [];
  const duration = durationOf(object, routeOf(object));
  for (let i = 0; i * STEP_S <= duration; i++) {
    const t = round(object.startS + i * STEP_S);
    const box = boxAt(object, t, place);
    if (box !== undefined) seen.push({ t, box: box.map((v) => Math.round(v * 1e4) / 1e4) as typeof box });
  }
  const first = seen[0];
  const last = seen.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const { id, kind, colour, from, to } = object;
  const boxes = seen.filter((sample, i) => i % BOX_EVERY === 0 || sample === last);
  return { id, kind, colour, from, to, inS: first.t, outS: last.t, boxes };
}

export function mergeEvents(objects: readonly ObjectTruth[]): SceneTruth['events'] {
  const events: SceneTruth['events'] = [];
  for (const { inS, outS } of [...objects].sort((a, b) => a.inS - b.inS)) {
    const last = events.at(-1);
    if (last !== undefined && inS - last.end <= 1) last.end = Math.max(last.end, outS);
    else events.push({ start: inS, end: outS });
  }
  return events;
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
