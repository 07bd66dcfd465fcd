import { drive, walk, type Pavement, type Pose, type Route, type Side } from './route.js';
import { ROADS } from './view.js';

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

export type SceneObject = Vehicle | Person;

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
};

export function routeOf(object: SceneObject): Route {
  return object.kind === 'person' ? walk(object.pavement, object.from) : drive(object.from, object.to);
}

/** Where an object is at a second of the loop; undefined before it sets out and after it arrived. */
export function poseAt(object: SceneObject, route: Route, seconds: number): Pose | undefined {
  const distance = (seconds - object.startS) * object.speed;
  if (distance < 0 || distance > route.length) return undefined;
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
