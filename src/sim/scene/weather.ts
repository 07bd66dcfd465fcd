import { shade, rgb, type Picture } from './picture.js';
import { placeNoise } from './random.js';
import type { View } from './view.js';

/** What moves besides persons and vehicles. None of it is an event. */
export interface Weather {
  /** Streaks in the picture at a time. */
  rain?: number;
  /** Flakes in the picture at a time. */
  snow?: number;
  /** Insects before the lens, a minute. */
  insects?: number;
  /** Pools of light that sweep over the ground, a minute, and how they end. */
  sweeps?: number;
  sweepEdge?: 'soft' | 'hard';
  /** Shadows of clouds, a minute. */
  clouds?: number;
  /** Bushes at the roadside: how far their leaves swing, in thousandths of the picture's width. */
  leaves?: number;
  /** The light is switched off and on again this often a minute. */
  switched?: number;
  /** The camera's exposure swings by this share. */
  pumping?: number;
}

export interface SkyOptions {
  view: View;
  seed: number;
  night: boolean;
  weather: Weather;
  loopSeconds: number;
}

const LEAF = [rgb(58, 92, 40), rgb(74, 112, 52), rgb(44, 74, 34), rgb(96, 130, 70)];
const BUSHES = [
  { x: 0.12, y: 0.36, r: 0.1 },
  { x: 0.9, y: 0.42, r: 0.09 },
  { x: 0.3, y: 0.12, r: 0.06 },
];
const LEAVES = 260;

/** Draws weather and light. Everything is a function of the time alone, so that any moment can be drawn by itself. */
export class Sky {
  constructor(private readonly o: SkyOptions) {}

  /** What is farther away than the traffic. */
  behind(picture: Picture, t: number): void {
    if ((this.o.weather.leaves ?? 0) > 0) this.#leaves(picture, t);
  }

  /** Light on all that is there, then what is nearer. */
  before(picture: Picture, t: number): void {
    const { weather } = this.o;
    if ((weather.clouds ?? 0) > 0) this.#clouds(picture, t);
    if ((weather.sweeps ?? 0) > 0) this.#sweeps(picture, t);
    if ((weather.rain ?? 0) > 0) this.#rain(picture, t);
    if ((weather.snow ?? 0) > 0) this.#snow(picture, t);
    if ((weather.insects ?? 0) > 0) this.#insects(picture, t);
    this.#exposure(picture, t);
  }

  /** -1..1, the same for the same numbers. */
  #chance(kind: number, n: number): number {
    return placeNoise(n, kind, this.o.seed * 31 + 7);
  }

  /** Spells of `length` seconds that begin `perMinute` times a minute; how far each that runs has come, 0..1. */
  *#spells(kind: number, perMinute: number, length: number, t: number): Generator<{ n: number; share: number }> {
    const every = 60 / perMinute;
    for (let n = Math.max(0, Math.floor((t - length) / every) - 1); n <= t / every; n++) {
      const begins = (n + 0.5 + 0.35 * this.#chance(kind, n)) * every;
      const share = (t - begins) / length;
      if (share >= 0 && share < 1 && begins + length < this.o.loopSeconds) yield { n, share };
    }
  }

  #leaves(picture: Picture, t: number): void {
    const { view, weather, night } = this.o;
    const swing = ((weather.leaves ?? 0) / 1000) * view.width;
    BUSHES.forEach((bush, b) => {
      const gust = 0.4 + 0.6 * Math.max(0, Math.sin(t * 0.35 + b) * Math.sin(t * 0.13 + 2 * b));
      for (let i = 0; i < LEAVES; i++) {
        const angle = Math.PI * this.#chance(11 + b, i);
        const out = Math.sqrt((1 + this.#chance(21 + b, i)) / 2) * bush.r * view.width;
        const beat = t * (2.2 + 0.8 * this.#chance(31 + b, i)) + 5 * this.#chance(41 + b, i);
        const at = {
          x: bush.x * view.width + out * Math.cos(angle) + gust * swing * Math.sin(beat),
          y: bush.y * view.width + out * Math.sin(angle) * 0.7 + 0.4 * gust * swing * Math.cos(beat * 1.3),
        };
        const size = view.width * (0.006 + 0.003 * this.#chance(51 + b, i));
        const colour = shade(LEAF[i % LEAF.length]!, (night ? 0.3 : 1) * (0.9 + 0.25 * this.#chance(61 + b, i)));
        picture.ellipse(at, size, size * 0.7, colour);
      }
    });
  }

  #clouds(picture: Picture, t: number): void {
    const { width, height } = this.o.view;
    for (const { n, share } of this.#spells(1, this.o.weather.clouds ?? 0, 14, t)) {
      const depth = 0.4 + 0.1 * this.#chance(2, n);
      const edge = width * (0.02 + 0.03 * (1 + this.#chance(3, n)));
      const slope = 0.5 * this.#chance(4, n);
      // In from the left within the first third, out to the right within the last.
      const front = -0.4 * width + 3 * share * 1.8 * width;
      const back = -0.4 * width + (3 * share - 2) * 1.8 * width;
      light(picture, (x, y) => {
        const along = x + slope * (y - height / 2);
        return 1 - depth * step((front - along) / edge) * step((along - back) / edge);
      });
    }
  }

  #sweeps(picture: Picture, t: number): void {
    const { width, height } = this.o.view;
    const hard = this.o.weather.sweepEdge === 'hard';
    for (const { n, share } of this.#spells(5, this.o.weather.sweeps ?? 0, 2 + 1.5 * (1 + this.#chance(6, n0(t))), t)) {
      const way = this.#chance(7, n) > 0 ? share : 1 - share;
      const centre = { x: (-0.3 + 1.6 * way) * width, y: height * (0.6 + 0.2 * this.#chance(8, n)) };
      const radius = width * (0.16 + 0.05 * this.#chance(9, n));
      const edge = hard ? 0.006 * width : 0.09 * width;
      // A lamp that doubles the light of a night adds little to the light of a room.
      const strength = (this.o.night ? 1.2 : 0.35) * (1 + 0.3 * this.#chance(10, n));
      light(picture, (x, y) => {
        const away = Math.hypot(x - centre.x, (y - centre.y) * 1.7) - radius;
        return 1 + strength * step(-away / edge);
      });
    }
  }

  #rain(picture: Picture, t: number): void {
    const { width, height } = this.o.view;
    const frame = Math.round(t * 30);
    for (let i = 0; i < (this.o.weather.rain ?? 0); i++) {
      const n = frame * 1_009 + i;
      const x = ((this.#chance(71, n) + 1) / 2) * width;
      const y = ((this.#chance(72, n) + 1) / 2) * height;
      const length = width * (0.03 + 0.015 * this.#chance(73, n));
      const wide = width * 0.0016;
      const slant = length * 0.12;
      add(picture, x, y, length, wide, slant, 22 + 10 * this.#chance(74, n));
    }
  }

  #snow(picture: Picture, t: number): void {
    const { width, height } = this.o.view;
    for (let i = 0; i < (this.o.weather.snow ?? 0); i++) {
      const near = ((1 + this.#chance(81, i)) / 2) ** 4;
      const radius = width * (0.0015 + 0.011 * near);
      const fall = height * (0.25 + 0.9 * near);
      const run = (((1 + this.#chance(82, i)) / 2) * 1.2 * height + fall * t) / (1.2 * height);
      const x0 = ((1 + this.#chance(83, i + 5_003 * Math.floor(run))) / 2) * width;
      const x = x0 + width * 0.02 * Math.sin(t * 1.7 + i);
      picture.glow({ x, y: (run % 1) * 1.2 * height - 0.1 * height }, radius * 1.3, radius * 1.3, 150);
    }
  }

  #insects(picture: Picture, t: number): void {
    const { width, height } = this.o.view;
    const length = 2.5;
    for (const { n, share } of this.#spells(9, this.o.weather.insects ?? 0, length, t)) {
      const a = this.#chance(91, n);
      const b = this.#chance(92, n);
      const way = a > 0 ? share : 1 - share;
      const wave = 2 + 3 * (1 + b);
      const x = (-0.1 + 1.2 * way + 0.09 * Math.sin(wave * 2 * way + 5 * a)) * width;
      const y = (0.5 + 0.3 * b + 0.16 * Math.sin(wave * 1.6 * way + 4 * b) + 0.05 * Math.sin(9 * wave * way)) * height;
      const radius = width * (0.012 + 0.01 * (1 + this.#chance(93, n)));
      // Wings beat faster than pictures come: its size and brightness change from one to the next.
      const beat = 1 + 0.25 * this.#chance(94, Math.round(t * 30) + n);
      picture.glow({ x, y }, radius * beat, radius * (2 - beat), 110 + 50 * beat);
    }
  }

  #exposure(picture: Picture, t: number): void {
    const { weather } = this.o;
    let gain = 1;
    if ((weather.pumping ?? 0) > 0) gain *= 1 + (weather.pumping ?? 0) * Math.sin(t * 0.9) * Math.sin(t * 0.23 + 1);
    for (const { share } of this.#spells(12, weather.switched ?? 0.001, 15, t)) gain *= share < 0.97 ? 0.3 : 0.65;
    if (gain !== 1) light(picture, () => gain);
  }
}

function n0(t: number): number {
  return Math.floor(t / 60);
}

/** From 0 to 1 around 0. */
function step(at: number): number {
  return at > 3 ? 1 : at < -3 ? 0 : 1 / (1 + Math.exp(-3 * at));
}

function light(picture: Picture, factor: (x: number, y: number) => number): void {
  const { width, height, y: luma } = picture;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      const value = 16 + (luma[at]! - 16) * factor(column, row);
      luma[at] = value > 235 ? 235 : value;
    }
  }
}

/** Brightens a slanted streak. */
function add(picture: Picture, x: number, y: number, length: number, wide: number, slant: number, by: number): void {
  const { width, height, y: luma } = picture;
  for (let i = 0; i < length; i++) {
    const row = Math.round(y + i);
    if (row < 0 || row >= height) continue;
    const middle = x + (slant * i) / length;
    for (let column = Math.round(middle - wide); column <= middle + wide; column++) {
      if (column < 0 || column >= width) continue;
      const at = row * width + column;
      luma[at] = Math.min(235, luma[at]! + by);
    }
  }
}
