import { BluelightError } from '../base/errors.js';

/** Corners in thousandths of width and height. */
export type Polygon = readonly (readonly [number, number])[];

/** A picture of three bytes (red, green, blue) for each pixel, row by row from the top left. */
export interface RgbPicture {
  width: number;
  height: number;
  pixels: Uint8Array;
}

/** A binary PPM with 8 bits (netpbm `P6`), as ffmpeg writes it: no comments. The pixels are those of `bytes`, not a copy. */
export function readPpm(bytes: Uint8Array): RgbPicture {
  const head = /^P6\s(\d+)\s(\d+)\s255\s/.exec(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
  const [width, height] = [Number(head?.[1]), Number(head?.[2])];
  const pixels = bytes.subarray(head?.[0].length ?? 0);
  if (head === null || pixels.length !== width * height * 3) {
    throw new BluelightError('STILL_FAILED', 'the decoder gave no whole picture');
  }
  return { width, height, pixels };
}

/**
 * Paints every pixel that a polygon so much as touches black. Where a polygon crosses itself all of it counts as inside:
 * rather too much is hidden than too little.
 */
export function paintMasks(picture: RgbPicture, polygons: readonly Polygon[]): void {
  for (const polygon of polygons) paintMask(picture, polygon);
}

function paintMask({ width, height, pixels }: RgbPicture, polygon: Polygon): void {
  const edges = edgesOf(polygon, width, height);
  const top = Math.max(0, Math.floor(Math.min(...edges.map(({ y0 }) => y0))));
  const bottom = Math.min(height, Math.ceil(Math.max(...edges.map(({ y1 }) => y1))));
  for (let y = top; y < bottom; y++) {
    // What lies inside and is not reached from the middle of the row is cut off from it by an edge, which is painted.
    for (const [from, to] of [...inside(edges, y + 0.5), ...alongEdges(edges, y)]) {
      const first = Math.max(0, Math.floor(from));
      const last = Math.min(width, Math.max(Math.ceil(to), Math.floor(from) + 1));
      if (first < last) pixels.fill(0, (y * width + first) * 3, (y * width + last) * 3);
    }
  }
}

/** From the upper to the lower end, with the direction in which the outline runs. */
interface Edge {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  turn: 1 | -1;
}

function edgesOf(polygon: Polygon, width: number, height: number): Edge[] {
  const corners = polygon.map(([x, y]) => ({ x: (x * width) / 1_000, y: (y * height) / 1_000 }));
  return corners.map((a, i) => {
    const b = corners[(i + 1) % corners.length]!;
    const [up, down] = a.y <= b.y ? [a, b] : [b, a];
    return { x0: up.x, y0: up.y, x1: down.x, y1: down.y, turn: a.y <= b.y ? 1 : -1 };
  });
}

function xAt({ x0, y0, x1, y1 }: Edge, y: number): number {
  return y1 === y0 ? x0 : x0 + ((y - y0) / (y1 - y0)) * (x1 - x0);
}

/** Where a horizontal line runs inside, by the nonzero rule. */
function inside(edges: readonly Edge[], y: number): [number, number][] {
  const crossings = edges
    .filter(({ y0, y1 }) => y0 <= y && y < y1)
    .map((edge) => ({ x: xAt(edge, y), turn: edge.turn }))
    .sort((a, b) => a.x - b.x);
  const spans: [number, number][] = [];
  let winding = 0;
  for (const [i, { x, turn }] of crossings.entries()) {
    if (winding !== 0) spans.push([crossings[i - 1]!.x, x]);
    winding += turn;
  }
  return spans;
}

/** What the edges themselves cover of the row of pixels from `y` to `y + 1`. */
function alongEdges(edges: readonly Edge[], y: number): [number, number][] {
  return edges
    .filter(({ y0, y1 }) => y0 < y + 1 && y1 >= y)
    .map((edge): [number, number] => {
      if (edge.y0 === edge.y1) return [Math.min(edge.x0, edge.x1), Math.max(edge.x0, edge.x1)];
      const ends = [xAt(edge, Math.max(y, edge.y0)), xAt(edge, Math.min(y + 1, edge.y1))];
      return [Math.min(...ends), Math.max(...ends)];
    });
}
