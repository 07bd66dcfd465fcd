import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import type { Processes } from '../base/processes.js';
import type { Grant } from '../contract/grant.js';
import { streamId, type TimeRange } from '../contract/primitives.js';
import { listFragments } from '../media/mp4.js';
import type { Polygon } from '../media/mask.js';
import { TIMESCALE } from '../media/stream.js';
import { LiveGroup, type Group, type Piece } from './live-group.js';
import type { FootagePort, LivePort } from './ports.js';
import { firstShown, planStill } from './still-plan.js';
import { decodeStill } from './still.js';

export interface StillsOptions {
  clock: Clock;
  processes: Processes;
  footage: FootagePort;
  live: LivePort;
}

export interface Still {
  jpeg: Uint8Array;
  /** When the picture was taken, as the recording says: ms since 1970. */
  atMs: number;
}

type Role = 'main' | 'sub';

const TICKS_PER_MS = TIMESCALE / 1000;
/** A segment is closed at the first key frame after its full length. */
const CLOSE_WAIT_MS = 30_000;
const CLOSE_LOOK_MS = 500;
/** What was captured so recently may not have reached the disk. */
const ON_ITS_WAY_MS = 5_000;
/** A live fragment comes at least once a second; more is a camera that sends late. */
const LIVE_WAIT_MS = 4_000;
/** A page shows all cameras of a box at once. */
const MOST_WAITING = 16;

/**
 * Single pictures of a camera: of now out of the ingest that records, of the past out of the ring. One is decoded at a
 * time, so that a page that asks for many takes neither memory nor processor from recording.
 */
export class Stills {
  readonly #o: StillsOptions;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(options: StillsOptions) {
    this.#o = options;
  }

  /**
   * What the gate is to be asked for: the segment in which the picture lies, since segments are read whole. Waits until
   * one that is being written is closed. Shows no picture.
   * @throws BluelightError NOT_YET; the reason of `signal`
   */
  async range(camera: string, role: Role, atMs: number, signal: AbortSignal): Promise<TimeRange> {
    const { clock, footage } = this.#o;
    const ask = { stream: streamId(camera, role), fromMs: atMs, toMs: atMs + 1 };
    const until = clock.monotonic() + CLOSE_WAIT_MS;
    for (;;) {
      const { files, open } = await footage.plan(ask);
      if (files.length > 0 || (!open && atMs < clock.now() - ON_ITS_WAY_MS)) {
        const fromMs = Math.min(ask.fromMs, ...files.map((file) => file.startMs));
        return { fromMs, toMs: Math.max(ask.toMs, ...files.map((file) => file.endMs)) };
      }
      signal.throwIfAborted();
      if (clock.monotonic() >= until) {
        throw new BluelightError('NOT_YET', 'the footage of this moment is still being written', {
          fix: 'ask again in half a minute, or for the newest picture',
          retryable: true,
        });
      }
      await clock.sleep(CLOSE_LOOK_MS, signal);
    }
  }

  /**
   * The picture nearest to a moment, or the newest (null): taken at or after the call, if the camera sends on.
   * @param masks painted over, for a picture that leaves the box
   * @param grant of this camera; for the past its range must hold what `range` said
   * @throws BluelightError NO_COVERAGE, CAMERA_OFFLINE, BUSY, those of `decodeStill`; the reason of `signal`
   */
  async take(
    grant: Grant,
    role: Role,
    atMs: number | null,
    signal: AbortSignal,
    masks: readonly Polygon[] = [],
  ): Promise<Still> {
    const both = AbortSignal.any([grant.signal, signal]);
    if (atMs === null) {
      const group = await this.#liveGroup(grant, role, both);
      return this.#inTurn(both, () => this.#decode(group, 'newest', both, masks));
    }
    return this.#inTurn(both, () => this.#recorded(grant, role, atMs, both, masks));
  }

  async #recorded(
    grant: Grant,
    role: Role,
    atMs: number,
    signal: AbortSignal,
    masks: readonly Polygon[],
  ): Promise<Still> {
    const { footage } = this.#o;
    const stream = streamId(grant.camera, role);
    const { files } = await footage.plan({ stream, fromMs: atMs, toMs: atMs + 1 });
    const file = files.at(-1);
    const segment = file?.segments.find((one) => one.startMs <= atMs && atMs < one.endMs);
    if (file === undefined || segment === undefined) throw noCoverage();
    const init = await footage.readInit(grant, { stream, initHash: file.initHash });
    const body = await footage.readBody(grant, { stream, seq: segment.seq, offset: 0, length: segment.bytes });
    const pieces = listFragments(body).map((times): Piece => {
      return { times, bytes: body.subarray(times.offset, times.offset + times.bytes) };
    });
    if (pieces[0] === undefined) throw noCoverage();
    const zeroMs = segment.startMs - firstShown(pieces[0].times) / TICKS_PER_MS;
    return this.#decode({ init, pieces, zeroMs }, (atMs - zeroMs) * TICKS_PER_MS, signal, masks);
  }

  async #decode(
    { init, pieces, zeroMs }: Group,
    wanted: number | 'newest',
    signal: AbortSignal,
    masks: readonly Polygon[],
  ): Promise<Still> {
    const plan = planStill(
      pieces.map((piece) => piece.times),
      wanted,
    );
    if (plan === null) throw noCoverage();
    const fragments = pieces.slice(plan.first, plan.last + 1).map((piece) => piece.bytes);
    const { clock, processes } = this.#o;
    const jpeg = await decodeStill({ init, fragments, pts: plan.pts, masks }, { clock, processes, signal });
    return { jpeg, atMs: Math.round(zeroMs + plan.pts / TICKS_PER_MS) };
  }

  /** The group of pictures that reaches beyond this moment; the newest there is when none does in time. */
  async #liveGroup(grant: Grant, role: Role, signal: AbortSignal): Promise<Group> {
    signal.throwIfAborted();
    const { clock, live } = this.#o;
    const group = new LiveGroup(clock.now());
    const over = new AbortController();
    const leave = live.subscribe(grant, role, group);
    try {
      const late = clock.sleep(LIVE_WAIT_MS, AbortSignal.any([over.signal, signal]));
      await Promise.race([group.enough, late]);
    } finally {
      leave();
      over.abort();
    }
    return group.whole();
  }

  async #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MOST_WAITING) {
      throw new BluelightError('BUSY', 'too many pictures are being made already', {
        fix: 'ask again in a few seconds',
        retryable: true,
      });
    }
    this.#waiting++;
    const before = this.#last;
    let done: () => void = () => undefined;
    this.#last = new Promise((resolve) => (done = resolve));
    try {
      await before;
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#waiting--;
      done();
    }
  }
}

function noCoverage(): BluelightError {
  return new BluelightError('NO_COVERAGE', 'Nothing is recorded at this moment.', {
    fix: 'Choose a moment where the timeline shows footage.',
  });
}
