import type { Point } from './picture.js';

/**
 * The camera's view of the ground: x metres to the right, z metres away, height metres above the road.
 * A pinhole; all lengths of the picture are shares of its width, so every size shows the same view.
 */
const FOCAL = 0.73;
const HORIZON = 0.055;
/** Height of the camera: on a pole at the intersection, under the ceiling of a shop. */
const HEIGHT_M = { intersection: 7, shop: 3.2 } as const;
/** Nothing nearer than this is drawn; it is below the picture's lower border. */
const NEAR_M = 2;

/** The carriageways and pavements of the intersection, metres. */
export const ROADS = {
  /** East-west road, near and far kerb. */
  crossNear: 15.5,
  crossFar: 24.5,
  /** North-south road, its two kerbs. */
  alongHalf: 4.2,
  pavement: 2.6,
  /** Where the north-south road comes out from under a bridge. */
  portal: 46,
  bridgeHeight: 5,
} as const;

export type Place = keyof typeof HEIGHT_M;

/** The shop's back wall, metres. */
export const SHOP = { wall: 13, wallHeight: 2.9 } as const;

export interface GroundPoint {
  x: number;
  z: number;
}

export class View {
  readonly #above: number;

  constructor(
    readonly width: number,
    readonly height: number,
    readonly place: Place = 'intersection',
  ) {
    this.#above = HEIGHT_M[place];
  }

  /** Where a point in space is seen, in pixels. */
  project(x: number, height: number, z: number): Point {
    const depth = Math.max(NEAR_M, z);
    return {
      x: this.width * (0.5 + (FOCAL * x) / depth),
      y: this.width * (HORIZON + (FOCAL * (this.#above - height)) / depth),
    };
  }

  /** Pixels per metre at a distance. */
  scale(z: number): number {
    return (this.width * FOCAL) / Math.max(NEAR_M, z);
  }

  /** Which place on the ground a pixel shows; undefined above the horizon. */
  ground(pixelX: number, pixelY: number): GroundPoint | undefined {
    const below = pixelY / this.width - HORIZON;
    if (below <= 0.002) return undefined;
    const z = (FOCAL * this.#above) / below;
    return { x: ((pixelX / this.width - 0.5) * z) / FOCAL, z };
  }

  /** Half the width of ground seen at a distance, metres. */
  static halfWidth(z: number): number {
    return (0.5 * z) / FOCAL;
  }
}
