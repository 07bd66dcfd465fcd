import { ulid } from '../../../../src/base/ids.js';
import { buildFragment, buildInit } from '../../../../src/media/mp4.js';
import type { Fragment, GapReason } from '../../../../src/media/stream.js';
import type { Ring } from '../../../../src/ring/ring.js';
import { footage } from '../media.js';
import type { HandClock } from '../rig.js';

/** Hours for half seconds, kilobytes for hundreds of them. */
export const FRAGMENT_MS = 6 * 3_600_000;
const TICKS = FRAGMENT_MS * 90;

/** A fragment and when it really was. */
export interface Offered {
  stream: string;
  fromMs: number;
  toMs: number;
  fragment: Fragment;
}

/** A camera of the simulation: both streams, real fragments whose pictures are of a size and a content of their own. */
export class SimCamera {
  readonly name: string;
  readonly streams: readonly [string, string];
  readonly #random: () => number;
  readonly #clock: HandClock;
  #run: { id: string; wallMs: number; monoMs: number; index: number } | undefined;

  constructor(name: string, clock: HandClock, random: () => number) {
    this.name = name;
    this.streams = [`${name}.main`, `${name}.sub`];
    this.#clock = clock;
    this.#random = random;
  }

  get recording(): boolean {
    return this.#run !== undefined;
  }

  begin(ring: Ring): void {
    const at = { wallMs: this.#clock.wall, monoMs: this.#clock.mono };
    this.#run = { id: ulid(this.#clock.mono), ...at, index: 0 };
    const { format } = footage();
    for (const stream of this.streams) {
      const role = stream.endsWith('sub') ? 'sub' : 'main';
      const run = this.#runOf(stream);
      ring.beginRun({ stream, camera: this.name, role, run, engine: 'native', format, init: buildInit(format), ...at });
    }
  }

  end(ring: Ring, reason: GapReason): void {
    for (const stream of this.streams) {
      ring.endRun(stream, this.#run === undefined ? undefined : this.#runOf(stream), reason);
    }
    this.#run = undefined;
  }

  /** The process that recorded is gone, and the run with it. */
  forget(): void {
    this.#run = undefined;
  }

  /** Everything that has come to its end since the last time. */
  *due(trueOffsetMs: number): Generator<Offered> {
    const run = this.#run;
    if (run === undefined) return;
    while (run.monoMs + (run.index + 1) * FRAGMENT_MS <= this.#clock.mono) {
      const index = run.index++;
      const monoMs = run.monoMs + index * FRAGMENT_MS;
      for (const stream of this.streams) {
        const fromMs = monoMs + trueOffsetMs;
        const fragment = this.#fragment(stream, index, { wallMs: run.wallMs + index * FRAGMENT_MS, monoMs });
        yield { stream, fromMs, toMs: fromMs + FRAGMENT_MS, fragment };
      }
    }
  }

  offer(ring: Ring, { stream, fragment }: Offered): void {
    ring.appendFragment(stream, this.#runOf(stream), fragment);
  }

  #runOf(stream: string): string {
    return `${this.#run!.id.slice(0, 25)}${stream.endsWith('sub') ? 'S' : 'M'}`;
  }

  #fragment(stream: string, index: number, at: { wallMs: number; monoMs: number }): Fragment {
    const size = Math.round((stream.endsWith('main') ? 12_000 : 1_500) * (0.5 + this.#random()));
    const data = Buffer.alloc(size, `${stream} ${at.monoMs} `);
    data.writeUInt32BE(size - 4);
    data[4] = 0x65;
    const dts = index * TICKS;
    const unit = { data, key: true, dts, pts: dts, duration: TICKS, ...at };
    return {
      index,
      key: true,
      decodeTime: dts,
      duration: TICKS,
      frames: 1,
      ...at,
      bytes: buildFragment(index, [unit]),
    };
  }
}
