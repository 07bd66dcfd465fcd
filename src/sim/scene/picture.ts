/** One colour, BT.601 limited range as in ordinary camera video. */
export interface Yuv {
  y: number;
  u: number;
  v: number;
}

export interface Point {
  x: number;
  y: number;
}

/** sRGB 0..255 to BT.601 limited range (ITU-R BT.601-7 §2.5). */
export function rgb(r: number, g: number, b: number): Yuv {
  return {
    y: 16 + 0.257 * r + 0.504 * g + 0.098 * b,
    u: 128 - 0.148 * r - 0.291 * g + 0.439 * b,
    v: 128 + 0.439 * r - 0.368 * g - 0.071 * b,
  };
}

export function shade(colour: Yuv, factor: number): Yuv {
  return { y: Math.min(235, 16 + (colour.y - 16) * factor), u: colour.u, v: colour.v };
}

/** A planar yuv420p picture in one buffer, in the layout ffmpeg reads as `rawvideo`. Width and height are even. */
export class Picture {
  readonly bytes: Uint8Array;
  readonly y: Uint8Array;
  readonly u: Uint8Array;
  readonly v: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    const luma = width * height;
    this.bytes = new Uint8Array((luma * 3) / 2);
    this.y = this.bytes.subarray(0, luma);
    this.u = this.bytes.subarray(luma, luma + luma / 4);
    this.v = this.bytes.subarray(luma + luma / 4);
  }

  /** Fills a convex polygon, even-odd by scanline, clipped to the picture. */
  polygon(points: readonly Point[], colour: Yuv): void {
    scan(points, this.width, this.height, 1, (from, to) => this.y.fill(colour.y, from, to));
    const half = points.map((p) => ({ x: p.x / 2, y: p.y / 2 }));
    scan(half, this.width / 2, this.height / 2, 1, (from, to) => {
      this.u.fill(colour.u, from, to);
      this.v.fill(colour.v, from, to);
    });
  }

  /** Darkens what lies under a convex polygon, as a shadow does. */
  darken(points: readonly Point[], factor: number): void {
    scan(points, this.width, this.height, 1, (from, to) => {
      for (let i = from; i < to; i++) this.y[i] = 16 + (this.y[i]! - 16) * factor;
    });
  }

  /** Adds light in an ellipse, strongest in the middle: a head lamp or its pool on the road. */
  glow(centre: Point, radiusX: number, radiusY: number, strength: number): void {
    const top = Math.max(0, Math.ceil(centre.y - radiusY));
    const bottom = Math.min(this.height - 1, Math.floor(centre.y + radiusY));
    for (let row = top; row <= bottom; row++) {
      const dy = (row - centre.y) / radiusY;
      const reach = radiusX * Math.sqrt(Math.max(0, 1 - dy * dy));
      const left = Math.max(0, Math.ceil(centre.x - reach));
      const right = Math.min(this.width - 1, Math.floor(centre.x + reach));
      for (let column = left; column <= right; column++) {
        const dx = (column - centre.x) / radiusX;
        const fall = 1 - dx * dx - dy * dy;
        const at = row * this.width + column;
        this.y[at] = Math.min(235, this.y[at]! + strength * fall * fall);
      }
    }
  }

  ellipse(centre: Point, radiusX: number, radiusY: number, colour: Yuv): void {
    const points: Point[] = [];
    for (let i = 0; i < 12; i++) {
      const angle = (i * Math.PI) / 6;
      points.push({ x: centre.x + radiusX * Math.cos(angle), y: centre.y + radiusY * Math.sin(angle) });
    }
    this.polygon(points, colour);
  }
}

function scan(
  points: readonly Point[],
  width: number,
  height: number,
  step: number,
  span: (from: number, to: number) => void,
): void {
  let low = Infinity;
  let high = -Infinity;
  for (const p of points) {
    low = Math.min(low, p.y);
    high = Math.max(high, p.y);
  }
  const first = Math.max(0, Math.ceil(low - 0.5));
  const last = Math.min(height - 1, Math.floor(high - 0.5));
  for (let row = first; row <= last; row += step) {
    const centre = row + 0.5;
    let left = Infinity;
    let right = -Infinity;
    for (let i = 0; i < points.length; i++) {
      const a = points[i]!;
      const b = points[(i + 1) % points.length]!;
      if (a.y > centre === b.y > centre) continue;
      const x = a.x + ((centre - a.y) / (b.y - a.y)) * (b.x - a.x);
      left = Math.min(left, x);
      right = Math.max(right, x);
    }
    const from = Math.max(0, Math.round(left));
    const to = Math.min(width, Math.round(right));
    if (to > from) span(row * width + from, row * width + to);
  }
}
