import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode } from '../base/errors.js';
import type { StreamCoverage } from '../contract/coverage.js';
import type { Grant } from '../contract/grant.js';
import { streamId, toUtc, type TimeRange } from '../contract/primitives.js';
import { parseInit } from '../media/mp4.js';
import type { ClipPlan, CoverageAnswer, OutlinedFile, SegmentAsk } from './types.js';

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
  outline(ask: Asked): Promise<OutlinedFile[]>;
  readInit(hash: string): Promise<Uint8Array>;
  read(ask: SegmentAsk & { within: TimeRange }): Promise<Uint8Array>;
}

/** Whole segments of one run of one stream, in order. */
export interface FootagePart {
  run: string;
  codec: string;
  width: number;
  height: number;
  /** Wall clock of decode time 0 of the run, ms since 1970. */
  zeroMs: number;
  init: { sha256: string; bytes: number };
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
    const files = await Promise.all(
      (['main', 'sub'] as const).map((role) => this.#ring.outline({ stream: streamId(camera, role), ...range })),
    );
    let { fromMs, toMs } = range;
    for (const segment of files.flat().flatMap((file) => file.segments)) {
      fromMs = Math.min(fromMs, segment.fromMs);
      toMs = Math.max(toMs, segment.toMs);
    }
    return { fromMs, toMs };
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
    const files = await this.#ring.outline({ stream: streamId(grant.camera, role), ...within });
    return Promise.all(files.map((file) => this.#part(grant, file)));
  }

  init(grant: Grant, role: Role, sha256: string): Promise<Uint8Array> {
    return this.readInit(grant, { stream: streamId(grant.camera, role), initHash: sha256 });
  }

  segment(
    grant: Grant,
    role: Role,
    seq: number,
    part: Pick<SegmentAsk, 'offset' | 'length' | 'into'> = { offset: 0, length: Number.MAX_SAFE_INTEGER },
  ): Promise<Uint8Array> {
    return this.readBody(grant, { stream: streamId(grant.camera, role), seq, ...part });
  }

  async readInit(grant: Grant, ask: { stream: string; initHash: string }): Promise<Uint8Array> {
    this.#own(grant, ask.stream);
    return (await this.#initOf(ask.initHash)).bytes.slice();
  }

  async readBody(grant: Grant, ask: Omit<SegmentAsk, 'within'>): Promise<Uint8Array> {
    this.#own(grant, ask.stream);
    const bytes = await this.#ring.read({ ...ask, within: grant.range }).catch((error: unknown) => {
      throw errorCode(error) === 'NOT_FOUND' ? overwritten() : error;
    });
    // The owner may have paused while the disk was read.
    this.#alive(grant);
    return bytes;
  }

  async #part(grant: Grant, { run, initHash, initBytes, zeroMs, segments }: OutlinedFile): Promise<FootagePart> {
    const { codec, width, height } = await this.#initOf(initHash);
    const inside = segments.filter((s) => s.fromMs >= grant.range.fromMs && s.toMs <= grant.range.toMs);
    return { run, codec, width, height, zeroMs, init: { sha256: initHash, bytes: initBytes }, segments: inside };
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
