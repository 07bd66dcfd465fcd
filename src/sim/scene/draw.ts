import { footprint, SIZES, type ColourName, type Corner, type SceneObject, type Size } from './objects.js';
import { rgb, shade, type Picture, type Point, type Yuv } from './picture.js';
import type { Pose } from './route.js';
import type { View } from './view.js';

const COLOURS: Record<ColourName, Yuv> = {
  white: rgb(226, 226, 222),
  black: rgb(28, 28, 32),
  grey: rgb(128, 132, 136),
  red: rgb(184, 28, 30),
  blue: rgb(32, 62, 170),
  green: rgb(24, 108, 56),
  yellow: rgb(228, 186, 24),
};
const WINDOW = rgb(40, 48, 58);
const TYRE = rgb(24, 24, 25);
const SKIN = rgb(196, 150, 122);
const TROUSERS = rgb(52, 54, 70);
const TAIL_LAMP = rgb(190, 20, 16);

export interface Light {
  night: boolean;
  /** Vehicles drive with their lamps on. */
  headlights: boolean;
}

export function drawObject(picture: Picture, view: View, object: SceneObject, pose: Pose, light: Light): void {
  if (object.kind === 'person' || object.kind === 'visitor')
    drawPerson(picture, view, pose, lit(COLOURS[object.colour], light), light);
  else drawVehicle(picture, view, pose, object.kind, lit(COLOURS[object.colour], light), light);
}

function lit(colour: Yuv, light: Light): Yuv {
  if (!light.night) return colour;
  return { y: shade(colour, 0.38).y, u: 128 + (colour.u - 128) * 0.45, v: 128 + (colour.v - 128) * 0.45 };
}

function drawVehicle(
  picture: Picture,
  view: View,
  pose: Pose,
  kind: 'car' | 'van' | 'truck',
  paint: Yuv,
  light: Light,
): void {
  const size = SIZES[kind];
  const whole = footprint(pose, size);
  if (!light.night) picture.darken(ground(view, footprint(pose, size, [-1.06, 1.06], 1.25)), 0.55);
  if (light.headlights) poolOfLight(picture, view, pose, size, light);
  drawBox(picture, view, whole, 0, 0.35, lit(TYRE, light));
  const waist = size.height * (kind === 'car' ? 0.62 : 0.5);
  drawBox(picture, view, footprint(pose, size, [-1, 1], 0.98), 0.3, waist, paint);
  if (kind === 'truck') {
    drawBox(picture, view, footprint(pose, size, [0.62, 0.96], 0.95), waist, size.height * 0.8, lit(WINDOW, light));
    drawBox(picture, view, footprint(pose, size, [-1, 0.55], 1), waist, size.height, shade(paint, 0.9));
  } else {
    const cabin: [number, number] = kind === 'car' ? [-0.62, 0.42] : [-0.98, 0.72];
    drawBox(picture, view, footprint(pose, size, cabin, 0.9), waist, size.height * 0.93, lit(WINDOW, light));
    drawBox(
      picture,
      view,
      footprint(pose, size, [cabin[0] + 0.06, cabin[1] - 0.12], 0.82),
      size.height * 0.93,
      size.height,
      paint,
    );
  }
  if (light.headlights) lamps(picture, view, pose, size);
}

/** The faces of an upright box that the camera can see, farthest first; the top always. */
function drawBox(picture: Picture, view: View, base: Corner[], low: number, high: number, colour: Yuv): void {
  const sides = base.map((a, i) => ({ a, b: base[(i + 1) % base.length]!, i }));
  const visible = sides
    // The camera stands over the origin: a side faces it if the origin lies on its outer side.
    .filter(({ a, b }) => a.x * b.z - a.z * b.x > 0 === clockwise(base))
    .sort((p, q) => q.a.z + q.b.z - p.a.z - p.b.z);
  for (const { a, b, i } of visible) {
    const face = [
      view.project(a.x, low, a.z),
      view.project(b.x, low, b.z),
      view.project(b.x, high, b.z),
      view.project(a.x, high, a.z),
    ];
    picture.polygon(face, shade(colour, i % 2 === 0 ? 0.8 : 0.66));
  }
  picture.polygon(
    base.map((p) => view.project(p.x, high, p.z)),
    colour,
  );
}

function clockwise(base: Corner[]): boolean {
  let area = 0;
  base.forEach((a, i) => {
    const b = base[(i + 1) % base.length]!;
    area += a.x * b.z - b.x * a.z;
  });
  return area < 0;
}

function ground(view: View, corners: Corner[]): Point[] {
  return corners.map((p) => view.project(p.x, 0, p.z));
}

function poolOfLight(picture: Picture, view: View, pose: Pose, size: Size, light: Light): void {
  const reach = size.length / 2 + 5;
  const centre = { x: pose.x + pose.dx * reach, z: pose.z + pose.dz * reach };
  const scale = view.scale(centre.z);
  const along = Math.abs(pose.dx) * 4.5 + Math.abs(pose.dz) * 1.6;
  picture.glow(view.project(centre.x, 0, centre.z), along * scale, 1.3 * scale, light.night ? 60 : 14);
}

function lamps(picture: Picture, view: View, pose: Pose, size: Size): void {
  const [frontLeft, frontRight, rearRight, rearLeft] = footprint(pose, size, [-1, 1], 0.75);
  const radius = 0.17 * view.scale(pose.z);
  // Head lamps are seen from the front and the sides, tail lamps from behind.
  if (pose.dz < 0.3) {
    for (const at of [frontLeft!, frontRight!])
      picture.glow(view.project(at.x, 0.65, at.z), 2.2 * radius, 2.2 * radius, 220);
  }
  if (pose.dz > -0.3) {
    for (const at of [rearLeft!, rearRight!])
      picture.ellipse(view.project(at.x, 0.7, at.z), radius, radius * 0.7, TAIL_LAMP);
  }
}

function drawPerson(picture: Picture, view: View, pose: Pose, coat: Yuv, light: Light): void {
  const scale = view.scale(pose.z);
  const foot = view.project(pose.x, 0, pose.z);
  const up = (height: number): number => view.project(pose.x, height, pose.z).y;
  if (!light.night) {
    const shadow = [-0.3, 0.3].flatMap((w) => [{ x: pose.x + w, z: pose.z }]);
    const tip = [0.9, 0.5].map((w) => ({ x: pose.x + w, z: pose.z + 0.7 }));
    picture.darken(ground(view, [...shadow, ...tip]), 0.65);
  }
  // A step of 0.75 m; the swing shows across the picture only when walking across it.
  const stride = Math.sin(((pose.x + pose.z) / 0.75) * Math.PI) * 0.28 * (0.35 + 0.65 * Math.abs(pose.dx));
  for (const side of [-1, 1]) {
    const hip = foot.x + side * 0.09 * scale;
    const toe = foot.x + side * (0.08 + stride) * scale;
    const leg = 0.09 * scale;
    picture.polygon(
      [
        { x: hip - leg, y: up(0.9) },
        { x: hip + leg, y: up(0.9) },
        { x: toe + leg, y: foot.y },
        { x: toe - leg, y: foot.y },
      ],
      lit(TROUSERS, light),
    );
  }
  picture.ellipse({ x: foot.x, y: (up(0.85) + up(1.5)) / 2 }, 0.27 * scale, (up(0.85) - up(1.5)) / 2, coat);
  picture.ellipse({ x: foot.x, y: up(1.62) }, 0.12 * scale, 0.15 * scale, lit(SKIN, light));
}
