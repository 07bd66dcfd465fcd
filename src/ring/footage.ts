import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode } from '../base/errors.js';
import type { StreamCoverage } from '../contract/coverage.js';
import type { Grant } from '../contract/grant.js';
import { streamId, toUtc, type TimeRange } from '../contract/primitives.js';
import { parseInit } from '../media/mp4.js';
import type { ClipPlan, CoverageAnswer, PlannedFile } from './types.js';

type Role = 'main' | 'sub';

export interface Asked {
  stream: string;
  fromMs: number;
  toMs: number;
}

/** The ring as the main thread reaches it: calls into the ring thread. */
export interface RingCalls {
  coverage(ask: Asked): Promise<CoverageAnswer>;
  plan(ask: Asked): Promise<ClipPlan>;
  readInit(hash: string): Promise<Uint8Array>;
  /** Bytes of a segment's fragments, `offset` counted from the first; refuses a segment that leaves `within`. */
  read(ask: { stream: string; seq: number; offset: number; length: number; within: TimeRange }): Promise<Uint8Array>;
}

/** Whole segments of one run of one stream, in order. */
export interface FootagePart {
  run: string;
  codec: string;
  width: number;
  height: number;
  /** Wall clock of decode time 0 of the run, ms since 1970. */
  zeroMs: number;
  segments: { seq: number; fromMs: number; toMs: number; bytes: number }[];
}

interface InitFacts {
  bytes: Uint8Array;
  codec: string;
  width: number;
  height: number;
}

/** Inits are of about 1 kB and few differ. */
const INITS_KEPT = 64;

/**
 * Reads the ring for anyone outside of it. Every function that gives pictures, or tells what there is of them, takes
 * the grant, and gives nothing beyond its camera, its range and its life.
 */
export class Footage {
  readonly #ring: RingCalls;
  readonly #clock: Clock;
  readonly #inits = new Map<string, InitFacts>();

  constructor(ring: RingCalls, clock: Clock) {
    this.#ring = ring;
    this.#clock = clock;
  }

  /** Names no picture: what a clip would be made of, so that the gate can be asked for the rounded-out range. */
  plan(ask: Asked): Promise<ClipPlan> {
    return this.#ring.plan(ask);
  }

  /** The range that whole segments of both streams of a camera cover; what was asked where nothing is recorded. */
  async roundOut(camera: string, range: TimeRange): Promise<TimeRange> {
    const plans = await Promise.all(
      (['main', 'sub'] as const).map((role) => this.#ring.plan({ stream: streamId(camera, role), ...range })),
    );
    return {
      fromMs: Math.min(range.fromMs, ...plans.map((plan) => plan.fromMs)),
      toMs: Math.max(range.toMs, ...plans.map((plan) => plan.toMs)),
    };
  }

  async coverage(grant: Grant, role: Role, range: TimeRange): Promise<StreamCoverage> {
    const { fromMs, toMs } = this.#within(grant, range);
    const answer = await this.#ring.coverage({ stream: streamId(grant.camera, role), fromMs, toMs });
    return {
      camera: grant.camera,
      role,
      from: toUtc(fromMs),
      to: toUtc(toMs),
      spans: answer.spans.map(({ fromMs: from, toMs: to, ...span }) => ({ from: toUtc(from), to: toUtc(to), ...span })),
      gaps: answer.gaps.map((gap) => ({ from: toUtc(gap.fromMs), to: toUtc(gap.toMs), reason: gap.reason })),
      bytes: answer.bytes,
    };
  }

  async parts(grant: Grant, role: Role, range: TimeRange): Promise<FootagePart[]> {
    const within = this.#within(grant, range);
    const plan = await this.#ring.plan({ stream: streamId(grant.camera, role), ...within });
    return Promise.all(plan.files.map((file) => this.#part(grant, file)));
  }

  async init(grant: Grant, role: Role, run: string): Promise<Uint8Array> {
    this.#alive(grant);
    const plan = await this.#ring.plan({ stream: streamId(grant.camera, role), ...grant.range });
    const file = plan.files.find((one) => one.run === run);
    if (file === undefined) throw overwritten();
    return (await this.#initOf(file.initHash)).bytes.slice();
  }

  async segment(grant: Grant, role: Role, seq: number): Promise<Uint8Array> {
    const stream = streamId(grant.camera, role);
    return this.readBody(grant, { stream, seq, offset: 0, length: Number.MAX_SAFE_INTEGER });
  }

  async readInit(grant: Grant, ask: { stream: string; initHash: string }): Promise<Uint8Array> {
    this.#own(grant, ask.stream);
    return (await this.#initOf(ask.initHash)).bytes.slice();
  }

  async readBody(
    grant: Grant,
    ask: { stream: string; seq: number; offset: number; length: number },
  ): Promise<Uint8Array> {
    this.#own(grant, ask.stream);
    const bytes = await this.#ring.read({ ...ask, within: grant.range }).catch((error: unknown) => {
      throw errorCode(error) === 'NOT_FOUND' ? overwritten() : error;
    });
    // The owner may have paused while the disk was read.
    this.#alive(grant);
    return bytes;
  }

  async #part(grant: Grant, file: PlannedFile): Promise<FootagePart> {
    const { codec, width, height } = await this.#initOf(file.initHash);
    const inside = file.segments.filter((s) => s.startMs >= grant.range.fromMs && s.endMs <= grant.range.toMs);
    const first = inside[0];
    return {
      run: file.run,
      codec,
      width,
      height,
      zeroMs: first === undefined ? file.startMs : first.startMs - first.record.decodeTicks / 90,
      segments: inside.map((s) => ({ seq: s.seq, fromMs: s.startMs, toMs: s.endMs, bytes: s.bytes })),
    };
  }

  async #initOf(hash: string): Promise<InitFacts> {
    const known = this.#inits.get(hash);
    if (known !== undefined) return known;
    const bytes = await this.#ring.readInit(hash);
    const format = parseInit(bytes)?.format;
    if (format === undefined) {
      throw new BluelightError('FOOTAGE_DAMAGED', 'the header of this footage cannot be read', {
        fix: 'run `bluelight ring check`',
      });
    }
    const { codecString, width, height } = format;
    const facts = { bytes, codec: codecString, width, height };
    if (this.#inits.size >= INITS_KEPT) this.#inits.delete(this.#inits.keys().next().value!);
    this.#inits.set(hash, facts);
    return facts;
  }

  #within(grant: Grant, range: TimeRange): TimeRange {
    this.#alive(grant);
    return { fromMs: Math.max(range.fromMs, grant.range.fromMs), toMs: Math.min(range.toMs, grant.range.toMs) };
  }

  #own(grant: Grant, stream: string): void {
    this.#alive(grant);
    if (stream === streamId(grant.camera, 'main') || stream === streamId(grant.camera, 'sub')) return;
    throw new BluelightError('POLICY_DENIED', `this permission is for ${grant.camera}, not for ${stream}`);
  }

  #alive(grant: Grant): void {
    if (grant.signal.aborted) throw revoked(grant.signal.reason);
    if (this.#clock.monotonic() >= grant.expiresAtMono) {
      throw new BluelightError('EXPIRED', 'the permission to see this footage has run out', { fix: 'ask again' });
    }
  }
}

function revoked(reason: unknown): BluelightError {
  if (reason instanceof BluelightError) return reason;
  return new BluelightError('POLICY_DENIED', 'the permission to see this footage was withdrawn');
}

function overwritten(): BluelightError {
  return new BluelightError('NO_COVERAGE', 'this footage was overwritten meanwhile');
}
