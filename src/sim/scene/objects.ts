import { drive, Route, walk, type Pavement, type Pose, type Side } from './route.js';
import { ROADS, type GroundPoint } from './view.js';

export type VehicleKind = 'car' | 'van' | 'truck';
export type ColourName = 'white' | 'black' | 'grey' | 'red' | 'blue' | 'green' | 'yellow';

interface Moving {
  id: string;
  from: Side;
  to: Side;
  colour: ColourName;
  /** m/s */
  speed: number;
  /** Second of the loop at which it sets out, out of sight. */
  startS: number;
}

export interface Vehicle extends Moving {
  kind: VehicleKind;
}

export interface Person extends Moving {
  kind: 'person';
  pavement: Pavement;
}

/** Somebody who walks from point to point and stands still on the way. */
export interface Visitor extends Moving {
  kind: 'visitor';
  points: GroundPoint[];
  /** In order: after how many metres, and for how long. */
  stops: { atM: number; seconds: number }[];
}

export type SceneObject = Vehicle | Person | Visitor;

export interface Size {
  length: number;
  width: number;
  height: number;
}

export const SIZES: Record<SceneObject['kind'], Size> = {
  car: { length: 4.4, width: 1.8, height: 1.45 },
  van: { length: 5.4, width: 2, height: 2.2 },
  truck: { length: 8, width: 2.4, height: 3.1 },
  person: { length: 0.5, width: 0.55, height: 1.75 },
  visitor: { length: 0.5, width: 0.55, height: 1.75 },
};

/** Seconds from setting out to arriving. */
export function durationOf(object: SceneObject, route: Route): number {
  const standing = object.kind === 'visitor' ? object.stops.reduce((sum, stop) => sum + stop.seconds, 0) : 0;
  return route.length / object.speed + standing;
}

/** Metres gone after so many seconds; whoever stands sways a little. */
function distanceAt(object: SceneObject, seconds: number): number {
  let left = seconds;
  let gone = 0;
  for (const stop of object.kind === 'visitor' ? object.stops : []) {
    const walking = (stop.atM - gone) / object.speed;
    if (left < walking) break;
    gone = stop.atM;
    if (left < walking + stop.seconds) return gone + 0.03 * Math.sin(1.3 * (left - walking));
    left -= walking + stop.seconds;
  }
  return gone + left * object.speed;
}

export function routeOf(object: SceneObject): Route {
  if (object.kind === 'visitor') return new Route(object.points);
  return object.kind === 'person' ? walk(object.pavement, object.from) : drive(object.from, object.to);
}

/** Where an object is at a second of the loop; undefined before it sets out and after it arrived. */
export function poseAt(object: SceneObject, route: Route, seconds: number): Pose | undefined {
  if (seconds < object.startS) return undefined;
  const distance = distanceAt(object, seconds - object.startS);
  if (distance > route.length) return undefined;
  const pose = route.at(distance);
  // Under the bridge nothing is seen; a vehicle that half stands there is cut off by `boxCorners`.
  return pose.z - SIZES[object.kind].length / 2 > ROADS.portal ? undefined : pose;
}

export interface Corner {
  x: number;
  z: number;
}

/**
 * Footprint on the ground: front left, front right, rear right, rear left (seen in the direction of travel),
 * shortened to what has come out from under the bridge. `along` and `across` shrink it (1 is the whole).
 */
export function footprint(pose: Pose, size: Size, along: [number, number] = [-1, 1], across = 1): Corner[] {
  const halfWidth = (size.width / 2) * across;
  const corner = (l: number, w: number): Corner => ({
    x: pose.x + (pose.dx * l * size.length) / 2 - pose.dz * w,
    z: Math.min(ROADS.portal, pose.z + (pose.dz * l * size.length) / 2 + pose.dx * w),
  });
  const [rear, front] = along;
  return [corner(front, halfWidth), corner(front, -halfWidth), corner(rear, -halfWidth), corner(rear, halfWidth)];
}
