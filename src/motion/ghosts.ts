import { HEIGHT, WIDTH } from './grid.js';
import type { Track } from './track.js';

/** The background's contour must be sharper than the picture's by this factor. */
const SHARPER = 1.2;

/**
 * Whether what a track holds has left, so that only the background still shows it: then the edge around it
 * stands in the background and not in the picture.
 */
export function isGhost(track: Track, frame: Float32Array, level: Float32Array, inTrack: Uint8Array): boolean {
  for (let i = 0; i < track.count; i++) inTrack[track.cells[i]!] = 1;
  let picture = 0;
  let background = 0;
  for (let i = 0; i < track.count; i++) {
    const c = track.cells[i]!;
    const y = (c / WIDTH) | 0;
    const x = c - y * WIDTH;
    if (x < 1 || y < 1 || x >= WIDTH - 1 || y >= HEIGHT - 1) continue;
    if (inTrack[c - 1]! + inTrack[c + 1]! + inTrack[c - WIDTH]! + inTrack[c + WIDTH]! === 4) continue;
    picture += Math.abs(frame[c + 1]! - frame[c - 1]!) + Math.abs(frame[c + WIDTH]! - frame[c - WIDTH]!);
    background += Math.abs(level[c + 1]! - level[c - 1]!) + Math.abs(level[c + WIDTH]! - level[c - WIDTH]!);
  }
  for (let i = 0; i < track.count; i++) inTrack[track.cells[i]!] = 0;
  return background > SHARPER * picture;
}
