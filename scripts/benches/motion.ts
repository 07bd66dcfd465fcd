import { Detector } from '../../src/motion/detector.js';
import { FRAME_BYTES } from '../../src/motion/grid.js';
import { Watcher } from '../../src/motion/watcher.js';
import { decodeClip, replay } from '../lib/motion-replay.js';
import type { Span } from '../lib/motion-score.js';
import { labelledVideos, type LabelledClip } from '../lib/motion-sets.js';

/** Pictures closer together than this are not looked at by a watcher either. */
const LEAST_STEP_S = 0.17;
const SLACK_S = 1;
const TAIL_S = 5;

/** What a picture of a quiet place costs, against the plainest pass over the same pictures; and how much is decoded. */
export function run(): Promise<Record<string, number>> {
  const clips = labelledVideos().filter((clip) => clip.set === 'videos');
  if (clips.length === 0) throw new Error('the labelled videos are not there: set BLUELIGHT_VIDEOS to their folder');
  const ours: number[] = [];
  const plain: number[] = [];
  let [quiet, full] = [0, 0];
  for (const clip of clips) {
    const decoded = decodeClip(clip.path, clip.cache);
    const spans = quietSpans(clip);
    measure(decoded, spans, ours, plain);
    const { fullRate } = replay(decoded, Watcher, 'adaptive');
    for (const span of spans) {
      quiet += span.end - span.start;
      for (const one of fullRate) full += Math.max(0, Math.min(one.end, span.end) - Math.max(one.start, span.start));
    }
  }
  const reference = quantile(plain, 0.5);
  return Promise.resolve({
    quiet_frames: ours.length,
    quiet_frame_us_median: round(quantile(ours, 0.5) * 1000, 0),
    plain_frame_us_median: round(reference * 1000, 0),
    quiet_frame_ratio_median: round(quantile(ours, 0.5) / reference, 2),
    quiet_frame_ratio_p99: round(quantile(ours, 0.99) / reference, 2),
    full_rate_share_quiet: round(full / quiet, 3),
  });
}

function measure(
  { pictures, gray }: ReturnType<typeof decodeClip>,
  spans: readonly Span[],
  ours: number[],
  plain: number[],
): void {
  const detector = new Detector();
  const average = new Uint16Array(FRAME_BYTES);
  let last = Number.NEGATIVE_INFINITY;
  for (const [i, { pts }] of pictures.entries()) {
    const seconds = pts / 90_000;
    const frame = gray.subarray(i * FRAME_BYTES, (i + 1) * FRAME_BYTES);
    if (frame.length < FRAME_BYTES || seconds - last < LEAST_STEP_S) continue;
    last = seconds;
    const start = cpuMs();
    const changed = plainPass(frame, average);
    const between = cpuMs();
    detector.step(frame, seconds * 1000);
    const end = cpuMs();
    if (changed < 0 || !spans.some((span) => seconds >= span.start && seconds <= span.end)) continue;
    plain.push(between - start);
    ours.push(end - between);
  }
}

/** Processor time, not time of day: other work on the machine must not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A running average in 16 bit (8 of them fraction) and a threshold: the least that any detector does. */
function plainPass(frame: Uint8Array, average: Uint16Array): number {
  let changed = 0;
  for (let i = 0; i < FRAME_BYTES; i++) {
    const difference = (frame[i]! << 8) - average[i]!;
    if (difference > 5_120 || difference < -5_120) changed++;
    average[i]! += difference >> 4;
  }
  return changed;
}

/** Neither an event nor what may be told, nor their rolls. */
function quietSpans({ truth }: LabelledClip): Span[] {
  const busy = [
    ...truth.events.map(({ start, end }) => ({ start: start - SLACK_S, end: end + TAIL_S })),
    ...(truth.ignore ?? []),
  ].sort((a, b) => a.start - b.start);
  const spans: Span[] = [];
  let from = 0;
  for (const { start, end } of [...busy, { start: truth.duration, end: truth.duration }]) {
    if (start > from) spans.push({ start: from, end: start });
    from = Math.max(from, end);
  }
  return spans;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
