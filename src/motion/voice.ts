import type { Clock } from '../base/clock.js';
import { ulid } from '../base/ids.js';
import type { MotionEvent } from '../contract/motion.js';
import { toUtc } from '../contract/utc.js';
import type { IncidentNote } from './incidents.js';
import { Merger, type MergeMode, type Told } from './merge.js';
import { Throttle } from './throttle.js';

export interface VoiceOptions {
  clock: Clock;
  camera: string;
  mode: MergeMode;
  onEvent: (event: MotionEvent) => void;
  /** It tells motion without end, since then; null: not any more. */
  onStorm: (sinceMs: number | null) => void;
}

/** What is told of one camera: our sight and its own word made one, spared of repetition, each event with its id. */
export class Voice {
  readonly #o: VoiceOptions;
  readonly #merger = new Merger();
  readonly #throttle = new Throttle();
  #id: string | undefined;
  #storm: number | undefined;

  constructor(options: VoiceOptions) {
    this.#o = options;
    this.#merger.mode = options.mode;
  }

  incident({ phase, incident }: IncidentNote, wallOf: (tMs: number) => number): void {
    const { start, decidedAt, end, score, reason } = incident;
    const at = { start: wallOf(start), decidedAt: wallOf(decidedAt), end: wallOf(end) };
    this.#tell(this.#merger.ours({ phase, ...at, score, reason }));
  }

  /** The camera's own word; undefined: nobody tells for it any more. */
  camera(active: boolean | undefined): void {
    const now = this.#o.clock.now();
    this.#tell(active === undefined ? this.#merger.cameraLost(now) : this.#merger.camera(active, now));
  }

  /** Call it every few seconds. */
  tick(): void {
    this.#tell(this.#merger.tick(this.#o.clock.now()));
    this.#emit(this.#throttle.tick(this.#o.clock.now()));
    this.#weigh();
  }

  /** The camera is not watched any more. */
  finish(): void {
    this.#tell(this.#merger.cameraLost(this.#o.clock.now()));
    this.#emit(this.#throttle.finish());
    this.#weigh();
  }

  #tell(notes: Told[]): void {
    for (const note of notes) this.#emit(this.#throttle.take(note, this.#o.clock.now()));
    this.#weigh();
  }

  #weigh(): void {
    const since = this.#throttle.stormSince;
    if ((since === undefined) !== (this.#storm === undefined)) this.#o.onStorm(since ?? null);
    this.#storm = since;
  }

  #emit(notes: Told[]): void {
    for (const note of notes) {
      if (note.phase === 'start') this.#id = ulid(this.#o.clock.now());
      if (this.#id === undefined) continue;
      this.#o.onEvent(eventOf(this.#id, this.#o.camera, note));
      if (note.phase === 'end') this.#id = undefined;
    }
  }
}

function eventOf(id: string, camera: string, { phase, start, decidedAt, end, score, reason }: Told): MotionEvent {
  const at = (ms: number): string => toUtc(Math.round(ms));
  return {
    id,
    camera,
    phase,
    start: at(start),
    decidedAt: at(decidedAt),
    end: phase === 'end' ? at(end) : null,
    score,
    reason,
  };
}
