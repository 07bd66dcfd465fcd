import { errorCode } from '../base/errors.js';
import type { StreamCoverage } from '../contract/coverage.js';
import type { Grant } from '../contract/grant.js';
import type { StreamMessage } from '../contract/http.js';
import type { TimeRange } from '../contract/primitives.js';
import { runMessageOf } from './live.js';
import type { FootagePart, FootagePort } from './ports.js';

type Role = 'main' | 'sub';

/** Media type of the playback stream. */
export const PLAYBACK_TYPE = 'application/vnd.bluelight.playback';

/** First byte of a frame: JSON (a `StreamMessage`), the init of the run just announced, fragments of one segment. */
export const FRAME = { message: 1, init: 2, fragments: 3 } as const;

/** Footage that follows closer than this is played through; it is no gap but the rounding of clocks. */
const JOIN_MS = 500;

/** One frame: kind (1 byte), length (4 bytes, big-endian), payload. */
export function frame(kind: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(5 + payload.length);
  out[0] = kind;
  new DataView(out.buffer).setUint32(1, payload.length);
  out.set(payload, 5);
  return out;
}

function message(body: StreamMessage): Uint8Array {
  return frame(FRAME.message, new TextEncoder().encode(JSON.stringify(body)));
}

export type Step =
  | { do: 'gap'; fromMs: number; toMs: number; reason: string }
  | { do: 'run'; part: FootagePart }
  | { do: 'segment'; seq: number; fromMs: number; toMs: number };

/** What to send for a range, in order: runs, their segments, and the gaps between with their reasons. */
export function planPlayback(parts: readonly FootagePart[], gaps: StreamCoverage['gaps'], range: TimeRange): Step[] {
  const steps: Step[] = [];
  let at = range.fromMs;
  const gapUntil = (toMs: number): void => {
    if (toMs - at > JOIN_MS) steps.push({ do: 'gap', fromMs: at, toMs, reason: reasonAt(gaps, at, toMs) ?? 'unknown' });
  };
  for (const part of parts) {
    let announced = false;
    for (const segment of part.segments) {
      gapUntil(segment.fromMs);
      if (!announced) steps.push({ do: 'run', part });
      announced = true;
      steps.push({ do: 'segment', seq: segment.seq, fromMs: segment.fromMs, toMs: segment.toMs });
      at = Math.max(at, segment.toMs);
    }
  }
  // Behind the last closed segment the newest footage is still being written: that is no gap.
  if (reasonAt(gaps, at, range.toMs) !== null) gapUntil(range.toMs);
  return steps;
}

/** The reason of the longest gap in between; null if there is none. */
function reasonAt(gaps: StreamCoverage['gaps'], fromMs: number, toMs: number): string | null {
  let best: { reason: string | null; ms: number } = { reason: null, ms: 0 };
  for (const gap of gaps) {
    const ms = Math.min(toMs, Date.parse(gap.to)) - Math.max(fromMs, Date.parse(gap.from));
    if (ms > best.ms) best = { reason: gap.reason, ms };
  }
  return best.reason;
}

/** The frames of a range. What is overwritten while it is being played becomes a gap. */
export async function* playbackFrames(
  source: FootagePort,
  grant: Grant,
  role: Role,
  range: TimeRange,
): AsyncGenerator<Uint8Array> {
  const [parts, coverage] = await Promise.all([source.parts(grant, role, range), source.coverage(grant, role, range)]);
  for (const step of planPlayback(parts, coverage.gaps, range)) {
    if (step.do === 'gap') {
      yield message({ type: 'gap', fromMs: step.fromMs, toMs: step.toMs, reason: step.reason });
    } else if (step.do === 'run') {
      yield message(runMessageOf(step.part));
      yield frame(FRAME.init, await source.init(grant, role, step.part.init.sha256));
    } else {
      const bytes = await segmentOrNull(source, grant, role, step.seq);
      yield bytes === null
        ? message({ type: 'gap', fromMs: step.fromMs, toMs: step.toMs, reason: 'overwritten' })
        : frame(FRAME.fragments, bytes);
    }
  }
  yield message({ type: 'end', code: 'END', detail: 'End of the range.' });
}

async function segmentOrNull(source: FootagePort, grant: Grant, role: Role, seq: number): Promise<Uint8Array | null> {
  try {
    return await source.segment(grant, role, seq);
  } catch (error) {
    if (errorCode(error) === 'NO_COVERAGE') return null;
    throw error;
  }
}
