import { BluelightError } from '../../base/errors.js';
import type { EncodingOptions } from './options.js';
import { isFirstSlice, isKeyNal, isSlice, nalType, H264, H265, parameterSetsOf, splitAnnexB } from '../../media/nal.js';
import type { Codec } from '../../media/stream.js';

/** One encoded picture of the loop. */
export interface ClipUnit {
  /** What stands before the picture's slices (parameter sets), and the slices. Views into the file. */
  head: Uint8Array[];
  slices: Uint8Array[];
  key: boolean;
}

/** An encoded loop, ready to be sent again and again. */
export interface Clip {
  units: ClipUnit[];
  /** VPS (H.265), SPS and PPS, for the SDP. */
  parameterSets: Uint8Array[];
}

/** Reads a byte stream. An incomplete last GOP is left out, so that the loop point falls on a key frame. */
export function readClip(annexB: Uint8Array, codec: Codec, gopFrames: number): Clip {
  const units: ClipUnit[] = [];
  let head: Uint8Array[] = [];
  for (const nal of splitAnnexB(annexB)) {
    if (!isSlice(codec, nal)) {
      // The encoder's own notes (SEI) would only be noise beside the frame stamp.
      if (nalType(codec, nal) !== (codec === 'h264' ? H264.sei : H265.prefixSei)) head.push(nal);
    } else if (isFirstSlice(codec, nal)) {
      units.push({ head, slices: [nal], key: isKeyNal(codec, nal) });
      head = [];
    } else {
      units.at(-1)?.slices.push(nal);
    }
  }
  const whole = Math.floor(units.length / gopFrames) * gopFrames;
  const first = units[0];
  if (first === undefined || whole === 0 || !first.key) {
    throw new BluelightError('SIM_SOURCE', `the footage holds ${String(units.length)} pictures, less than one GOP`, {
      fix: `use a video of at least ${String(gopFrames)} frames`,
    });
  }
  return { units: units.slice(0, whole), parameterSets: parameterSetsOf(codec, first.head) };
}

/** Cuts two loops that show the same moments to the same length, so that they stay together over every loop point. */
export function cutAlike(main: Timed, sub: Timed): void {
  const step = Math.max(main.encoding.gopSeconds, sub.encoding.gopSeconds);
  const shortest = Math.min(...[main, sub].map(({ clip, encoding }) => clip.units.length / encoding.fps));
  const seconds = Math.max(step, Math.floor(shortest / step + 1e-6) * step);
  for (const { clip, encoding } of [main, sub])
    clip.units.length = Math.min(clip.units.length, Math.round(seconds * encoding.fps));
}

export interface Timed {
  clip: Clip;
  encoding: EncodingOptions;
}
