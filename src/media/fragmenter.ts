import { BufferPool } from './buffers.js';
import { fragmentHeadBytes, writeFragmentHead, type Sample } from './mp4-write.js';
import { TIMESCALE, type AccessUnit, type Fragment } from './stream.js';

/** No fragment is longer, whatever is asked for: it bounds what a crash loses. */
const LIMIT_TICKS = TIMESCALE;
/** Pictures in a fragment, at most. Room for their head is left before them, so that it is put there without moving them. */
const MAX_UNITS = 250;
const HEAD_ROOM = fragmentHeadBytes(MAX_UNITS);
/** The first fragment of a run; later ones are expected to be about as large as the last of their kind. */
const FIRST_BYTES = 32 * 1024;

/** An access unit before the next one told how long it lasts. */
export type BegunUnit = Omit<AccessUnit, 'duration'>;

export interface FragmenterOptions {
  targetMs?: number;
  /** Also closes a fragment, so that a burst does not become one huge write. */
  maxBytes?: number;
  /** Where fragments get their memory from, if somebody gives it back. */
  pool?: BufferPool;
}

/**
 * Gathers access units into fragments: a new one at every key frame, and as soon as the target length is reached.
 * A single access unit that lasts longer than the limit (less than one picture a second) is a fragment by itself.
 * Each byte is copied once, to where it stands in the fragment.
 */
export class Fragmenter {
  readonly #targetTicks: number;
  readonly #maxBytes: number;
  readonly #pool: BufferPool;
  #body = new Uint8Array(0);
  #filled = HEAD_ROOM;
  #samples: Sample[] = [];
  /** Times of the first sample. */
  #first = { wallMs: 0, monoMs: 0 };
  /** The last sample, while its duration is not known. */
  #open: BegunUnit | undefined;
  #ticks = 0;
  #index = 0;
  #expected = { key: FIRST_BYTES, delta: FIRST_BYTES };

  constructor(options: FragmenterOptions = {}) {
    this.#targetTicks = Math.min(LIMIT_TICKS, ((options.targetMs ?? 500) * TIMESCALE) / 1000);
    this.#maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
    this.#pool = options.pool ?? new BufferPool(0);
  }

  /** The fragments that `unit` completes: none, one or (a key frame that is long by itself) two. */
  push(unit: AccessUnit): Fragment[] {
    return [...this.begin(unit), ...this.complete(unit.duration).fragments];
  }

  /** Takes an access unit, copying its data. Gives the fragment that ends before it, if so. */
  begin(unit: BegunUnit): Fragment[] {
    const done = unit.key ? this.flush() : [];
    if (this.#samples.length === 0) this.#first = { wallMs: unit.wallMs, monoMs: unit.monoMs };
    this.#reserve(unit.data.length, unit.key);
    const { length } = unit.data;
    this.#body.set(unit.data, this.#filled);
    const data = this.#body.subarray(this.#filled, this.#filled + length);
    this.#filled += length;
    this.#samples.push({ size: length, key: unit.key, dts: unit.dts, pts: unit.pts, duration: 0 });
    const { key, dts, pts, wallMs, monoMs } = unit;
    this.#open = { data, key, dts, pts, wallMs, monoMs };
    return done;
  }

  /**
   * Now it is known how long the unit lasts that was begun last. Gives it, with data that are valid until the next
   * call, and the fragments that end with or before it.
   */
  complete(duration: number): { unit: AccessUnit | undefined; fragments: Fragment[] } {
    if (this.#open === undefined) return { unit: undefined, fragments: [] };
    const { data, key, dts, pts, wallMs, monoMs } = this.#open;
    const unit: AccessUnit = { data, key, dts, pts, duration, wallMs, monoMs };
    this.#open = undefined;
    const last = this.#samples[this.#samples.length - 1]!;
    const fragments: Fragment[] = [];
    if (this.#samples.length > 1 && this.#ticks + duration > LIMIT_TICKS) fragments.push(this.#split(unit));
    last.duration = duration;
    this.#ticks += duration;
    if (this.#isFull) fragments.push(...this.flush());
    return { unit, fragments };
  }

  get #isFull(): boolean {
    if (this.#ticks >= this.#targetTicks || this.#samples.length >= MAX_UNITS) return true;
    return this.#filled - HEAD_ROOM >= this.#maxBytes;
  }

  /** What is gathered, at the end of the run. */
  flush(): Fragment[] {
    return this.#samples.length === 0 ? [] : [this.#cut(this.#filled)];
  }

  /** Everything before `unit`, which begins the next fragment. */
  #split(unit: AccessUnit): Fragment {
    const last = this.#samples.pop()!;
    const fragment = this.#cut(this.#filled - last.size);
    this.begin(unit);
    this.#open = undefined;
    this.#samples[0] = last;
    return fragment;
  }

  #cut(end: number): Fragment {
    const samples = this.#samples;
    const first = samples[0]!;
    const start = HEAD_ROOM - fragmentHeadBytes(samples.length);
    writeFragmentHead(this.#body, start, this.#index, samples);
    const fragment: Fragment = {
      index: this.#index,
      key: first.key,
      decodeTime: first.dts,
      duration: this.#ticks,
      frames: samples.length,
      ...this.#first,
      bytes: this.#body.subarray(start, end),
    };
    this.#expected[first.key ? 'key' : 'delta'] = Math.max(FIRST_BYTES, end * 1.1);
    this.#index++;
    this.#samples = [];
    this.#ticks = 0;
    this.#body = new Uint8Array(0);
    this.#filled = HEAD_ROOM;
    return fragment;
  }

  #reserve(bytes: number, key: boolean): void {
    const needed = this.#filled + bytes;
    if (needed <= this.#body.length) return;
    const expected = this.#body.length === 0 ? this.#expected[key ? 'key' : 'delta'] : 2 * this.#body.length;
    const larger = new Uint8Array(this.#pool.take(Math.max(needed, expected)));
    if (this.#body.length > 0) {
      larger.set(this.#body.subarray(0, this.#filled));
      this.#pool.give(this.#body.buffer);
    }
    this.#body = larger;
  }
}
