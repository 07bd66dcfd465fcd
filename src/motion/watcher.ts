import { TIMESCALE, type AccessUnit, type VideoFormat } from '../media/stream.js';
import { Detector } from './detector.js';
import { Gops } from './gops.js';
import { SizeHabit } from './habit.js';
import { Incidents, type IncidentNote } from './incidents.js';
import { CameraTruth, type TruthNote } from './truth.js';

export type Cadence = 'adaptive' | 'full' | 'key';

/** Turns access units into pictures. The picture is valid during the call only. */
export interface Decoders {
  /** One key frame, through the decoder that all cameras share. `done` gets undefined if it could not be decoded. */
  key(format: VideoFormat, unit: AccessUnit, done: (gray: Uint8Array | undefined) => void): void;
  /** Undefined: none may be started now. */
  open(
    format: VideoFormat,
    onFrame: (unit: AccessUnit, gray: Uint8Array) => void,
    onFailed: () => void,
  ): FullDecoder | undefined;
}

export interface FullDecoder {
  /**
   * False if it is behind or broken: nothing may follow before the next key frame. A picture that is not wanted is
   * decoded, because others follow from it, and not shown.
   */
  feed(unit: AccessUnit, wanted: boolean): boolean;
  close(): void;
}

/** Why a stream is looked at in every frame. */
export type Reason = 'start' | 'stir' | 'spike' | 'camera' | 'passages' | 'always';

export interface WatchStats {
  mode: 'key' | 'full';
  /** Frames analysed as single key frames, and at full rate by reason. */
  keyFrames: number;
  fullFrames: Record<Reason, number>;
  /** Access units that a decoder could not take in time. */
  dropped: number;
  /** Spans of stream time analysed at full rate, ms. */
  fullMs: number;
}

export interface WatcherOptions {
  decoders: Decoders;
  cadence: Cadence;
  /** False: the pictures have no time of day, schedules do not count. */
  wallTime?: boolean;
  onIncident: (note: IncidentNote, wallOf: (tMs: number) => number) => void;
  onTruth?: (note: TruthNote, wallOf: (tMs: number) => number) => void;
  onFullRate?: (span: { from: number; to: number; reason: Reason }) => void;
  /** Pictures come, and none of them could be looked at for so many ms; null: they are looked at again. */
  onBlind?: (forMs: number | null) => void;
}

/** Frames closer together than this are not looked at: 5 a second are enough, and more cost twice as much. */
const LEAST_STEP_MS = 170;
const QUIET_MS = 2_000;
const START_GOPS = 2;
/** A passage not longer than this many groups may fall between two key frames: then look at everything for a while. */
const SHORT_GOPS = 1.25;
const AFTER_SHORT_MS = 60_000;
/** Nobody has seen anything for so long, or so many groups: longer than a decoder that hangs is waited for. */
const BLIND = { ms: 20_000, gops: 3 };

/** Follows one stream: decides what to decode, feeds the detector, tells incidents. */
export class Watcher {
  readonly detector = new Detector();
  readonly truth = new CameraTruth();
  readonly stats: WatchStats = {
    mode: 'full',
    keyFrames: 0,
    fullFrames: { start: 0, stir: 0, spike: 0, camera: 0, passages: 0, always: 0 },
    dropped: 0,
    fullMs: 0,
  };
  readonly #options: WatcherOptions;
  readonly #incidents = new Incidents();
  readonly #gops = new Gops();
  readonly #habit = new SizeHabit();
  #format: VideoFormat | undefined;
  #full: FullDecoder | undefined;
  #reason: Reason = 'start';
  #fullSince = 0;
  #startGops = START_GOPS;
  /** Time of the newest access unit, of the last analysed frame, of the last frame with a track. */
  #now = 0;
  #analysed = Number.NEGATIVE_INFINITY;
  #stirred = 0;
  #shortUntil = Number.NEGATIVE_INFINITY;
  /** Wall clock minus stream time, ms. */
  #wallOffset = 0;
  #behind = false;
  /** Time of the last frame that was asked of the full-rate decoder. */
  #asked = 0;
  #pendingKey = false;
  #lastPts = 0;
  /** Of the last tick at which a frame had been analysed since the one before: that frame, and when it was, monotonic ms. */
  #ticked = { analysed: Number.NaN, mono: 0 };
  #blind = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  runStart(format: VideoFormat): void {
    this.runEnd();
    this.#format = format;
    this.#startGops = START_GOPS;
    this.#now = 0;
    this.#stirred = 0;
    this.#shortUntil = Number.NEGATIVE_INFINITY;
    this.#analysed = Number.NEGATIVE_INFINITY;
    this.#reason = 'start';
    this.#ticked.analysed = Number.NaN;
    this.detector.reset();
    this.truth.restart();
    this.#habit.reset();
  }

  runEnd(): void {
    this.#leaveFull();
    this.#tell(this.#incidents.finish());
    this.#gops.clear();
    this.#format = undefined;
    this.#pendingKey = false;
    this.#tellBlind(null);
  }

  /** Call it every few seconds: the time of a stream stands still with its pictures, and an event must end all the same. */
  tick(monoMs: number): void {
    if (this.#format === undefined) return;
    if (this.#ticked.analysed !== this.#analysed) {
      this.#ticked = { analysed: this.#analysed, mono: monoMs };
      this.#tellBlind(null);
      return;
    }
    const forMs = monoMs - this.#ticked.mono;
    if (forMs < Math.max(BLIND.ms, BLIND.gops * this.#gops.lengthMs)) return;
    this.#tell(this.#incidents.finish());
    this.detector.forget();
    // A camera that sends nothing is another matter.
    if (this.#now - Math.max(0, this.#analysed) > BLIND.ms / 2) this.#tellBlind(forMs);
  }

  accessUnit(unit: AccessUnit): void {
    const format = this.#format;
    if (format === undefined) return;
    this.#gops.push(unit);
    this.#now = Math.max(this.#now, timeOf(unit));
    this.#wallOffset = unit.wallMs - timeOf(unit);
    const spike =
      !unit.key && this.#habit.observe(unit.data.length, Math.min(1, (unit.pts - this.#lastPts) / TIMESCALE));
    this.#lastPts = unit.pts;
    if (this.#full !== undefined) this.#feed(unit);
    else if (unit.key) {
      const entered = this.#wantsFull() && this.#enterFull(this.#startGops > 0 ? 'start' : 'always', [unit]);
      if (!entered) this.#lookAtKey(format, unit);
    } else if (spike && this.#options.cadence === 'adaptive' && !this.#pendingKey)
      this.#enterFull('spike', this.#gops.current);
  }

  /** Something else than the pictures says that it is worth to look. */
  stir(): void {
    if (this.#options.cadence !== 'adaptive' || this.#format === undefined || this.#pendingKey) return;
    if (this.#full === undefined && this.#startGops === 0) {
      this.#enterFull('camera', [...this.#gops.previous, ...this.#gops.current]);
    }
  }

  #wantsFull(): boolean {
    if (this.#options.cadence === 'full') return true;
    return this.#options.cadence === 'adaptive' && this.#startGops > 0;
  }

  #lookAtKey(format: VideoFormat, unit: AccessUnit): void {
    this.#pendingKey = true;
    this.#options.decoders.key(format, unit, (gray) => {
      this.#pendingKey = false;
      if (gray === undefined || this.#format !== format || this.#full !== undefined) return;
      const t = timeOf(unit);
      this.stats.keyFrames++;
      const stirs = this.#options.cadence !== 'key' && this.detector.look(gray, t);
      const entered = stirs && this.#enterFull('stir', [...this.#gops.previous, ...this.#gops.current]);
      // Without a decoder for every frame what the key frames show is better than nothing.
      if (!entered) this.#step(gray, t);
    });
  }

  /** False if there is no decoder for it now. */
  #enterFull(reason: Reason, units: readonly AccessUnit[]): boolean {
    const full = this.#options.decoders.open(
      this.#format!,
      (unit, gray) => this.#frame(unit, gray),
      () => this.#leaveFull(),
    );
    if (full === undefined) return false;
    this.#full = full;
    this.#reason = reason;
    this.stats.mode = 'full';
    this.#fullSince = units[0] === undefined ? this.#now : timeOf(units[0]);
    this.#stirred = this.#now;
    this.#behind = false;
    this.#asked = this.#analysed;
    for (const unit of units) this.#feed(unit);
    return true;
  }

  #feed(unit: AccessUnit): void {
    if (this.#behind && !unit.key) {
      this.stats.dropped++;
      return;
    }
    this.#behind = this.#full?.feed(unit, this.#wants(unit)) === false;
    if (this.#behind) this.stats.dropped++;
  }

  /** Which pictures will be looked at. Of those that come in another order that is known only when they are out. */
  #wants(unit: AccessUnit): boolean {
    if (unit.pts !== unit.dts) return true;
    const t = timeOf(unit);
    if (t <= this.#asked || (!unit.key && t - this.#asked < LEAST_STEP_MS)) return false;
    this.#asked = t;
    return true;
  }

  #frame(unit: AccessUnit, gray: Uint8Array): void {
    const t = timeOf(unit);
    if (t <= this.#analysed || (!unit.key && t - this.#analysed < LEAST_STEP_MS)) return;
    this.stats.fullFrames[this.#reason]++;
    this.#step(gray, t);
    if (this.detector.busy) this.#stirred = t;
    if (!unit.key) return;
    if (this.#startGops > 0) this.#startGops--;
    if (!this.#mayLeave(t)) return;
    this.#leaveFull();
    // A decoder that is behind takes pictures with it that nobody has seen; the newest key frame tells if they matter.
    const newest = this.#gops.current[0];
    if (newest !== undefined && timeOf(newest) > t) this.#lookAtKey(this.#format!, newest);
  }

  #mayLeave(t: number): boolean {
    if (this.#options.cadence !== 'adaptive' || this.#startGops > 0) return false;
    if (this.#incidents.open !== undefined || t - this.#stirred < QUIET_MS) return false;
    if (t < this.#shortUntil) {
      this.#reason = 'passages';
      return false;
    }
    return true;
  }

  #leaveFull(): void {
    if (this.#full === undefined) return;
    this.#full.close();
    this.#full = undefined;
    this.stats.mode = 'key';
    this.stats.fullMs += this.#analysed - this.#fullSince;
    this.#options.onFullRate?.({ from: this.#fullSince, to: this.#analysed, reason: this.#reason });
  }

  #step(gray: Uint8Array, t: number): void {
    this.detector.zones.at(this.#options.wallTime === false ? undefined : t + this.#wallOffset);
    const { tracks } = this.detector.step(gray, t);
    this.#analysed = t;
    const offset = this.#wallOffset;
    for (const note of this.truth.observe(gray, this.detector.frame, t))
      this.#options.onTruth?.(note, (ms) => ms + offset);
    this.#tell(this.#incidents.observe(tracks, t, this.#now));
  }

  #tellBlind(forMs: number | null): void {
    if (this.#blind === (forMs !== null)) return;
    this.#blind = forMs !== null;
    this.#options.onBlind?.(forMs);
  }

  #tell(notes: IncidentNote[]): void {
    const offset = this.#wallOffset;
    for (const note of notes) {
      const { incident } = note;
      if (note.phase === 'end' && incident.quickest <= SHORT_GOPS * this.#gops.lengthMs) {
        this.#shortUntil = incident.end + AFTER_SHORT_MS;
      }
      this.#options.onIncident(note, (t) => t + offset);
    }
  }
}

/** Stream time in ms. */
export function timeOf(unit: AccessUnit): number {
  return (unit.pts * 1000) / TIMESCALE;
}
