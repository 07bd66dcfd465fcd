import { wallMinusMonotonic, type Clock } from '../base/clock.js';
import { ulid } from '../base/ids.js';
import type { BufferPool } from '../media/buffers.js';
import { Fragmenter } from '../media/fragmenter.js';
import { buildInit } from '../media/mp4.js';
import {
  isKeyAccessUnit,
  isSequenceParameterSet,
  nalType,
  parameterSetsOf,
  sameBytes,
  splitNals,
} from '../media/nal.js';
import { videoFormat } from '../media/sps.js';
import type { Codec, Fragment, GapReason, StreamRole, StreamSink, VideoFormat } from '../media/stream.js';
import { Meter } from './meter.js';
import type { EngineName, RawPicture } from './ports.js';
import { CaptureClock } from './wall.js';

export interface TrackOptions {
  stream: string;
  camera: string;
  role: StreamRole;
  clock: Clock;
  sink: StreamSink;
  fragmentMs?: number;
  pool?: BufferPool;
}

const TICKS_PER_MS = 90;
/** A pause in the camera's own time that is still one run: encoders with a variable frame rate make them. */
const MAX_PAUSE_TICKS = 5_000 * TICKS_PER_MS;
/** A correction of the clock beyond this starts a new run, below it is followed slowly. */
const MAX_CLOCK_ERROR_MS = 2_000;
const MAX_SLEW = 500e-6;
/** Some cameras and ffmpeg's probing start with a burst of old pictures; their arrival says nothing about their time. */
const SETTLE = { ms: 1_000, bytes: 4 * 1024 * 1024 };

interface OpenRun {
  id: string;
  origin: number;
  fragmenter: Fragmenter;
  /** Wall minus monotonic time, as the run counts it. */
  wallBase: number;
  lastDts: number;
  fragmentAt: number;
  /** Ticks between pictures. */
  step: number;
}

/** Turns the pictures of a stream into runs, access units and fragments, whichever engine they come from. */
export class Track {
  readonly #options: TrackOptions;
  #engine: EngineName = 'native';
  #codec: Codec = 'h264';
  #known: Uint8Array[] = [];
  #format: VideoFormat | undefined;
  #settling: RawPicture[] | undefined;
  #capture = new CaptureClock();
  #run: OpenRun | undefined;
  #lastGap: GapReason | undefined;
  #lastEnd = { wallMs: -Infinity, monoMs: -Infinity };
  /** The run before ended without a picture missing: times go on from there. */
  #unbroken = false;
  meter: Meter;
  lastPictureAt: number | undefined;
  lastKeyAt: number | undefined;
  /** Why key frames cannot be used, if so. */
  keyProblem: string | undefined;

  constructor(options: TrackOptions) {
    this.#options = options;
    this.meter = new Meter(options.clock.monotonic());
  }

  get format(): VideoFormat | undefined {
    return this.#format;
  }

  /** Monotonic ms at which the last fragment left for the disk, or the run began; undefined without a run. */
  get lastFragmentAt(): number | undefined {
    return this.#run?.fragmentAt;
  }

  get recording(): boolean {
    return this.#run !== undefined;
  }

  /** A new session: nothing of the last one's times holds. */
  begin(engine: EngineName): void {
    this.#engine = engine;
    this.#known = [];
    this.#settling = [];
    this.#capture = new CaptureClock();
    this.meter = new Meter(this.#options.clock.monotonic());
    this.lastPictureAt = undefined;
    this.lastKeyAt = undefined;
    this.keyProblem = undefined;
  }

  parameterSets(codec: Codec, sets: Uint8Array[]): void {
    this.#codec = codec;
    this.#known = sets.map((set) => new Uint8Array(set));
  }

  picture(picture: RawPicture): void {
    this.lastPictureAt = this.#options.clock.monotonic();
    const cameraMs = picture.cameraWallMs === undefined ? undefined : picture.cameraWallMs - this.#wallBase();
    this.#capture.observe(picture.dts / TICKS_PER_MS, picture.arrivedMs, cameraMs);
    if (this.#settling === undefined) return this.#take(picture);
    this.#settling.push({ ...picture, data: picture.data.slice() });
    if (!isSettled(this.#settling)) return;
    this.#releaseSettling();
  }

  /** Pictures are missing: the run ends here and goes on at the next key frame. */
  lost(detail: string): void {
    this.end('stream_lost_packets', detail);
  }

  /** Ends the run, if there is one, with what was gathered; without one it states the reason of the gap that lasts. */
  end(reason: GapReason, detail: string): void {
    this.#releaseSettling();
    const run = this.#run;
    this.#unbroken = false;
    if (run === undefined) {
      if (this.#lastGap !== reason) this.#options.sink.runEnd(this.#options.stream, undefined, reason, detail);
    } else {
      this.#complete(run, run.step);
      for (const fragment of run.fragmenter.flush()) this.#deliver(run, fragment);
      this.#run = undefined;
      this.#options.sink.runEnd(this.#options.stream, run.id, reason, detail);
    }
    this.#lastGap = reason;
  }

  #releaseSettling(): void {
    const waiting = this.#settling ?? [];
    this.#settling = undefined;
    for (const one of waiting) this.#take(one);
  }

  #take(picture: RawPicture): void {
    const nals = splitNals(picture.data);
    const key = isKeyAccessUnit(this.#codec, nals);
    this.meter.picture(key, picture.dts, this.#options.clock.monotonic());
    const changed = this.#learn(nals);
    if (this.#run !== undefined) this.#checkRun(this.#run, picture, key, changed);
    if (this.#run === undefined && key) this.#start(picture);
    if (this.#run !== undefined) this.#append(this.#run, picture, key);
  }

  /** Parameter sets inside the stream overrule what was known. True if they describe another stream than the run's. */
  #learn(nals: readonly Uint8Array[]): boolean {
    if (!nals.some((nal) => isSequenceParameterSet(this.#codec, nal))) return false;
    const inside = parameterSetsOf(this.#codec, nals);
    if (inside.every((set) => this.#known.some((one) => sameBytes(one, set)))) return false;
    const types = new Set(inside.map((set) => nalType(this.#codec, set)));
    const kept = this.#known.filter((set) => !types.has(nalType(this.#codec, set)));
    this.#known = parameterSetsOf(
      this.#codec,
      [...kept, ...inside].map((set) => new Uint8Array(set)),
    );
    return true;
  }

  #checkRun(run: OpenRun, picture: RawPicture, key: boolean, changed: boolean): void {
    const delta = picture.dts - run.origin - run.lastDts;
    if (delta < -MAX_PAUSE_TICKS || delta > Math.max(MAX_PAUSE_TICKS, 4 * run.step)) {
      const seconds = (delta / TICKS_PER_MS / 1000).toFixed(1);
      this.end('stream_invalid', `the time of the camera's pictures jumped by ${seconds} s`);
      this.#capture = new CaptureClock();
      this.#capture.observe(picture.dts / TICKS_PER_MS, picture.arrivedMs);
    } else if (key && changed) {
      this.end('format_changed', 'the camera changed its video settings');
      this.#unbroken = true;
    } else if (key && this.#capture.error > MAX_CLOCK_ERROR_MS) {
      this.end('unknown', 'it became known when the pictures are taken; recording went on without a pause');
    } else if (key && Math.abs(this.#wallBase() - run.wallBase) > MAX_CLOCK_ERROR_MS) {
      this.end('unknown', 'the clock was corrected; recording went on without a pause');
      this.#unbroken = true;
    }
  }

  #wallBase(): number {
    return wallMinusMonotonic(this.#options.clock);
  }

  #start(picture: RawPicture): void {
    const format = hasAllSets(this.#codec, this.#known) ? videoFormat(this.#codec, this.#known) : undefined;
    if (format === undefined) {
      this.keyProblem = 'key frames come, but the parameter sets to decode them are missing';
      return;
    }
    const init = buildInit(format);
    this.keyProblem = undefined;
    const { clock, stream, camera, role, sink, fragmentMs, pool } = this.#options;
    const mediaMs = picture.dts / TICKS_PER_MS;
    if (!this.#unbroken) this.#capture.anchor(mediaMs, this.#lastEnd.monoMs);
    this.#unbroken = false;
    const monoMs = this.#capture.at(mediaMs);
    let wallBase = this.#wallBase();
    // Two runs of a stream never overlap, unless the clock itself was set back.
    const overlap = this.#lastEnd.wallMs - (monoMs + wallBase);
    if (overlap > 0 && overlap < MAX_CLOCK_ERROR_MS) wallBase += overlap;
    this.#format = format;
    this.#run = {
      id: ulid(clock.now()),
      origin: picture.dts,
      fragmenter: new Fragmenter({ targetMs: fragmentMs, pool }),
      wallBase,
      lastDts: -1,
      fragmentAt: clock.monotonic(),
      step: 0,
    };
    this.#lastGap = undefined;
    sink.run({
      stream,
      camera,
      role,
      run: this.#run.id,
      engine: this.#engine,
      format,
      init,
      wallMs: monoMs + wallBase,
      monoMs,
    });
  }

  #append(run: OpenRun, picture: RawPicture, key: boolean): void {
    if (key) this.lastKeyAt = this.#options.clock.monotonic();
    const elapsed = Math.max(0, picture.dts - run.origin - run.lastDts) / TICKS_PER_MS;
    const correction = this.#wallBase() - run.wallBase;
    run.wallBase += Math.max(-elapsed * MAX_SLEW, Math.min(elapsed * MAX_SLEW, correction));
    // Decode times only go forward; a camera's hiccup becomes a picture of one tick.
    const dts = Math.max(picture.dts - run.origin, run.lastDts + 1);
    const pts = Math.max(picture.pts - run.origin, dts);
    if (run.lastDts >= 0) {
      const duration = dts - run.lastDts;
      if (duration > 1) run.step = duration;
      this.#complete(run, duration);
    }
    run.lastDts = dts;
    const monoMs = this.#capture.at(picture.dts / TICKS_PER_MS);
    const wallMs = monoMs + run.wallBase;
    const done = run.fragmenter.begin({ data: picture.data, key, dts, pts, wallMs, monoMs });
    for (const fragment of done) this.#deliver(run, fragment);
  }

  /** How long the last picture lasts became known. */
  #complete(run: OpenRun, duration: number): void {
    const { unit, fragments } = run.fragmenter.complete(duration);
    if (unit === undefined) return;
    const durationMs = unit.duration / TICKS_PER_MS;
    this.#lastEnd = { wallMs: unit.wallMs + durationMs, monoMs: unit.monoMs + durationMs };
    this.#options.sink.accessUnit(this.#options.stream, unit);
    for (const fragment of fragments) this.#deliver(run, fragment);
  }

  #deliver(run: OpenRun, fragment: Fragment): void {
    run.fragmentAt = this.#options.clock.monotonic();
    this.#options.sink.fragment(this.#options.stream, run.id, fragment);
  }
}

function hasAllSets(codec: Codec, sets: readonly Uint8Array[]): boolean {
  const types = new Set(sets.map((set) => nalType(codec, set)));
  return (codec === 'h264' ? [7, 8] : [32, 33, 34]).every((type) => types.has(type));
}

/** The burst is over when a picture took about as long to come as it lasts. */
function isSettled(pictures: readonly RawPicture[]): boolean {
  const first = pictures[0];
  const last = pictures[pictures.length - 1];
  const before = pictures[pictures.length - 2];
  if (first === undefined || last === undefined || before === undefined) return false;
  const mediaMs = (last.dts - before.dts) / TICKS_PER_MS;
  if (mediaMs >= 5 && last.arrivedMs - before.arrivedMs >= mediaMs / 2) return true;
  const bytes = pictures.reduce((sum, one) => sum + one.data.length, 0);
  return last.arrivedMs - first.arrivedMs >= SETTLE.ms || bytes >= SETTLE.bytes;
}
