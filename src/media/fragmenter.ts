import { buildFragment } from './mp4-write.js';
import { TIMESCALE, type AccessUnit, type Fragment } from './stream.js';

/** No fragment is longer, whatever is asked for: it bounds what a crash loses. */
const LIMIT_TICKS = TIMESCALE;

/**
 * Gathers access units into fragments: a new one at every key frame, and as soon as the target length is reached.
 * A single access unit that lasts longer than the limit (less than one picture a second) is a fragment by itself.
 */
export class Fragmenter {
  readonly #targetTicks: number;
  readonly #maxBytes: number;
  #units: AccessUnit[] = [];
  #ticks = 0;
  #bytes = 0;
  #index = 0;

  /** `maxBytes` also closes a fragment, so that a burst does not become one huge write. */
  constructor(options: { targetMs?: number; maxBytes?: number } = {}) {
    this.#targetTicks = Math.min(LIMIT_TICKS, ((options.targetMs ?? 500) * TIMESCALE) / 1000);
    this.#maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
  }

  /** The fragments that `unit` completes: none, one or (a key frame that is long by itself) two. */
  push(unit: AccessUnit): Fragment[] {
    const done: Fragment[] = [];
    if (this.#units.length > 0 && (unit.key || this.#ticks + unit.duration > LIMIT_TICKS)) done.push(...this.flush());
    this.#units.push(unit);
    this.#ticks += unit.duration;
    this.#bytes += unit.data.length;
    if (this.#ticks >= this.#targetTicks || this.#bytes >= this.#maxBytes) done.push(...this.flush());
    return done;
  }

  /** What is gathered, at the end of the run. */
  flush(): Fragment[] {
    const first = this.#units[0];
    if (first === undefined) return [];
    const fragment: Fragment = {
      index: this.#index,
      key: first.key,
      decodeTime: first.dts,
      duration: this.#ticks,
      frames: this.#units.length,
      wallMs: first.wallMs,
      monoMs: first.monoMs,
      bytes: buildFragment(this.#index, this.#units),
    };
    this.#index++;
    this.#units = [];
    this.#ticks = 0;
    this.#bytes = 0;
    return [fragment];
  }
}
