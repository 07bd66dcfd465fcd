import { WIDTH, HEIGHT, type Box } from './grid.js';
import type { Track } from './track.js';

interface Place extends Box {
  until: number;
}

const REMEMBERED_MS = 60_000;
const MARGIN = 3;
/** Larger places are not remembered: too much would have to happen there unseen. */
const LARGEST = 0.12 * WIDTH * HEIGHT;
const MOST = 16;

/**
 * Places where something moves without going anywhere: leaves, a thread before the lens, a screen. What moves within
 * one is not told for a minute after the last time; what comes out of it, or passes through it, is.
 */
export class Places {
  #places: Place[] = [];

  mark(track: Track, tMs: number, swung: boolean): void {
    this.#places = this.#places.filter((place) => place.until > tMs);
    // Where it is now, and where it has been if it swings; not the way on which it came.
    const box: Place = { ...grown(swung ? unite(track, track.roam) : track), until: tMs + REMEMBERED_MS };
    for (const place of this.#places) {
      if (box.x0 > place.x1 || box.x1 < place.x0 || box.y0 > place.y1 || box.y1 < place.y0) continue;
      const joined = { ...unite(place, box), until: box.until };
      if (sizeOf(joined) > LARGEST) continue;
      Object.assign(place, joined);
      return;
    }
    if (sizeOf(box) <= LARGEST && this.#places.length < MOST) this.#places.push(box);
  }

  /** Whether all the track has done was in one such place. */
  confine(track: Track, tMs: number): boolean {
    const { x0, y0, x1, y1 } = unite(track, track.roam);
    return this.#places.some(
      (place) => place.until > tMs && x0 >= place.x0 && x1 <= place.x1 && y0 >= place.y0 && y1 <= place.y1,
    );
  }

  clear(): void {
    this.#places = [];
  }
}

function unite(a: Box, b: Box): Box {
  return {
    x0: Math.min(a.x0, b.x0),
    y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
  };
}

function grown(box: Box): Box {
  return { x0: box.x0 - MARGIN, y0: box.y0 - MARGIN, x1: box.x1 + MARGIN, y1: box.y1 + MARGIN };
}

function sizeOf(box: Box): number {
  return (box.x1 - box.x0) * (box.y1 - box.y0);
}
