import { createHash } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Grant } from '../contract/grant.js';
import type { Polygon } from '../media/mask.js';

/** What is sent of a clip: bytes that can be read again from any offset, for as long as the grant is good. */
export interface SendFile {
  readonly bytes: number;
  /** Offset of each segment's fragments in it; empty where it does not hold them as they were recorded. */
  readonly offsets: number[];
  /** @throws BluelightError and the grant's reason once it is withdrawn */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** SHA-256 of all of it, hex. */
  hash(signal: AbortSignal): Promise<string>;
}

/** How a file that is not byte for byte what the camera sent came to be. */
export interface Derived {
  masked: boolean;
  /** When the picture was taken, ms since 1970. */
  atMs: number;
}

/**
 * A picture that was made out of footage. It lies in memory only; made again from the same segment it is the same, so an
 * upload that was interrupted goes on.
 */
export class MadeFile implements SendFile {
  readonly bytes: number;
  readonly offsets: number[] = [];
  readonly derived: Derived;
  readonly #data: Uint8Array;
  readonly #grant: Grant;
  readonly #masksNow: () => readonly Polygon[];
  readonly #masks: string;

  /** @param masks what was painted over */
  constructor(
    picture: { jpeg: Uint8Array; atMs: number },
    grant: Grant,
    masks: readonly Polygon[],
    masksNow: () => readonly Polygon[],
  ) {
    this.#data = picture.jpeg;
    this.bytes = picture.jpeg.length;
    this.derived = { masked: masks.length > 0, atMs: picture.atMs };
    this.#grant = grant;
    this.#masks = JSON.stringify(masks);
    this.#masksNow = masksNow;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#grant.signal.throwIfAborted();
    if (JSON.stringify(this.#masksNow()) !== this.#masks) {
      throw new BluelightError('MASKS_CHANGED', 'the owner hides other areas now, so the picture is made anew', {
        retryable: true,
      });
    }
    return this.#data.subarray(offset, offset + length);
  }

  hash(): Promise<string> {
    return Promise.resolve(createHash('sha256').update(this.#data).digest('hex'));
  }
}
