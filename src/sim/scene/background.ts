import { Picture, rgb, shade, type Yuv } from './picture.js';
import { placeNoise, Random } from './random.js';
import type { View } from './view.js';
import { ROADS, SHOP } from './view.js';

const ASPHALT = rgb(92, 93, 96);
const PAVEMENT = rgb(158, 154, 146);
const GRASS = rgb(84, 112, 62);
const PAINT = rgb(214, 214, 206);
const BRICK = rgb(140, 92, 74);
const STONE = rgb(168, 160, 148);
const GLASS = rgb(62, 74, 88);
const DARK = rgb(26, 26, 30);

/** How many differently noisy copies of the empty view alternate; enough that sensor noise has no visible rhythm. */
const COPIES = 8;
const NOISE = { day: 1.3, night: 2.6 };
const NIGHT_LIGHT = 0.3;

/** The empty intersection, without and with sensor noise. */
export class Background {
  readonly #copies: Picture[];

  constructor(
    readonly view: View,
    seed: number,
    night: boolean,
    noise = night ? NOISE.night : NOISE.day,
  ) {
    const clean = paintGround(view, seed, night);
    this.#copies = Array.from({ length: COPIES }, (_, i) => withNoise(clean, seed + 977 * i, noise));
  }

  /** Copies the empty view for a frame number over `picture`. */
  copyTo(picture: Picture, frame: number): void {
    const which = Math.floor(((placeNoise(frame, 3, 11) + 1) / 2) * COPIES) % COPIES;
    picture.bytes.set(this.#copies[which]!.bytes);
  }
}

function paintGround(view: View, seed: number, night: boolean): Picture {
  const picture = new Picture(view.width, view.height);
  const half = view.width / 2;
  for (let row = 0; row < view.height; row++) {
    for (let column = 0; column < view.width; column++) {
      const day = colourAt(view, column + 0.5, row + 0.5, seed);
      const colour = night ? { ...shade(day, nightLight(view, column, row)), u: mute(day.u), v: mute(day.v) } : day;
      picture.y[row * view.width + column] = colour.y;
      if (row % 2 === 0 && column % 2 === 0) {
        const at = (row / 2) * half + column / 2;
        picture.u[at] = colour.u;
        picture.v[at] = colour.v;
      }
    }
  }
  return picture;
}

function mute(chroma: number): number {
  return 128 + (chroma - 128) * 0.35;
}

/** Two street lamps light pools on the ground. */
function nightLight(view: View, column: number, row: number): number {
  const at = view.ground(column + 0.5, row + 0.5);
  if (at === undefined || at.z > ROADS.portal) return NIGHT_LIGHT * 0.6;
  const lamp = (x: number, z: number): number => Math.exp(-((at.x - x) ** 2 + (at.z - z) ** 2) / 40);
  return NIGHT_LIGHT + 0.35 * (lamp(-7, 15) + lamp(7, 26));
}

function colourAt(view: View, column: number, row: number, seed: number): Yuv {
  if (view.place === 'shop') return shopColour(view, column, row, seed);
  const at = view.ground(column, row);
  if (at === undefined || at.z > ROADS.portal) return wallColour(view, column, row, seed);
  const { x, z } = at;
  const grain = 1 + 0.05 * placeNoise(Math.floor(x * 9), Math.floor(z * 9), seed) + 0.04 * patch(x, z, seed);
  const onCross = z > ROADS.crossNear && z < ROADS.crossFar;
  const onAlong = Math.abs(x) < ROADS.alongHalf;
  if (onCross || onAlong) return isPaint(x, z, onCross, onAlong) ? shade(PAINT, grain) : shade(ASPHALT, grain);
  const byCross = z > ROADS.crossNear - ROADS.pavement && z < ROADS.crossFar + ROADS.pavement;
  const byAlong = Math.abs(x) < ROADS.alongHalf + ROADS.pavement;
  if (byCross || byAlong) {
    const joint = Math.abs(x * 0.8 - Math.round(x * 0.8)) < 0.03 || Math.abs(z * 0.8 - Math.round(z * 0.8)) < 0.03;
    return shade(PAVEMENT, joint ? grain * 0.85 : grain);
  }
  return shade(GRASS, 1 + 3 * (grain - 1));
}

/** Slow changes of tone: worn and patched ground. */
function patch(x: number, z: number, seed: number): number {
  return Math.sin(x * 0.7 + seed) * Math.sin(z * 0.43 + seed * 0.37);
}

function isPaint(x: number, z: number, onCross: boolean, onAlong: boolean): boolean {
  const middle = (ROADS.crossNear + ROADS.crossFar) / 2;
  const stripe = Math.abs((x * 1.0) % 1) > 0.5;
  if (onAlong && !onCross) {
    const nearCrossing = z > ROADS.crossNear - 2.2 && z < ROADS.crossNear - 0.3;
    const farCrossing = z > ROADS.crossFar + 0.3 && z < ROADS.crossFar + 2.2;
    if (nearCrossing || farCrossing) return stripe;
    return Math.abs(x) < 0.07 && z % 4 < 2.4;
  }
  if (onCross && !onAlong) return Math.abs(z - middle) < 0.09 && Math.abs(x) % 4 < 2.4 && Math.abs(x) > 5.5;
  return false;
}

/** The row of houses at the end of the view, with the bridge under which the far road comes out. */
function wallColour(view: View, column: number, row: number, seed: number): Yuv {
  const metres = ROADS.portal / view.scale(1);
  const x = (column - view.width / 2) * metres;
  const height = (view.project(0, 0, ROADS.portal).y - row) * metres;
  if (Math.abs(x) < ROADS.alongHalf + 1.6) return height < ROADS.bridgeHeight ? DARK : shade(STONE, 0.7);
  const house = Math.floor((x + 100) / 8);
  const wall = placeNoise(house, 1, seed) > 0 ? BRICK : STONE;
  const inWindow = Math.abs(((x + 100) % 2) - 1) < 0.45 && Math.abs(((height + 10) % 3) - 1.6) < 0.7 && height > 0.6;
  const tone =
    0.85 + 0.15 * placeNoise(house, 2, seed) + 0.03 * placeNoise(Math.floor(x * 6), Math.floor(height * 6), seed);
  return inWindow ? GLASS : shade(wall, tone);
}

function withNoise(clean: Picture, seed: number, sigma: number): Picture {
  const noisy = new Picture(clean.width, clean.height);
  noisy.bytes.set(clean.bytes);
  const random = new Random(seed);
  // A table of Gaussian values read from random places is as good as fresh ones here and ten times as fast.
  const table = Float32Array.from({ length: 16_384 }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
    return sigma * radius * Math.cos(2 * Math.PI * random.next());
  });
  for (let row = 0; row < clean.height; row++) {
    let at = Math.floor(random.next() * table.length);
    const end = (row + 1) * clean.width;
    for (let i = row * clean.width; i < end; i++) {
      noisy.y[i] = Math.max(16, Math.min(235, noisy.y[i]! + table[at]! + 0.5));
      at = (at + 1) % table.length;
    }
  }
  return noisy;
}

const TILE = rgb(186, 182, 172);
const WALL = rgb(202, 198, 188);
const GOODS = [rgb(176, 60, 48), rgb(60, 96, 150), rgb(210, 180, 70), rgb(90, 130, 84), rgb(224, 220, 210)];

/** Tiles, and shelves with goods along the back wall. */
function shopColour(view: View, column: number, row: number, seed: number): Yuv {
  const at = view.ground(column, row);
  if (at !== undefined && at.z < SHOP.wall) {
    const joint = Math.abs(at.x * 2 - Math.round(at.x * 2)) < 0.05 || Math.abs(at.z * 2 - Math.round(at.z * 2)) < 0.05;
    const worn =
      1 + 0.05 * placeNoise(Math.floor(at.x * 2), Math.floor(at.z * 2), seed) + 0.03 * patch(at.x, at.z, seed);
    return shade(TILE, joint ? worn * 0.8 : worn);
  }
  const metres = 1 / view.scale(SHOP.wall);
  const x = (column - view.width / 2) * metres;
  const height = (view.project(0, 0, SHOP.wall).y - row) * metres;
  if (height > SHOP.wallHeight - 0.9)
    return shade(WALL, 0.9 + 0.02 * placeNoise(Math.floor(x * 3), Math.floor(height * 3), seed));
  const shelf = (height * 2) % 1 < 0.1;
  if (shelf) return shade(STONE, 0.6);
  const item = placeNoise(Math.floor(x * 5), Math.floor(height * 2), seed);
  return shade(GOODS[Math.floor(((item + 1) / 2) * GOODS.length) % GOODS.length]!, 0.75 + 0.2 * item);
}
