import { HEIGHT, WIDTH } from './grid.js';
import type { Track } from './track.js';

/** The picture's share of the contour below which the object is in the background only. */
const SHARE = 0.4;
const DIRECTIONS = [
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
] as const;

/**
 * Whether what a track holds has left, so that only the background still shows it. The difference steps at the
 * contour; the step is either in the picture (an object is there) or in the background (one was). What share the
 * picture has is a regression over the whole contour, so noise and weather hardly count.
 * `inTrack` is scratch, all 0 before and after.
 */
export function isGhost(track: Track, frame: Float32Array, diff: Float32Array, inTrack: Uint8Array): boolean {
  for (let i = 0; i < track.count; i++) inTrack[track.cells[i]!] = 1;
  let shared = 0;
  let all = 0;
  for (let i = 0; i < track.count; i++) {
    const c = track.cells[i]!;
    const y = (c / WIDTH) | 0;
    const x = c - y * WIDTH;
    if (x < 2 || y < 2 || x >= WIDTH - 2 || y >= HEIGHT - 2) continue;
    for (const [dx, dy] of DIRECTIONS) {
      const step = dy * WIDTH + dx;
      if (inTrack[c + step] === 1) continue;
      const within = c - step;
      const without = c + 2 * step;
      const change = diff[within]! - diff[without]!;
      shared += change * (frame[within]! - frame[without]!);
      all += change * change;
    }
  }
  for (let i = 0; i < track.count; i++) inTrack[track.cells[i]!] = 0;
  return all > 0 && shared < SHARE * all;
}
