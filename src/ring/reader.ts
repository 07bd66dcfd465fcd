import { createHash } from 'node:crypto';
import { BluelightError, errorCode } from '../base/errors.js';
import type { Core } from './core.js';
import { segmentId } from './layout.js';
import { DAMAGED, endMs, GARBAGE, OPEN, type SegmentDetail } from './rows.js';
import type { SegmentAsk } from './types.js';

/** How many checked segments are remembered, so that a clip read in pieces is hashed once. */
const REMEMBER = 64;

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

  body(ask: SegmentAsk): Uint8Array {
    const row = this.#row(ask.stream, ask.seq);
    if (ask.within !== undefined && (row.start_ms < ask.within.fromMs || endMs(row) > ask.within.toMs)) {
      throw new BluelightError(
        'OUTSIDE_RANGE',
        `segment ${ask.seq} of ${ask.stream} leaves the range that was granted`,
      );
    }
    const fd = this.#open(ask.stream, ask.seq, row);
    try {
      const bytes = row.body_bytes ?? 0;
      const from = Math.min(Math.max(0, ask.offset), bytes);
      const at = row.init_bytes + from;
      const length = Math.max(0, Math.min(ask.length, bytes - from));
      const into = ask.into !== undefined && ask.into.length >= bytes ? ask.into : undefined;
      // A whole segment costs little more to check than to read: each is, each time. A part would cost it all again.
      if (length < bytes && this.#checked.has(row.id)) return this.#core.io.read(fd, at, length, into);
      const body = this.#check(ask.stream, ask.seq, row, fd, into);
      // What goes to another thread by itself owns its memory: a whole segment does, a part is copied out.
      if (length === body.length) return body;
      return into === undefined ? body.slice(from, from + length) : body.subarray(from, from + length);
    } finally {
      this.#core.io.close(fd);
    }
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
      this.#core.tables.markDamaged(row.id);
      throw damaged(stream, seq);
    }
  }

  #check(stream: string, seq: number, row: SegmentDetail, fd: number, into: Uint8Array | undefined): Uint8Array {
    const size = row.init_bytes + (row.body_bytes ?? 0);
    const init = this.#core.io.read(fd, 0, row.init_bytes);
    const body = this.#core.io.read(fd, row.init_bytes, size - row.init_bytes, into);
    const whole = init.length + body.length === size && this.#core.io.size(fd) === size;
    if (!whole || !fits(init, row.init_sha256) || !fits(body, row.body_sha256)) {
      this.#core.tables.markDamaged(row.id);
      throw damaged(stream, seq);
    }
    this.#checked.add(row.id);
    if (this.#checked.size > REMEMBER) this.#checked.delete(this.#checked.values().next().value!);
    return body;
  }
}

function fits(bytes: Uint8Array, sha256: Buffer | null): boolean {
  return sha256 !== null && createHash('sha256').update(bytes).digest().equals(sha256);
}

function notFound(what: string): BluelightError {
  return new BluelightError('NOT_FOUND', what);
}

function damaged(stream: string, seq: number): BluelightError {
  return new BluelightError('SEGMENT_DAMAGED', `segment ${seq} of ${stream} does not fit its hash`, {
    fix: 'check the disk; the segment is reported as a gap',
  });
}
