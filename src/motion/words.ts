import { CELLS, HEIGHT, WIDTH } from './grid.js';
import type { Track } from './track.js';

/** One object's way through the picture. */
export interface Passage {
  first: Track;
  last: Track;
}

/** 0..1: how sure it is that an object moved, from how long it was seen, how far it went and how large it was. */
export function scoreOf(passage: Passage): number {
  const { last: t } = passage;
  const seen = 1 - Math.exp(-t.observations / 6);
  const way = 1 - Math.exp(-t.reach / 12);
  const size = 1 - Math.exp(-t.peakArea / 60);
  const whole = 1 - (0.5 * t.light) / t.observations;
  return Math.round(100 * (0.25 + 0.75 * Math.cbrt(seen * way * size)) * whole) / 100;
}

/** What happened, for people. */
export function describe(passages: readonly Passage[]): string {
  const main = passages.reduce((a, b) => (scoreOf(b) > scoreOf(a) ? b : a));
  const t = main.last;
  const seconds = Math.max(0.1, (t.last - t.first) / 1000);
  const way = `${size(t.peakArea)} object ${movement(t)}, ${seconds.toFixed(1)} s`;
  return passages.length === 1 ? way : `${way}; ${passages.length} objects in all`;
}

function size(area: number): string {
  const share = area / CELLS;
  return share < 0.004 ? 'small' : share < 0.04 ? 'medium' : 'large';
}

function movement(t: Track): string {
  const dx = t.x - t.firstX;
  const dy = t.y - t.firstY;
  if (Math.abs(dx) < 0.1 * WIDTH && Math.abs(dy) < 0.1 * HEIGHT) return `moved about ${place(t.x, t.y)}`;
  return `moved from ${place(t.firstX, t.firstY)} to ${place(t.x, t.y)}`;
}

function place(x: number, y: number): string {
  const column = x < WIDTH / 3 ? 'left' : x < (2 * WIDTH) / 3 ? 'middle' : 'right';
  const row = y < HEIGHT / 3 ? 'top' : y < (2 * HEIGHT) / 3 ? '' : 'bottom';
  return row === '' ? `the ${column}` : `the ${row} ${column}`;
}
