import { createHash } from 'node:crypto';
import { BluelightError, errorCode } from '../base/errors.js';
import type { Core } from './core.js';
import { segmentId } from './layout.js';
import { DAMAGED, endMs, GARBAGE, OPEN, type SegmentDetail } from './rows.js';
import type { SegmentAsk } from './types.js';

/** How many checked segments are remembered, so that a clip read in pieces is hashed once. */
const REMEMBER = 64;

/** What came off the disk: the bytes that were asked for, and the whole body if it is still to be checked. */
export interface Loaded {
  stream: string;
  seq: number;
  row: SegmentDetail;
  bytes: Uint8Array;
  body?: Uint8Array<ArrayBuffer>;
}

/** Reads closed segments. What does not fit its hash is marked damaged and never served. */
export class Reader {
  readonly #core: Core;
  readonly #checked = new Set<number>();

  constructor(core: Core) {
    this.#core = core;
  }

  init(sha256Hex: string): Uint8Array {
    const bytes = /^[0-9a-f]{64}$/.test(sha256Hex)
      ? this.#core.tables.initBytes(Buffer.from(sha256Hex, 'hex'))
      : undefined;
    if (bytes === undefined) throw notFound('there is no such init');
    return Uint8Array.from(bytes);
  }

  /** Takes bytes off the disk. Nobody may have them before `give` has agreed. */
  load(ask: SegmentAsk): Loaded {
    const { stream, seq } = ask;
    const row = this.#row(stream, seq);
    if (ask.within !== undefined && (row.start_ms < ask.within.fromMs || endMs(row) > ask.within.toMs)) {
      throw new BluelightError('OUTSIDE_RANGE', `segment ${seq} of ${stream} leaves the range that was granted`);
    }
    const fd = this.#open(stream, seq, row);
    try {
      const bytes = row.body_bytes ?? 0;
      const from = Math.min(Math.max(0, ask.offset), bytes);
      const length = Math.max(0, Math.min(ask.length, bytes - from));
      const into = ask.into !== undefined && ask.into.byteLength >= bytes ? new Uint8Array(ask.into) : undefined;
      // A whole segment costs little more to check than to read: each is, each time. A part would cost it all again.
      if (length < bytes && this.#checked.has(row.id)) {
        return { stream, seq, row, bytes: this.#core.io.read(fd, row.init_bytes + from, length, into) };
      }
      const init = this.#core.io.read(fd, 0, row.init_bytes);
      const body = this.#core.io.read(fd, row.init_bytes, bytes, into);
      const whole = body.length === bytes && this.#core.io.size(fd) === row.init_bytes + bytes;
      if (!whole || !sha256(init).equals(row.init_sha256)) throw this.#damaged({ stream, seq, row });
      const asked = body.subarray(from, from + length);
      // A part that travels in memory of its own is copied out: with it would travel the whole body.
      return { stream, seq, row, body, bytes: length === bytes || into !== undefined ? asked : asked.slice() };
    } finally {
      this.#core.io.close(fd);
    }
  }

  /** The bytes that were asked for, now that the hash of the body is known; undefined where none was to be checked. */
  give({ stream, seq, row, bytes, body }: Loaded, bodySha256: Buffer | undefined): Uint8Array {
    if (body === undefined) return bytes;
    if (row.body_sha256 === null || bodySha256?.equals(row.body_sha256) !== true) {
      throw this.#damaged({ stream, seq, row });
    }
    this.#checked.add(row.id);
    if (this.#checked.size > REMEMBER) this.#checked.delete(this.#checked.values().next().value!);
    return bytes;
  }

  #row(stream: string, seq: number): SegmentDetail {
    const row = this.#core.tables.stream(stream);
    const found = row === undefined ? undefined : this.#core.tables.detail(segmentId(row.id, seq));
    if (found === undefined || found.state === GARBAGE)
      throw notFound(`segment ${seq} of ${stream} is not kept any more`);
    if (found.state === OPEN) throw notFound(`segment ${seq} of ${stream} is still being written`);
    if (found.state === DAMAGED) throw damaged(stream, seq);
    return found;
  }

  #open(stream: string, seq: number, row: SegmentDetail): number {
    try {
      return this.#core.io.openRead(this.#core.path(stream, seq));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      throw this.#damaged({ stream, seq, row });
    }
  }

  #damaged({ stream, seq, row }: Pick<Loaded, 'stream' | 'seq' | 'row'>): BluelightError {
    this.#core.tables.markDamaged(row.id);
    return damaged(stream, seq);
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function notFound(what: string): BluelightError {
  return new BluelightError('NOT_FOUND', what);
}

function damaged(stream: string, seq: number): BluelightError {
  return new BluelightError('SEGMENT_DAMAGED', `segment ${seq} of ${stream} does not fit its hash`, {
    fix: 'check the disk; the segment is reported as a gap',
  });
}
