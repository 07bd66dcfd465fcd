import type { Track } from './track.js';
import { describe, scoreOf, type Passage } from './words.js';

/** Times in ms of the stream. */
export interface Incident {
  start: number;
  decidedAt: number;
  end: number;
  score: number;
  reason: string;
  /** The shortest time in which one of its objects crossed a good part of the picture, ms; Infinity if none did. */
  quickest: number;
}

/** Cells that count as a good part of the picture. */
const CROSSING = 30;

export interface IncidentNote {
  phase: 'start' | 'update' | 'end';
  incident: Incident;
}

/** Objects that come within this time of each other are one incident. */
export const MERGE_MS = 2_000;
const UPDATE_MS = 5_000;

/** Makes incidents of confirmed tracks: one at a time, from the first sight of the first to the last of the last. */
export class Incidents {
  #open: Incident | undefined;
  #passages = new Map<number, Passage>();
  #told = 0;
  #toldScore = 0;
  #last = Number.NEGATIVE_INFINITY;

  get open(): Incident | undefined {
    return this.#open;
  }

  /** `nowMs` is the newest time of the stream that is known: when a decision is made that looks back. */
  observe(tracks: readonly Track[], tMs: number, nowMs: number): IncidentNote[] {
    const notes: IncidentNote[] = [];
    if (this.#open !== undefined && tMs - this.#open.end > MERGE_MS && !goesOn(tracks, this.#open))
      notes.push(this.#close());
    for (const track of tracks) if (isTold(track)) this.#take(track, nowMs, notes);
    const open = this.#open;
    if (open !== undefined && tMs - this.#told >= UPDATE_MS && open.end >= tMs - MERGE_MS) {
      this.#sum(open);
      this.#told = tMs;
      if (open.score > this.#toldScore + 0.05) {
        this.#toldScore = open.score;
        notes.push({ phase: 'update', incident: { ...open } });
      }
    }
    return notes;
  }

  /** The stream is over, or starts anew. */
  finish(): IncidentNote[] {
    return this.#open === undefined ? [] : [this.#close()];
  }

  #take(track: Track, nowMs: number, notes: IncidentNote[]): void {
    const known = this.#passages.get(track.id);
    if (known === undefined) this.#passages.set(track.id, { first: track, last: track });
    let open = this.#open;
    if (open === undefined) {
      const start = Math.max(track.toldFrom!, this.#last);
      open = this.#open = { start, decidedAt: nowMs, end: track.last, score: 0, reason: '', quickest: Infinity };
      this.#sum(open);
      this.#told = nowMs;
      this.#toldScore = open.score;
      notes.push({ phase: 'start', incident: { ...open } });
    }
    open.start = Math.min(open.start, Math.max(track.toldFrom!, this.#last));
    open.end = Math.max(open.end, track.last);
  }

  #sum(open: Incident): void {
    const passages = [...this.#passages.values()];
    open.score = Math.max(0, ...passages.map(scoreOf));
    open.reason = describe(passages);
    const crossings = passages.map((one) => one.last).filter((track) => track.reach >= CROSSING);
    open.quickest = Math.min(...crossings.map((track) => track.last - track.first));
  }

  #close(): IncidentNote {
    const incident = this.#open!;
    this.#sum(incident);
    this.#open = undefined;
    this.#passages.clear();
    this.#last = incident.end;
    return { phase: 'end', incident };
  }
}

/** A track that began in time continues the incident, even if it was confirmed only now. */
function goesOn(tracks: readonly Track[], open: Incident): boolean {
  return tracks.some((track) => isTold(track) && track.toldFrom! <= open.end + MERGE_MS);
}

/** An object for sure, and where it counts. */
function isTold(track: Track): boolean {
  return track.confirmedAt !== undefined && track.toldFrom !== undefined;
}
