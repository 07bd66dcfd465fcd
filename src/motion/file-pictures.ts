import { BluelightError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { Decoder } from './decoder.js';
import type { Decoders, FullDecoder } from './watcher.js';

/** An access unit and its picture; no picture if it cannot be decoded. */
export interface Decoded {
  unit: AccessUnit;
  gray: Uint8Array | undefined;
}

interface Slot extends Decoded {
  known: boolean;
}

/** Access units that wait for a picture, at most: a stream of which nothing can be decoded must not fill the memory. */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;

/**
 * Decodes every access unit. What comes out is a function of the units alone: it is never asked whether a picture is
 * late, only whether it came before a later one, or at all.
 */
export async function* decodeAll(
  options: { processes: Processes; log: Log; format: VideoFormat },
  units: AsyncIterable<AccessUnit>,
): AsyncGenerator<Decoded> {
  const slots: Slot[] = [];
  let failed = false;
  let bytes = 0;
  const onFailed = (): void => void (failed = true);
  const decoder = new Decoder({ ...options, maxWaiting: Number.POSITIVE_INFINITY, onFailed });
  const ready = function* (): Generator<Decoded> {
    while (slots[0]?.known === true) {
      bytes -= slots[0].unit.data.length;
      yield slots.shift()!;
    }
  };
  try {
    for await (const unit of units) {
      const slot: Slot = { unit, gray: undefined, known: false };
      slots.push(slot);
      bytes += unit.data.length;
      await decoder.taken();
      const take = (gray: Uint8Array | undefined): void =>
        void Object.assign(slot, { gray: gray?.slice(), known: true });
      if (!decoder.feed(options.format, unit, take) || failed || bytes > MAX_WAITING_BYTES) throw undecodable();
      yield* ready();
    }
    await decoder.finish();
    if (failed) throw undecodable();
    yield* ready();
  } finally {
    decoder.close();
  }
}

function undecodable(): BluelightError {
  return new BluelightError('VIDEO_UNREADABLE', 'the decoder gave up on this video', {
    fix: 'look with ffprobe whether the file is damaged; `bluelight verify` tells for footage of this box',
  });
}

/**
 * Answers a watcher from pictures that are decoded already. A picture of a group that is watched at full rate is out as
 * soon as no earlier one can follow, which is what decode times are for: by them every box decides at the same time.
 */
export class FilePictures implements Decoders {
  readonly #pictures = new Map<number, Uint8Array>();
  #lastKeyPts = Number.NEGATIVE_INFINITY;

  /** To be called before the watcher gets the unit. A watcher looks back one group of pictures, not further. */
  take({ unit, gray }: Decoded): void {
    if (unit.key) {
      for (const pts of this.#pictures.keys()) if (pts < this.#lastKeyPts) this.#pictures.delete(pts);
      this.#lastKeyPts = unit.pts;
    }
    if (gray !== undefined) this.#pictures.set(unit.pts, gray);
  }

  key(_format: VideoFormat, unit: AccessUnit, done: (gray: Uint8Array | undefined) => void): void {
    done(this.#pictures.get(unit.pts));
  }

  open(_format: VideoFormat, onFrame: (unit: AccessUnit, gray: Uint8Array) => void): FullDecoder {
    let open = true;
    let waiting: AccessUnit[] = [];
    return {
      feed: (unit, wanted) => {
        const next = unit.dts + unit.duration;
        const [out, kept] = split(wanted ? [...waiting, unit] : waiting, (one) => one.pts < next);
        waiting = kept;
        for (const one of out.sort((a, b) => a.pts - b.pts)) {
          const gray = this.#pictures.get(one.pts);
          if (open && gray !== undefined) onFrame(one, gray);
        }
        return true;
      },
      close: () => void (open = false),
    };
  }
}

function split<T>(all: readonly T[], first: (one: T) => boolean): [T[], T[]] {
  return [all.filter(first), all.filter((one) => !first(one))];
}
