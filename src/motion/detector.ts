import { Background, CANDIDATE, FREE, HELD, REJECTED } from './background.js';
import { BlobFinder } from './blobs.js';
import { Exposure } from './exposure.js';
import { isGhost } from './ghosts.js';
import { BLOCK, BLOCKS, BLOCKS_X, CELLS, HEIGHT, WIDTH, shrink } from './grid.js';
import { LightTests } from './light.js';
import { Alignment } from './shift.js';
import { Stillness } from './stillness.js';
import { canFound } from './proof.js';
import type { Track } from './track.js';
import { Tracker } from './tracks.js';
import { Weather } from './weather.js';
import { ZoneMap } from './zones.js';

const STEP = { share: 0.45, quietMs: 800 };
/** From so many raw cells on it is worth to ask whether the camera has moved. */
const ALIGN_CELLS = 60;
const STILL_MS = 1_500;
const PARKED_MS = 90_000;
/** What has not left its place for so long belongs there, even if something moves on it: a car in the snow. */
const FURNITURE_MS = 600_000;
const STUCK_MS = 4_000;
const GHOST_LOOKS = 4;
const REMNANT = { ms: 4_000, share: 0.25 };
/** Share of an object that has to be settled before its settled cells are learned. */
const SETTLED = 0.7;
/** Cells around a held object that are held with it. */
const OUTLINE = 2;

/** What a frame showed. `tracks` are live objects of the detector, confirmed and not. */
export interface Observation {
  tMs: number;
  tracks: readonly Track[];
}

/**
 * Finds moving persons and vehicles in a stream of 320x180 gray frames. Pure: time comes with the frames,
 * which may be any time apart. `look` judges a frame without learning from it; `step` goes on with it.
 */
export class Detector {
  readonly background = new Background();
  readonly finder = new BlobFinder();
  readonly tracker = new Tracker();
  readonly exposure = new Exposure();
  readonly alignment = new Alignment();
  readonly light = new LightTests();
  readonly weather = new Weather();
  readonly frame = new Float32Array(CELLS);
  readonly zones = new ZoneMap();
  readonly #stillness = new Stillness();
  readonly #kind = new Uint8Array(CELLS);
  /** Rows with foreground. */
  readonly #busy = new Uint8Array(HEIGHT);
  readonly #covered = new Uint8Array(BLOCKS);
  readonly #scratch = new Uint8Array(CELLS);
  readonly #scratchCells = new Int32Array(CELLS);
  #looked = Number.NaN;
  #started: number | undefined;
  #last = 0;
  #quietUntil = Number.NEGATIVE_INFINITY;

  /** After a cut in the stream: learns anew, tells nothing about what changed meanwhile. */
  reset(): void {
    this.#started = undefined;
    this.tracker.tracks.length = 0;
    this.tracker.places.clear();
    this.#looked = Number.NaN;
  }

  /** Nothing was seen for a while: what was followed may be anywhere. What has been learned stays. */
  forget(): void {
    this.tracker.tracks.length = 0;
  }

  /** Whether anything is being followed, confirmed or not, or the light has just changed. */
  get busy(): boolean {
    return this.tracker.tracks.length > 0 || this.#last < this.#quietUntil;
  }

  /** True if something stirs that might become an event. Does not change what has been learned. */
  look(gray: Uint8Array, tMs: number): boolean {
    if (this.#started === undefined) return true;
    this.#compare(gray, tMs);
    if (this.exposure.off > 0.3) return true;
    const least = this.weather.least;
    for (const blob of this.finder.blobs) if (canFound(blob, least) && !blob.light) return true;
    return false;
  }

  step(gray: Uint8Array, tMs: number): Observation {
    if (this.#started === undefined) {
      shrink(gray, this.frame);
      this.background.start(this.frame);
      this.#stillness.reset();
      this.#started = this.#last = tMs;
      this.#kind.fill(FREE);
      this.#covered.fill(0);
      return { tMs, tracks: this.tracker.tracks };
    }
    if (this.#looked !== tMs) this.#compare(gray, tMs);
    this.#looked = Number.NaN;
    const seconds = Math.max(0.001, (tMs - this.#last) / 1000);
    const age = (tMs - this.#started) / 1000;
    const stepping = this.exposure.off > STEP.share;
    if (stepping) this.#quietUntil = tMs + STEP.quietMs;
    this.weather.observe(this.finder.blobs, seconds);
    this.tracker.update(this.finder, tMs, { found: tMs >= this.#quietUntil, least: this.weather.least });
    this.#stillness.observe(this.finder.cells, this.finder.count, this.frame, 1000 * seconds, 1000 * age);
    this.#settle(tMs);
    this.zones.judge(this.tracker.tracks);
    this.#paint();
    this.background.learn(this.exposure, this.#kind, this.#busy, seconds, Math.max(0.4, age), stepping);
    this.#last = tMs;
    return { tMs, tracks: this.tracker.tracks };
  }

  #compare(gray: Uint8Array, tMs: number): void {
    const { background, exposure, alignment, finder, frame } = this;
    shrink(gray, frame);
    exposure.estimate(frame, background.level, this.#covered);
    alignment.measureNoise(frame, background.level, exposure.ratio, this.#kind);
    background.compare(frame, exposure, alignment.noise);
    if (this.zones.masked !== undefined) background.mask(this.zones.masked);
    if (background.rawCount > ALIGN_CELLS) {
      alignment.estimate(background.diff, background.level, exposure.ratio, this.#kind);
      if (alignment.shift.length > 0) background.unshift(exposure.ratio, alignment.shift);
    }
    finder.find(background.raw, background.rawCount, background.diff, background.limit, background.before);
    for (const blob of finder.blobs) {
      if (blob.area >= 8) blob.light = this.light.isLight(blob, finder, background, frame, alignment.noise);
    }
    this.#looked = tMs;
  }

  /** Parked cars and ghosts become background at once. */
  #settle(tMs: number): void {
    for (const track of [...this.tracker.tracks]) {
      if (!track.seen) continue;
      this.#letGo(track);
      const lingering = tMs - track.anchored;
      if (lingering < STILL_MS) continue;
      const parked = tMs - track.moved >= PARKED_MS || lingering >= FURNITURE_MS;
      // More than one look: what passes before it must not decide.
      const ghost = isGhost(track, this.frame, this.background.diff, this.#scratch);
      track.ghost = Math.max(0, track.ghost + (ghost ? 1 : -1));
      // An object that shrank at once has gone on; what stayed is ground that it had hidden since the model began.
      const remnant = lingering >= REMNANT.ms && track.area < REMNANT.share * track.recentAtAnchor;
      if (!parked && !remnant && track.ghost < GHOST_LOOKS) continue;
      this.background.absorb(this.frame, track.cells, track.count);
      this.tracker.remove(track);
    }
  }

  /** What has stood in its place for long enough belongs there, whatever passes before it. */
  #letGo(track: Track): void {
    const cells = this.#scratchCells;
    let count = 0;
    for (let i = 0; i < track.count; i++) {
      const c = track.cells[i]!;
      if (this.#stillness.settled(c)) cells[count++] = c;
    }
    if (count > SETTLED * track.count) this.background.absorb(this.frame, cells, count);
  }

  /** Says of every cell how it is to be learned. */
  #paint(): void {
    const kind = this.#kind.fill(FREE);
    const { blobs, cells } = this.finder;
    this.#covered.fill(0);
    this.#busy.fill(0);
    for (const blob of blobs) {
      this.#busy.fill(1, blob.y0, blob.y1 + 1);
      for (let i = blob.from; i < blob.to; i++) kind[cells[i]!] = REJECTED;
    }
    for (const track of this.tracker.tracks) {
      this.#busy.fill(1, Math.max(0, track.y0 - OUTLINE), track.y1 + OUTLINE + 1);
      if (track.confirmedAt !== undefined) continue;
      // What never moved will not become an object: let it be learned.
      if (this.#last - track.anchored > STUCK_MS) continue;
      for (let i = 0; i < track.count; i++) kind[track.cells[i]!] = CANDIDATE;
    }
    for (const track of this.tracker.tracks) if (track.confirmedAt !== undefined) this.#hold(track);
  }

  /** Nothing of an object is learned, nor what is around it: its outline is part of it, even where it hardly shows. */
  #hold(track: Track): void {
    const { owner } = this.finder;
    for (let i = 0; i < track.count; i++) {
      const c = track.cells[i]!;
      const y = (c / WIDTH) | 0;
      const x = c - y * WIDTH;
      this.#covered[((y / BLOCK) | 0) * BLOCKS_X + ((x / BLOCK) | 0)]!++;
      const inner = owner[c] !== 0 && owner[c - 1] && owner[c + 1] && owner[c - WIDTH] && owner[c + WIDTH];
      const reach = inner ? 0 : OUTLINE;
      for (let ny = Math.max(0, y - reach), yEnd = Math.min(HEIGHT - 1, y + reach); ny <= yEnd; ny++) {
        const row = ny * WIDTH;
        this.#kind.fill(HELD, row + Math.max(0, x - reach), row + Math.min(WIDTH - 1, x + reach) + 1);
      }
    }
  }
}
