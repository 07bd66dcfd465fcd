import type { Blob } from './blobs.js';
import type { Track } from './track.js';

const START = { area: 8, strong: 4 };
const PROOF = {
  observations: 3,
  ms: 350,
  moving: 2,
  /** Cells. */
  reach: 3,
  straight: 0.55,
  /** Share of the way that a single step may be. */
  leap: 0.85,
  grown: 1.6,
  /** Share of frames in which it has to be seen. */
  dense: 0.75,
  /** Share of its largest area that is left. */
  whole: 0.3,
  /** Changes of step, as share of the way. */
  turns: 0.7,
  large: 120,
};
/** Speed in own sizes (root of the area) per second. A running person makes 3, a car across the view 5. */
/** `ways`: how often it goes the length of its place; `area`: of the place, in cells. */
const SWING = { ms: 4_000, steady: 0.58, ways: 3, area: 1_500 };
const FLIT = { area: 300, bright: 0.6, speed: 2, observations: 7, turns: 0.2 };

/** A blob on which a new track may begin. */
export function canFound(blob: Blob, least: number): boolean {
  return blob.area >= Math.max(START.area, least) && blob.strong >= START.strong;
}

/** Whether a track has shown to be an object under way: seen steadily, whole, going somewhere in its own manner. */
export function proven(track: Track, tMs: number): boolean {
  // Few cells say little: they have to be seen for longer.
  const wanted = PROOF.observations - 0.5 + Math.min(6, 60 / track.peakArea);
  if (track.observations < wanted || track.observations < PROOF.dense * track.frames) return false;
  if (tMs - track.first < PROOF.ms || track.moving < PROOF.moving) return false;
  if (wasLight(track) || (track.peakArea <= PROOF.large && track.light * 2 > track.observations)) return false;
  // What dissolves where it is was wrongly learned; what jumps about is many things taken for one.
  const net = Math.hypot(track.x - track.firstX, track.y - track.firstY);
  if (track.area < PROOF.whole * track.peakArea && net < Math.sqrt(track.peakArea)) return false;
  if (track.turns > PROOF.turns * (track.path + 0.5 * track.observations)) return false;
  if (flits(track, tMs)) return false;
  // One jump is no way: light changed, or two blobs became one.
  if (track.leap > PROOF.leap * net) return false;
  const reach = Math.max(PROOF.reach, Math.min(8, 0.7 * Math.sqrt(track.area)));
  if (net >= reach && net >= PROOF.straight * track.path) return true;
  return track.area >= PROOF.grown * track.firstArea && net >= reach / 2;
}

/** Large, and a good part of the time light: of large blobs the light tests are sure. */
export function wasLight(track: Track): boolean {
  return track.peakArea > PROOF.large && track.light * 3 >= track.observations;
}

/**
 * Small, bright and many times its own size away within a second, as insects are before the lens. A vehicle can do
 * that too, but then it goes straight on; an insect does not for long.
 */
function flits(track: Track, tMs: number): boolean {
  if (track.peakArea > FLIT.area || track.bright < FLIT.bright * track.observations) return false;
  const speed = (1000 * track.path) / (Math.sqrt(track.peakArea) * (tMs - track.first));
  if (speed < FLIT.speed) return false;
  return track.observations < FLIT.observations || track.turns > FLIT.turns * track.path;
}

/** Stays in its place but not in its cells: leaves, water, a lamp. A person who stands keeps most cells. */
export function flickers(track: Track, tMs: number): boolean {
  const lingering = tMs - track.anchored;
  if (lingering >= 1_500 && track.steady < 0.4) return true;
  if (lingering >= 4_000 && track.steady < 0.58) return true;
  // Keeps its cells because it is large, but what is in them never rests. Persons at work measured 0.14 at most.
  return lingering >= 12_000 && track.restless > 0.25;
}

/** Goes to and fro in its place, without keeping its cells: a thread before the lens, a branch, a flag. */
export function swings(track: Track, tMs: number): boolean {
  const { x0, y0, x1, y1 } = track.roam;
  if (tMs - track.first < SWING.ms || track.steady > SWING.steady) return false;
  if ((x1 - x0) * (y1 - y0) > SWING.area) return false;
  return track.path > SWING.ways * (Math.hypot(x1 - x0, y1 - y0) + 2);
}
