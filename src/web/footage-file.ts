import { createHash } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Grant } from '../contract/grant.js';
import type { TimeRange } from '../contract/primitives.js';
import type { FootagePart, FootagePort } from './ports.js';

type Role = 'main' | 'sub';

/** One part of a recording as an MP4 file that exists nowhere: its init and the verbatim fragments of whole segments. */
export interface FootageFile {
  part: FootagePart;
  bytes: number;
  /** Where the fragments of each segment begin. */
  offsets: number[];
  /** Names these very bytes: closed segments never change. */
  etag: string;
  /** Reads from one byte up to another, a segment at a time. A chunk is good until the next one is asked for. */
  chunks(from: number, to: number): AsyncGenerator<Uint8Array>;
}

/** `NO_COVERAGE` if nothing is recorded, `SEVERAL_FILES` if the recording restarted and `run` does not choose. */
export async function footageFile(
  source: FootagePort,
  grant: Grant,
  role: Role,
  range: TimeRange,
  run: string | undefined,
): Promise<FootageFile> {
  const all = await source.parts(grant, role, range);
  const parts = all.filter((part) => part.segments.length > 0 && (run === undefined || part.run === run));
  const [part] = parts;
  if (part === undefined) {
    throw new BluelightError('NO_COVERAGE', 'Nothing is recorded in this range.', {
      fix: 'Choose a range where the timeline shows footage.',
    });
  }
  if (parts.length > 1) {
    throw new BluelightError('SEVERAL_FILES', `The recording restarted in this range: it is ${parts.length} files.`, {
      fix: 'Ask /recordings for its parts and export each by its from, to and run.',
    });
  }
  return fileOf(source, grant, role, part);
}

/** A part laid out as a file. */
export function fileOf(source: FootagePort, grant: Grant, role: Role, part: FootagePart): FootageFile {
  const offsets: number[] = [];
  let bytes = part.init.bytes;
  for (const segment of part.segments) {
    offsets.push(bytes);
    bytes += segment.bytes;
  }
  const { run, init, segments } = part;
  const facts = [run, init.sha256, segments[0]?.seq, segments.length, bytes].join();
  const etag = `"${createHash('sha256').update(facts).digest('base64url').slice(0, 22)}"`;
  const chunks = (from: number, to: number): AsyncGenerator<Uint8Array> =>
    readFile(source, grant, role, { part, offsets }, { from, to });
  return { part, bytes, offsets, etag, chunks };
}

async function* readFile(
  source: FootagePort,
  grant: Grant,
  role: Role,
  { part, offsets }: Pick<FootageFile, 'part' | 'offsets'>,
  { from, to }: { from: number; to: number },
): AsyncGenerator<Uint8Array> {
  const { init } = part;
  if (from < init.bytes && from < to) {
    yield (await source.init(grant, role, init.sha256)).subarray(from, Math.min(to, init.bytes));
  }
  const pieces = part.segments.flatMap(({ seq, bytes }, i) => {
    const start = offsets[i]!;
    const offset = Math.max(0, from - start);
    const length = Math.min(bytes, to - start) - offset;
    return length > 0 ? [{ seq, bytes, offset, length }] : [];
  });
  yield* readAhead(pieces, Math.max(...pieces.map(({ bytes }) => bytes)), async ({ seq, offset, length }, into) => {
    const read = await source.segment(grant, role, seq, { offset, length, into });
    if (read.length === length) return read;
    throw new BluelightError('NO_COVERAGE', `Segment ${seq} became shorter while it was being read.`);
  });
}

/** So many pieces are asked for at once: the disk never waits for the next question. */
const AHEAD = 2;

/**
 * While one piece is being sent the next are read. Each lies in memory of `most` bytes that goes to the disk and
 * back, used over and over: an hour takes no more than a minute.
 */
async function* readAhead<P>(
  pieces: readonly P[],
  most: number,
  read: (piece: P, into: ArrayBuffer) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const free = pieces.slice(0, AHEAD + 1).map(() => new ArrayBuffer(most));
  const coming: Promise<Uint8Array>[] = [];
  const start = (next: readonly P[]): void => {
    for (const piece of next) {
      const reading = read(piece, free.shift()!);
      // Whoever leaves before it comes does not want to know how it went.
      reading.catch(() => undefined);
      coming.push(reading);
    }
  };
  start(pieces.slice(0, AHEAD));
  for (let i = AHEAD; coming.length > 0; i++) {
    const bytes = await coming.shift()!;
    start(pieces.slice(i, i + 1));
    yield bytes;
    // It has left.
    free.push(bytes.buffer as ArrayBuffer);
  }
}
