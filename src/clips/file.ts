import { createHash } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Grant } from '../contract/grant.js';
import type { SendFile } from './made-file.js';
import type { FootagePort, PlannedFile } from './ports.js';

interface Part {
  /** Undefined: the init. */
  seq: number | undefined;
  offset: number;
  bytes: number;
}

/** Bytes that are read from the ring at once. */
const READ_BYTES = 4 * 1024 * 1024;

/**
 * A clip as a file that exists nowhere: the init, then the fragments of whole segments, verbatim. Any part of it can
 * be read by its offset, for as long as the grant is good.
 */
export class ClipFile implements SendFile {
  readonly bytes: number;
  readonly #footage: FootagePort;
  readonly #stream: string;
  readonly #file: PlannedFile;
  readonly #grant: Grant;
  readonly #parts: Part[];
  #init: Uint8Array | undefined;

  constructor(footage: FootagePort, stream: string, file: PlannedFile, grant: Grant) {
    this.#footage = footage;
    this.#stream = stream;
    this.#file = file;
    this.#grant = grant;
    this.#parts = [{ seq: undefined, offset: 0, bytes: file.initBytes }];
    let offset = file.initBytes;
    for (const segment of file.segments) {
      this.#parts.push({ seq: segment.seq, offset, bytes: segment.bytes });
      offset += segment.bytes;
    }
    this.bytes = offset;
  }

  /** Offset of each segment's fragments in this file, in order. */
  get offsets(): number[] {
    return this.#parts.slice(1).map((part) => part.offset);
  }

  /** @throws BluelightError and the grant's reason once it is withdrawn */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      this.#grant.signal.throwIfAborted();
      const at = offset + done;
      const part = this.#parts.find((p) => at >= p.offset && at < p.offset + p.bytes);
      if (part === undefined) throw new BluelightError('OUT_OF_FILE', `the clip has no byte ${at}`);
      const want = Math.min(length - done, part.offset + part.bytes - at);
      const bytes = await this.#readPart(part, at - part.offset, want);
      if (bytes.length === 0)
        throw new BluelightError('FOOTAGE_GONE', 'a segment of this clip is no longer on the disk');
      out.set(bytes, done);
      done += bytes.length;
    }
    return out;
  }

  /**
   * Reads everything once and compares each part with what the chained index says of it.
   * @returns SHA-256 of the whole file
   * @throws BluelightError FOOTAGE_DAMAGED
   */
  async hash(signal: AbortSignal): Promise<string> {
    const whole = createHash('sha256');
    for (const [i, part] of this.#parts.entries()) {
      const own = createHash('sha256');
      for (let at = 0; at < part.bytes; at += READ_BYTES) {
        signal.throwIfAborted();
        const bytes = await this.read(part.offset + at, Math.min(READ_BYTES, part.bytes - at));
        own.update(bytes);
        whole.update(bytes);
      }
      const expected = i === 0 ? this.#file.initHash : this.#file.segments[i - 1]!.sha256;
      if (own.digest('hex') !== expected) {
        const what = part.seq === undefined ? 'the init' : `segment ${part.seq}`;
        throw new BluelightError('FOOTAGE_DAMAGED', `${what} of ${this.#stream} does not have its recorded hash`, {
          fix: 'run `bluelight ring check`; the disk may be failing',
        });
      }
    }
    return whole.digest('hex');
  }

  async #readPart(part: Part, offset: number, length: number): Promise<Uint8Array> {
    if (part.seq !== undefined) {
      return this.#footage.readBody(this.#grant, { stream: this.#stream, seq: part.seq, offset, length });
    }
    this.#init ??= await this.#footage.readInit(this.#grant, { stream: this.#stream, initHash: this.#file.initHash });
    return this.#init.subarray(offset, offset + length);
  }
}
