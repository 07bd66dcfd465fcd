import type { Blob, BlobFinder } from './blobs.js';
import { CELLS, type Box } from './grid.js';

/** Something followed from frame to frame; times in ms of the stream. */
export interface Track extends Box {
  id: number;
  area: number;
  firstArea: number;
  peakArea: number;
  x: number;
  y: number;
  firstX: number;
  firstY: number;
  /** Farthest it was from where it began, and the way it went in all, in cells. */
  reach: number;
  path: number;
  /** Its last step, and the sum of the changes from one step to the next, in cells. */
  dx: number;
  dy: number;
  turns: number;
  /** Its longest step, cells. */
  leap: number;
  first: number;
  last: number;
  /** When it last moved or changed. */
  moved: number;
  /** Frames since it began, and in how many of them it was seen. */
  frames: number;
  observations: number;
  moving: number;
  light: number;
  /** Sum of the signs of its difference, -1..1 per observation. */
  bright: number;
  /** Since when every observation was light; undefined when the last one was not. */
  lightSince: number | undefined;
  /** How often in a row it was not light up to now. */
  unlit: number;
  confirmedAt: number | undefined;
  /** Since when it is where it is to be told; undefined: nowhere yet. */
  toldFrom: number | undefined;
  /** How much of the cells stays the same from frame to frame (intersection over union), smoothed over 1.5 s. */
  steady: number;
  /** How often, net, it looked like something that has left. */
  ghost: number;
  /** Share of its cells that changes from frame to frame, smoothed over 5 s. */
  restless: number;
  /** Where it has been lingering, and since when. */
  anchorX: number;
  anchorY: number;
  anchored: number;
  /** Its largest area lately, fading within seconds; and what that was when it began to linger. */
  recent: number;
  recentAtAnchor: number;
  /** Where its centre has been, in cells. */
  roam: Box;
  cells: Int32Array;
  count: number;
  seen: boolean;
  /** In this frame its blob is another track's as well. */
  merging: boolean;
}

/** Share of its cells that have to change from one frame to the next if it moves. */
export const CHANGED = 0.12;

export function newTrack(id: number, blob: Blob, tMs: number): Track {
  return {
    id: id,
    x0: blob.x0,
    y0: blob.y0,
    x1: blob.x1,
    y1: blob.y1,
    area: blob.area,
    firstArea: blob.area,
    peakArea: blob.area,
    x: blob.x,
    y: blob.y,
    firstX: blob.x,
    firstY: blob.y,
    reach: 0,
    path: 0,
    dx: 0,
    dy: 0,
    turns: 0,
    leap: 0,
    first: tMs,
    last: tMs,
    moved: tMs,
    frames: 1,
    observations: 1,
    moving: blob.changed > CHANGED ? 1 : 0,
    light: blob.light ? 1 : 0,
    bright: blob.sign,
    lightSince: blob.light ? tMs : undefined,
    unlit: blob.light ? 0 : 1,
    confirmedAt: undefined,
    toldFrom: undefined,
    steady: 0.5,
    restless: 0,
    ghost: 0,
    anchorX: blob.x,
    anchorY: blob.y,
    anchored: tMs,
    recent: blob.area,
    recentAtAnchor: blob.area,
    roam: { x0: blob.x, y0: blob.y, x1: blob.x, y1: blob.y },
    cells: new Int32Array(Math.min(CELLS, blob.area * 2)),
    count: 0,
    seen: true,
    merging: false,
  };
}

export function takeCells(track: Track, blob: Blob, finder: BlobFinder): void {
  if (track.cells.length < track.count + blob.area) {
    const more = new Int32Array(Math.min(CELLS, 2 * (track.count + blob.area)));
    more.set(track.cells.subarray(0, track.count));
    track.cells = more;
  }
  for (let i = blob.from; i < blob.to; i++) track.cells[track.count++] = finder.cells[i]!;
}

/** Forgets what the track has done until now. */
export function startAnew(track: Track, tMs: number): void {
  Object.assign(track, {
    ...{ firstArea: track.area, peakArea: track.area, firstX: track.x, firstY: track.y, reach: 0, path: 0, turns: 0 },
    ...{ dx: 0, dy: 0, leap: 0, first: tMs, frames: 1, observations: 1, moving: 1, light: 0, toldFrom: undefined },
    ...{ bright: Math.sign(track.bright), roam: { x0: track.x, y0: track.y, x1: track.x, y1: track.y } },
  });
}
