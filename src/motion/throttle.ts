import type { Told } from './merge.js';

/** So many events within so long are no news any more. */
const STORM = { starts: 40, withinMs: 600_000 };
/** It is over when nothing has begun for so long. */
const CALM_MS = 180_000;
/** One event that does not end. */
const ENDLESS_MS = 2 * 3_600_000;
const UPDATE_MS = 60_000;

/**
 * Spares people and links: a camera that tells event after event, or one that never ends, tells one long event from
 * then on, and is said to do so.
 */
export class Throttle {
  #starts: number[] = [];
  #open: Told | undefined;
  #storm: Told | undefined;
  #updated = 0;
  #lastEnd = Number.NEGATIVE_INFINITY;

  /** Since when it tells without end; undefined: it does not. */
  stormSince: number | undefined;

  take(note: Told, nowMs: number): Told[] {
    if (note.phase === 'start') this.#starts.push(nowMs);
    this.#starts = this.#starts.filter((at) => nowMs - at < STORM.withinMs);
    this.#open = note.phase === 'end' ? undefined : note;
    if (note.phase === 'end') this.#lastEnd = Math.max(this.#lastEnd, note.end);
    if (this.#storm !== undefined) return this.#during(note, nowMs);
    if (note.phase !== 'start' || this.#starts.length < STORM.starts) return [note];
    this.stormSince = this.#starts[0];
    this.#updated = nowMs;
    this.#storm = { ...note, reason: `motion without end: ${STORM.starts} events within ten minutes` };
    return [this.#storm];
  }

  /** Call it every few seconds. */
  tick(nowMs: number): Told[] {
    const open = this.#open;
    if (this.#storm === undefined) {
      this.stormSince = open !== undefined && nowMs - open.start > ENDLESS_MS ? open.start : undefined;
      return [];
    }
    const last = this.#starts.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (open !== undefined || nowMs - last < CALM_MS) return [];
    const end: Told = { ...this.#storm, phase: 'end', end: Math.max(this.#storm.start, this.#lastEnd) };
    this.#storm = this.stormSince = undefined;
    this.#starts = [];
    return [end];
  }

  /** What is still open ends with what was seen last: the stream is over. */
  finish(): Told[] {
    const storm = this.#storm;
    this.#storm = this.stormSince = this.#open = undefined;
    return storm === undefined ? [] : [{ ...storm, phase: 'end', end: Math.max(storm.start, this.#lastEnd) }];
  }

  #during(note: Told, nowMs: number): Told[] {
    if (nowMs - this.#updated < UPDATE_MS) return [];
    this.#updated = nowMs;
    this.#storm = { ...this.#storm!, phase: 'update', score: Math.max(this.#storm!.score, note.score) };
    return [this.#storm];
  }
}
