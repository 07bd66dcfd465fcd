import type { MoofInfo } from '../media/mp4.js';

export type FragmentTimes = Pick<MoofInfo, 'decodeTime' | 'key' | 'samples'>;

/** Which fragments a decoder needs to show a picture, and the picture's presentation time (ticks of the run). */
export interface StillPlan {
  first: number;
  last: number;
  pts: number;
}

/**
 * The picture nearest to `wanted` (ticks of the run), the earlier of two; or the newest. Null if nothing can be decoded.
 * @param fragments neighbours of one run, in order of decoding
 */
export function planStill(fragments: readonly FragmentTimes[], wanted: number | 'newest'): StillPlan | null {
  let best: { fragment: number; pts: number } | undefined;
  const distance = (pts: number): number => (wanted === 'newest' ? -pts : Math.abs(pts - wanted));
  for (const [fragment, times] of fragments.entries()) {
    for (const pts of presentationTimes(times)) {
      const nearer = best === undefined ? -Infinity : distance(pts) - distance(best.pts);
      if (nearer < 0 || (nearer === 0 && pts < best!.pts)) best = { fragment, pts };
    }
  }
  if (best === undefined) return null;
  const { fragment, pts } = best;
  const keys = fragments.flatMap((one, index) => (one.key && index <= fragment ? [index] : []));
  // Pictures that are sent behind a key frame and shown before it lean on the group before (H.264 open GOP, H.265 RASL).
  const first = keys.findLast((index) => firstShown(fragments[index]!) <= pts) ?? keys[0];
  return first === undefined ? null : { first, last: fragment, pts };
}

/** Presentation times of a fragment's pictures, in order of decoding. */
export function presentationTimes(fragment: FragmentTimes): number[] {
  let dts = fragment.decodeTime;
  return fragment.samples.map((sample) => {
    const pts = dts + sample.compositionOffset;
    dts += sample.duration;
    return pts;
  });
}

/** Presentation time of the fragment's first picture. */
export function firstShown(fragment: FragmentTimes): number {
  return fragment.decodeTime + (fragment.samples[0]?.compositionOffset ?? 0);
}
