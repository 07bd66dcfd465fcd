import { ROADS, View, type GroundPoint } from './view.js';

/** Sides of the picture: north is far away, south is below the camera. */
export type Side = 'north' | 'south' | 'east' | 'west';

/** Where people walk: along one of the four pavements. */
export type Pavement = 'near' | 'far' | 'left' | 'right';

export interface Pose extends GroundPoint {
  /** Direction of travel as a unit vector. */
  dx: number;
  dz: number;
}

/** Room before and after the view, so that the longest vehicle starts and ends out of sight. */
const BEYOND_M = 6;

/** A way over the ground, walked by arc length. */
export class Route {
  readonly length: number;
  readonly #points: GroundPoint[];
  readonly #until: number[] = [0];

  constructor(points: GroundPoint[]) {
    this.#points = points;
    let sum = 0;
    for (let i = 1; i < points.length; i++) {
      sum += Math.hypot(points[i]!.x - points[i - 1]!.x, points[i]!.z - points[i - 1]!.z);
      this.#until.push(sum);
    }
    this.length = sum;
  }

  at(distance: number): Pose {
    let i = 1;
    while (i < this.#points.length - 1 && this.#until[i]! < distance) i++;
    const a = this.#points[i - 1]!;
    const b = this.#points[i]!;
    const span = this.#until[i]! - this.#until[i - 1]!;
    const share = (distance - this.#until[i - 1]!) / span;
    return {
      x: a.x + (b.x - a.x) * share,
      z: a.z + (b.z - a.z) * share,
      dx: (b.x - a.x) / span,
      dz: (b.z - a.z) / span,
    };
  }
}

/** Traffic keeps to the right. */
function laneIn(from: Side): { line: 'x' | 'z'; at: number; dx: number; dz: number } {
  const quarter = (ROADS.crossFar - ROADS.crossNear) / 4;
  if (from === 'west') return { line: 'z', at: ROADS.crossNear + quarter, dx: 1, dz: 0 };
  if (from === 'east') return { line: 'z', at: ROADS.crossFar - quarter, dx: -1, dz: 0 };
  if (from === 'south') return { line: 'x', at: ROADS.alongHalf / 2, dx: 0, dz: 1 };
  return { line: 'x', at: -ROADS.alongHalf / 2, dx: 0, dz: -1 };
}

const OPPOSITE: Record<Side, Side> = { north: 'south', south: 'north', east: 'west', west: 'east' };

/** The end of a lane that lies out of sight on `side`. */
function outside(side: Side, lane: { line: 'x' | 'z'; at: number }): GroundPoint {
  if (lane.line === 'x') return { x: lane.at, z: side === 'north' ? ROADS.portal + BEYOND_M : 1 };
  const reach = View.halfWidth(lane.at) + BEYOND_M;
  return { x: side === 'east' ? reach : -reach, z: lane.at };
}

/** A vehicle's way through the intersection, straight on or turning. */
export function drive(from: Side, to: Side): Route {
  const entry = laneIn(from);
  const exit = laneIn(OPPOSITE[to]);
  const start = outside(from, entry);
  const end = outside(to, exit);
  if (to === OPPOSITE[from]) return new Route([start, end]);
  const corner = entry.line === 'x' ? { x: entry.at, z: exit.at } : { x: exit.at, z: entry.at };
  const radius = 3.5;
  const a = { x: corner.x - entry.dx * radius, z: corner.z - entry.dz * radius };
  const b = { x: corner.x + exit.dx * radius, z: corner.z + exit.dz * radius };
  const bend = Array.from({ length: 9 }, (_, i) => bezier(a, corner, b, i / 8));
  return new Route([start, ...bend, end]);
}

function bezier(a: GroundPoint, control: GroundPoint, b: GroundPoint, t: number): GroundPoint {
  const u = 1 - t;
  return {
    x: u * u * a.x + 2 * u * t * control.x + t * t * b.x,
    z: u * u * a.z + 2 * u * t * control.z + t * t * b.z,
  };
}

/** A walk along a pavement, from one end of the view to the other. */
export function walk(pavement: Pavement, from: Side): Route {
  const edge = ROADS.pavement / 2;
  if (pavement === 'near' || pavement === 'far') {
    const z = pavement === 'near' ? ROADS.crossNear - edge : ROADS.crossFar + edge;
    const reach = View.halfWidth(z) + 1;
    return new Route(
      from === 'west'
        ? [
            { x: -reach, z },
            { x: reach, z },
          ]
        : [
            { x: reach, z },
            { x: -reach, z },
          ],
    );
  }
  const x = (pavement === 'left' ? -1 : 1) * (ROADS.alongHalf + edge);
  const far = { x, z: ROADS.portal - 2 };
  const near = { x, z: 5 };
  return new Route(from === 'north' ? [far, near] : [near, far]);
}
