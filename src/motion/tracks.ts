import type { Blob, BlobFinder } from './blobs.js';
import type { Box } from './grid.js';
import { Places } from './places.js';
import { canFound, flickers, proven, swings, wasLight } from './proof.js';
import { CHANGED, newTrack, startAnew, takeCells, type Track } from './track.js';

const SMALL = 40;
/** Sharing cells counts for more than any nearness. */
const SHARED = 1e6;
/** Share of the larger of the two that has to be shared for that. */
const SAME = 0.1;
/** A blob that covers so much of two tracks is both of them. */
const MERGED = 0.3;
const FARTHEST = 1e3;
/** A track lingers while it stays within this many cells, or half its own size. */
const LINGER = 3;
const KEEP_AREA = 4;
const STEADY_SECONDS = 1.5;
const RESTLESS_SECONDS = 5;
const RECENT_SECONDS = 3;
const LOST_MS = 1_000;
const LIGHT_MS = 1_500;
/** So many sightings in a row without light make something else of what was light. */
const UNLIT = 4;
const MOST = 64;

/** Follows blobs, and decides which of them are worth telling. */
export class Tracker {
  readonly tracks: Track[] = [];
  /** By blob: the track it was given to in the last update. */
  readonly given: (Track | undefined)[] = [];
  /** Places where things move without going anywhere. */
  readonly places = new Places();
  #next = 1;
  #shared = new Uint16Array(0);

  /** `found` says whether new tracks may begin; `least` is the area below which a blob is weather. */
  update(finder: BlobFinder, tMs: number, options: { found: boolean; least: number }): void {
    const { blobs } = finder;
    this.given.length = 0;
    for (const track of this.tracks) {
      track.seen = false;
      track.merging = false;
      track.frames++;
    }
    this.#countShared(finder);
    for (let i = 0; i < blobs.length; i++) {
      this.given.push(blobs[i]!.area >= Math.max(KEEP_AREA, options.least) ? this.#match(blobs, i) : undefined);
    }
    for (const track of this.tracks) if (track.confirmedAt === undefined) this.#separate(track, blobs);
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

  /** How many cells each track had where each blob is now. */
  #countShared(finder: BlobFinder): void {
    const columns = finder.blobs.length;
    if (this.#shared.length < columns * this.tracks.length) this.#shared = new Uint16Array(2 * columns * MOST);
    this.#shared.fill(0, 0, columns * this.tracks.length);
    for (let t = 0; t < this.tracks.length; t++) {
      const track = this.tracks[t]!;
      for (let i = 0; i < track.count; i++) {
        const blob = finder.owner[track.cells[i]!]!;
        if (blob > 0) this.#shared[t * columns + blob - 1]!++;
      }
    }
  }

  /** The track that was where the blob is, of several the one that has come farthest; failing that, one near by. */
  #match(blobs: readonly Blob[], index: number): Track | undefined {
    const blob = blobs[index]!;
    let best: Track | undefined;
    let bestScore = 0;
    let within = 0;
    for (let t = 0; t < this.tracks.length; t++) {
      const track = this.tracks[t]!;
      const shared = this.#shared[t * blobs.length + index]!;
      const same = shared > SAME * Math.max(blob.area, track.area);
      if (shared > MERGED * track.area && track.area > SAME * blob.area) within++;
      const weight = track.confirmedAt === undefined ? 1 : 2;
      const score = weight * (same ? SHARED + FARTHEST * track.reach + shared : nearness(blob, track));
      if (score <= bestScore) continue;
      best = track;
      bestScore = score;
    }
    if (best !== undefined && within > 1) best.merging = true;
    return best;
  }

  /** An object and the light it casts are two: what is not proven yet follows one of them. */
  #separate(track: Track, blobs: readonly Blob[]): void {
    let lit = 0;
    let unlit = 0;
    for (let i = 0; i < blobs.length; i++) {
      if (this.given[i] !== track || blobs[i]!.area < SMALL) continue;
      if (blobs[i]!.light) lit += blobs[i]!.area;
      else unlit += blobs[i]!.area;
    }
    if (lit === 0 || unlit === 0) return;
    const light = 2 * track.light >= track.observations;
    for (let i = 0; i < blobs.length; i++) {
      if (this.given[i] === track && blobs[i]!.light !== light) this.given[i] = undefined;
    }
  }

  #begin(blob: Blob, finder: BlobFinder, tMs: number): Track {
    const track = newTrack(this.#next++, blob, tMs);
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
    // Where two become one the centre jumps; take it that the track went on as it did before.
    if (track.merging) {
      track.firstX += x - track.x - track.dx;
      track.firstY += y - track.y - track.dy;
      track.x = x - track.dx;
      track.y = y - track.dy;
    }
    const step = Math.hypot(x - track.x, y - track.y);
    if (track.observations > 1) track.turns += Math.hypot(x - track.x - track.dx, y - track.y - track.dy);
    track.dx = x - track.x;
    track.dy = y - track.y;
    track.path += step;
    track.leap = Math.max(track.leap, step);
    track.reach = Math.max(track.reach, Math.hypot(x - track.firstX, y - track.firstY));
    track.steady += (1 - Math.exp(-seconds / STEADY_SECONDS)) * (same / (before + area - same) - track.steady);
    track.recent = Math.max(area, track.recent * Math.exp(-seconds / RECENT_SECONDS));
    if (Math.hypot(x - track.anchorX, y - track.anchorY) > Math.max(LINGER, 0.5 * Math.sqrt(area))) {
      track.anchorX = x;
      track.anchorY = y;
      track.anchored = tMs;
      track.recentAtAnchor = track.recent;
    }
    track.x = x;
    track.y = y;
    track.area = area;
    track.peakArea = Math.max(track.peakArea, area);
    track.seen = true;
    track.last = tMs;
    track.observations++;
    track.bright += sign / area;
    track.restless += (1 - Math.exp(-seconds / RESTLESS_SECONDS)) * (changed / area - track.restless);
    if (changed > CHANGED * area) {
      track.moving++;
      track.moved = tMs;
    }
    if (light > area / 2) {
      track.light++;
      track.lightSince ??= tMs;
      track.unlit = 0;
    } else {
      track.lightSince = undefined;
      track.unlit++;
    }
    // What came out of a pool of light is not the light: what the pool has done says nothing of it.
    if (track.unlit === UNLIT && track.confirmedAt === undefined && wasLight(track)) {
      startAnew(track, tMs);
    }
    widen(track.roam, x, y);
    if (track.confirmedAt !== undefined || !proven(track, tMs)) return;
    if (!this.places.confine(track, tMs)) track.confirmedAt = tMs;
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
      const swung = swings(track, tMs);
      const restless = swung || flickers(track, tMs);
      if (restless) this.places.mark(track, tMs, swung);
      if (lost || light || restless) this.tracks.splice(i, 1);
    }
  }
}

/** Area in which the boxes overlap when one is widened; 0 for things of too different size. */
function nearness(blob: Blob, track: Track): number {
  const small = blob.area < SMALL || track.area < SMALL;
  if (small && (blob.area > 4 * track.area || track.area > 4 * blob.area) && !inside(blob, track)) return 0;
  const margin = Math.max(small ? 2 : 3, 0.25 * Math.sqrt(Math.min(blob.area, track.area)));
  const w = Math.min(blob.x1, track.x1 + margin) - Math.max(blob.x0, track.x0 - margin) + 1;
  const h = Math.min(blob.y1, track.y1 + margin) - Math.max(blob.y0, track.y0 - margin) + 1;
  return w > 0 && h > 0 ? w * h : 0;
}

function inside(blob: Blob, track: Track): boolean {
  return blob.x >= track.x0 && blob.x <= track.x1 && blob.y >= track.y0 && blob.y <= track.y1;
}

function widen(box: Box, x: number, y: number): void {
  box.x0 = Math.min(box.x0, x);
  box.x1 = Math.max(box.x1, x);
  box.y0 = Math.min(box.y0, y);
  box.y1 = Math.max(box.y1, y);
}
