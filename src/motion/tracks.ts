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
  confirmedAt: number | undefined;
  /** How much of the cells stays the same from frame to frame (intersection over union), smoothed over 1.5 s. */
  steady: number;
  /** Where it has been lingering, and since when. */
  anchorX: number;
  anchorY: number;
  anchored: number;
  cells: Int32Array;
  count: number;
  seen: boolean;
}

const SMALL = 40;
const START = { area: 8, strong: 4 };
const KEEP_AREA = 4;
const PROOF = {
  observations: 3,
  ms: 350,
  moving: 2,
  changed: 0.12,
  /** Cells. */
  reach: 3,
  straight: 0.55,
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
const FLIT = { area: 300, bright: 0.6, speed: 2, observations: 7, turns: 0.2 };
const STEADY_SECONDS = 1.5;
const LOST_MS = 1_000;
const LIGHT_MS = 1_500;
const MOST = 64;

/** Follows blobs, and decides which of them are worth telling. */
export class Tracker {
  readonly tracks: Track[] = [];
  /** By blob: the track it was given to in the last update. */
  readonly given: (Track | undefined)[] = [];
  #next = 1;

  /** `found` says whether new tracks may begin; `least` is the area below which a blob is weather. */
  update(finder: BlobFinder, tMs: number, options: { found: boolean; least: number }): void {
    const { blobs } = finder;
    this.given.length = 0;
    for (const track of this.tracks) {
      track.seen = false;
      track.frames++;
    }
    for (let i = 0; i < blobs.length; i++) {
      const blob = blobs[i]!;
      this.given.push(blob.area >= Math.max(KEEP_AREA, options.least) ? this.#match(blob) : undefined);
    }
    for (const track of this.tracks) this.#observe(track, finder, tMs);
    if (options.found) {
      for (let i = 0; i < blobs.length; i++) {
        const blob = blobs[i]!;
        if (this.given[i] !== undefined || !canFound(blob, options.least)) continue;
        if (this.tracks.length < MOST) this.given[i] = this.#begin(blob, finder, tMs);
      }
    }
    this.#drop(tMs);
  }

  remove(track: Track): void {
    this.tracks.splice(this.tracks.indexOf(track), 1);
  }

  #match(blob: Blob): Track | undefined {
    let best: Track | undefined;
    let bestScore = 0;
    for (const track of this.tracks) {
      const small = blob.area < SMALL || track.area < SMALL;
      if (small && (blob.area > 4 * track.area || track.area > 4 * blob.area) && !inside(blob, track)) continue;
      const margin = Math.max(small ? 2 : 3, 0.25 * Math.sqrt(Math.min(blob.area, track.area)));
      const score = overlap(blob, track, 0, 0, margin);
      const weighted = track.confirmedAt === undefined ? score : score * 2;
      if (weighted > bestScore) {
        best = track;
        bestScore = weighted;
      }
    }
    return best;
  }

  #begin(blob: Blob, finder: BlobFinder, tMs: number): Track {
    const track: Track = {
      id: this.#next++,
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
      first: tMs,
      last: tMs,
      moved: tMs,
      frames: 1,
      observations: 1,
      moving: blob.changed > PROOF.changed ? 1 : 0,
      light: blob.light ? 1 : 0,
      bright: blob.sign,
      lightSince: blob.light ? tMs : undefined,
      confirmedAt: undefined,
      steady: 0.5,
      anchorX: blob.x,
      anchorY: blob.y,
      anchored: tMs,
      cells: new Int32Array(Math.min(CELLS, blob.area * 2)),
      count: 0,
      seen: true,
    };
    takeCells(track, blob, finder);
    this.tracks.push(track);
    return track;
  }

  #observe(track: Track, finder: BlobFinder, tMs: number): void {
    const same = this.#sameCells(track, finder);
    const before = track.count;
    let area = 0;
    let x = 0;
    let y = 0;
    let changed = 0;
    let light = 0;
    let sign = 0;
    for (let i = 0; i < finder.blobs.length; i++) {
      if (this.given[i] !== track) continue;
      const blob = finder.blobs[i]!;
      if (area === 0) {
        track.count = 0;
        track.x0 = blob.x0;
        track.y0 = blob.y0;
        track.x1 = blob.x1;
        track.y1 = blob.y1;
      }
      track.x0 = Math.min(track.x0, blob.x0);
      track.y0 = Math.min(track.y0, blob.y0);
      track.x1 = Math.max(track.x1, blob.x1);
      track.y1 = Math.max(track.y1, blob.y1);
      area += blob.area;
      x += blob.x * blob.area;
      y += blob.y * blob.area;
      changed += blob.changed * blob.area;
      if (blob.light) light += blob.area;
      sign += blob.sign * blob.area;
      takeCells(track, blob, finder);
    }
    if (area === 0) return;
    x /= area;
    y /= area;
    const seconds = Math.max(0.02, (tMs - track.last) / 1000);
    const step = Math.hypot(x - track.x, y - track.y);
    if (track.observations > 1) track.turns += Math.hypot(x - track.x - track.dx, y - track.y - track.dy);
    track.dx = x - track.x;
    track.dy = y - track.y;
    track.path += step;
    track.reach = Math.max(track.reach, Math.hypot(x - track.firstX, y - track.firstY));
    track.steady += (1 - Math.exp(-seconds / STEADY_SECONDS)) * (same / (before + area - same) - track.steady);
    if (Math.hypot(x - track.anchorX, y - track.anchorY) > Math.max(PROOF.reach, 0.5 * Math.sqrt(area))) {
      track.anchorX = x;
      track.anchorY = y;
      track.anchored = tMs;
    }
    track.x = x;
    track.y = y;
    track.area = area;
    track.peakArea = Math.max(track.peakArea, area);
    track.seen = true;
    track.last = tMs;
    track.observations++;
    track.bright += sign / area;
    if (changed > PROOF.changed * area) {
      track.moving++;
      track.moved = tMs;
    }
    if (light > area / 2) {
      track.light++;
      track.lightSince ??= tMs;
    } else track.lightSince = undefined;
    if (track.confirmedAt === undefined && proven(track, tMs)) track.confirmedAt = tMs;
  }

  /** Cells of the track's last sighting that it still has. */
  #sameCells(track: Track, finder: BlobFinder): number {
    let same = 0;
    for (let i = 0; i < track.count; i++) {
      const blob = finder.owner[track.cells[i]!]!;
      if (blob > 0 && this.given[blob - 1] === track) same++;
    }
    return same;
  }

  #drop(tMs: number): void {
    for (let i = this.tracks.length - 1; i >= 0; i--) {
      const track = this.tracks[i]!;
      const lost = tMs - track.last >= LOST_MS;
      const light = track.lightSince !== undefined && tMs - track.lightSince >= LIGHT_MS;
      if (lost || light || flickers(track, tMs)) this.tracks.splice(i, 1);
    }
  }
}

/** A blob on which a new track may begin. */
export function canFound(blob: Blob, least: number): boolean {
  return blob.area >= Math.max(START.area, least) && blob.strong >= START.strong;
}

/** Whether a track has shown to be an object under way: seen steadily, whole, going somewhere in its own manner. */
function proven(track: Track, tMs: number): boolean {
  // Few cells say little: they have to be seen for longer.
  const wanted = PROOF.observations - 0.5 + Math.min(6, 60 / track.peakArea);
  if (track.observations < wanted || track.observations < PROOF.dense * track.frames) return false;
  if (tMs - track.first < PROOF.ms || track.moving < PROOF.moving) return false;
  // The light tests are sure of large blobs only.
  if (track.peakArea > PROOF.large ? track.light * 3 >= track.observations : track.light * 2 > track.observations) {
    return false;
  }
  // What dissolves where it is was wrongly learned; what jumps about is many things taken for one.
  if (track.area < PROOF.whole * track.peakArea) return false;
  if (track.turns > PROOF.turns * (track.path + 0.5 * track.observations)) return false;
  if (flits(track, tMs)) return false;
  const net = Math.hypot(track.x - track.firstX, track.y - track.firstY);
  const reach = Math.max(PROOF.reach, Math.min(8, 0.7 * Math.sqrt(track.area)));
  if (net >= reach && net >= PROOF.straight * track.path) return true;
  return track.area >= PROOF.grown * track.firstArea && net >= reach / 2;
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
function flickers(track: Track, tMs: number): boolean {
  const lingering = tMs - track.anchored;
  return (lingering >= 1_500 && track.steady < 0.4) || (lingering >= 4_000 && track.steady < 0.58);
}

function takeCells(track: Track, blob: Blob, finder: BlobFinder): void {
  if (track.cells.length < track.count + blob.area) {
    const more = new Int32Array(Math.min(CELLS, 2 * (track.count + blob.area)));
    more.set(track.cells.subarray(0, track.count));
    track.cells = more;
  }
  for (let i = blob.from; i < blob.to; i++) track.cells[track.count++] = finder.cells[i]!;
}

/** Area in which the boxes overlap when one is moved and widened, at least a bit more than 0 if they touch. */
function overlap(blob: Box, track: Box, dx: number, dy: number, margin: number): number {
  const w = Math.min(blob.x1, track.x1 + dx + margin) - Math.max(blob.x0, track.x0 + dx - margin) + 1;
  const h = Math.min(blob.y1, track.y1 + dy + margin) - Math.max(blob.y0, track.y0 + dy - margin) + 1;
  return w > 0 && h > 0 ? w * h : 0;
}

function inside(blob: Blob, track: Track): boolean {
  return blob.x >= track.x0 && blob.x <= track.x1 && blob.y >= track.y0 && blob.y <= track.y1;
}
