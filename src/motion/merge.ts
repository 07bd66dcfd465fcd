/** A motion event as it grows; times in ms since 1970. */
export interface Told {
  phase: 'start' | 'update' | 'end';
  start: number;
  decidedAt: number;
  end: number;
  score: number;
  reason: string;
}

/** Whose word counts: ours alone, ours or the camera's, or both at once. */
export type MergeMode = 'ours' | 'either' | 'both';

/** The camera's word and ours count as one when they are not farther apart. */
const TOGETHER_MS = 5_000;
/** A camera that has told motion for so long while we have seen none for so long has forgotten to take it back. */
const STUCK = { longMs: 120_000, quietMs: 60_000 };
const CAMERA = { score: 0.5, reason: 'the camera tells of motion' };

/**
 * Makes one event of what we see and what the camera's own detector tells. A state in which the camera is stuck is
 * let go until it says that it is over; a camera that tells nothing any more leaves the word to us.
 */
export class Merger {
  mode: MergeMode = 'ours';
  /** What we see, as told last; undefined: nothing. */
  #ours: Told | undefined;
  #lastOurs = Number.NEGATIVE_INFINITY;
  /** Since when the camera tells motion, and when it did last. */
  #camera: number | undefined;
  #lastCamera = Number.NEGATIVE_INFINITY;
  #stuck = false;
  /** The camera has told anything since it was asked. */
  #heard = false;
  #told: Told | undefined;

  /** Whether the camera says that something moves, and is believed. */
  get cameraSees(): boolean {
    return this.#camera !== undefined && !this.#stuck;
  }

  ours(note: Told): Told[] {
    this.#ours = note.phase === 'end' ? undefined : note;
    this.#lastOurs = note.phase === 'end' ? note.end : note.decidedAt;
    if (this.mode === 'ours') return this.#pass(note);
    const out = this.#settle(note.phase === 'start' ? note.decidedAt : note.end, note);
    return out;
  }

  camera(active: boolean, atMs: number): Told[] {
    this.#heard = true;
    if (active) this.#camera ??= atMs;
    else {
      if (this.#camera !== undefined) this.#lastCamera = atMs;
      this.#camera = undefined;
      this.#stuck = false;
    }
    return this.mode === 'ours' ? [] : this.#settle(atMs);
  }

  /** Nobody tells for the camera any more. */
  cameraLost(atMs: number): Told[] {
    this.#heard = false;
    this.#camera = undefined;
    this.#stuck = false;
    return this.mode === 'ours' ? [] : this.#settle(atMs);
  }

  /** Call it every few seconds. */
  tick(nowMs: number): Told[] {
    if (this.#camera === undefined || this.#stuck || this.#ours !== undefined) return [];
    const told = nowMs - this.#camera;
    if (told < STUCK.longMs || nowMs - Math.max(this.#lastOurs, this.#camera) < STUCK.quietMs) return [];
    this.#stuck = true;
    this.#lastCamera = nowMs;
    return this.mode === 'ours' ? [] : this.#settle(nowMs);
  }

  #pass(note: Told): Told[] {
    this.#told = note.phase === 'end' ? undefined : note;
    return [note];
  }

  #settle(nowMs: number, note?: Told): Told[] {
    const wanted = this.mode === 'either' ? this.#ours !== undefined || this.cameraSees : this.#together(nowMs, note);
    if (this.#told === undefined) return wanted ? this.#begin(nowMs, note) : [];
    if (!wanted) return [this.#finish(note)];
    const { start, decidedAt } = this.#told;
    if (note === undefined || note.phase === 'end') return [];
    // What we see says more than that the camera told.
    const grown: Told = { ...note, phase: 'update', start: Math.min(start, note.start), decidedAt };
    this.#told = grown;
    return [grown];
  }

  /** Ours counts as soon as the camera tells the same; once told it goes on for as long as we see it. */
  #together(nowMs: number, note: Told | undefined): boolean {
    if (this.#ours === undefined && note?.phase !== 'end') return false;
    if (this.#told !== undefined) return this.#ours !== undefined;
    if (!this.#heard) return this.#ours !== undefined;
    return this.#ours !== undefined && (this.cameraSees || nowMs - this.#lastCamera <= TOGETHER_MS);
  }

  #begin(nowMs: number, note: Told | undefined): Told[] {
    const seen = note ?? this.#ours;
    const camera = this.mode === 'either' && this.cameraSees ? this.#camera! : Infinity;
    const start = Math.min(seen?.start ?? Infinity, camera);
    const told: Told = {
      phase: 'start',
      start,
      decidedAt: nowMs,
      end: seen?.end ?? nowMs,
      score: seen?.score ?? CAMERA.score,
      reason: seen?.reason ?? CAMERA.reason,
    };
    this.#told = told;
    return [told];
  }

  #finish(note: Told | undefined): Told {
    const told = this.#told!;
    this.#told = undefined;
    const cameraEnd = this.mode === 'either' ? this.#lastCamera : Number.NEGATIVE_INFINITY;
    const end = Math.max(told.start, this.#lastOurs, cameraEnd);
    const { score, reason } = note ?? told;
    return { ...told, phase: 'end', end, score, reason };
  }
}
