import { expect, test } from 'vitest';
import { paintMasks, readPpm, type Polygon } from '../../src/media/mask.js';

const SEED = Number(process.env['SEED'] ?? 20261123);

function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

const white = (width: number, height: number) => ({
  width,
  height,
  pixels: new Uint8Array(width * height * 3).fill(255),
});

/** Of an angle sum around the point: another way than the one that paints. */
function winding(polygon: Polygon, px: number, py: number, width: number, height: number): number {
  const at = polygon.map(([x, y]) => [(x * width) / 1_000 - px, (y * height) / 1_000 - py] as const);
  const turns = at.map(([ax, ay], i) => {
    const [bx, by] = at[(i + 1) % at.length]!;
    return Math.atan2(ax * by - ay * bx, ax * bx + ay * by);
  });
  return Math.round(turns.reduce((sum, turn) => sum + turn, 0) / (2 * Math.PI));
}

function distance(polygon: Polygon, px: number, py: number, width: number, height: number): number {
  const at = polygon.map(([x, y]) => [(x * width) / 1_000, (y * height) / 1_000] as const);
  const each = at.map(([ax, ay], i) => {
    const [bx, by] = at[(i + 1) % at.length]!;
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length));
    return Math.hypot(px - ax - along * (bx - ax), py - ay - along * (by - ay));
  });
  return Math.min(...each);
}

test(`every pixel that any polygon touches is painted, and none beside it (seed ${SEED})`, () => {
  const next = random(SEED);
  // One by one they would take the test longer to compare than the pixels to paint.
  const wrong: string[] = [];
  for (let n = 0; n < 300; n++) {
    const [width, height] = [1 + Math.floor(next() * 60), 1 + Math.floor(next() * 40)];
    const corners = 3 + Math.floor(next() * 6);
    const polygon: Polygon = Array.from(
      { length: corners },
      () => [Math.round(next() * 1_000), Math.round(next() * 1_000)] as const,
    );
    const picture = white(width, height);
    paintMasks(picture, [polygon]);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const painted = picture.pixels[(y * width + x) * 3] === 0;
        const [cx, cy] = [x + 0.5, y + 0.5];
        const inside = winding(polygon, cx, cy, width, height) !== 0;
        const far = distance(polygon, cx, cy, width, height);
        const where = (): string => `${JSON.stringify(polygon)} at ${x},${y} of ${width}x${height}`;
        // 0.49 of a pixel from its middle the outline certainly runs through it.
        const should = inside || far < 0.49 ? true : far > Math.SQRT2 ? false : painted;
        if (painted !== should) wrong.push(where());
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('all of the picture can be hidden, and polygons add up', () => {
  const picture = white(7, 5);
  paintMasks(picture, [
    [
      [0, 0],
      [1000, 0],
      [1000, 500],
      [0, 500],
    ],
    [
      [0, 500],
      [1000, 500],
      [1000, 1000],
      [0, 1000],
    ],
  ]);
  expect(picture.pixels.every((value) => value === 0)).toBe(true);
});

test('a picture that is not whole is refused', () => {
  const whole = Buffer.concat([Buffer.from('P6\n2 1\n255\n'), Buffer.from([1, 2, 3, 4, 5, 6])]);
  expect(readPpm(whole)).toMatchObject({ width: 2, height: 1 });
  expect(() => readPpm(whole.subarray(0, -1))).toThrow(/no whole picture/);
  expect(() => readPpm(Buffer.from('GIF89a'))).toThrow(/no whole picture/);
});
