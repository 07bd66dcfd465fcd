import { join } from 'node:path';
import { BluelightError } from '../base/errors.js';

/** Where things lie in the recording directory. Paths follow from stream and sequence number: no column stores one. */
export const INDEX_FILE = 'ring.db';
export const IDENTITY_FILE = 'disk.json';
export const BALLAST_FILE = 'ballast';

/** 2^32 segments of 10 s are 1,361 years. */
const SEQ_SPAN = 2 ** 32;
/** Segments per directory: about three hours. */
export const BUCKET = 1024;

const STREAM = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\.(?:main|sub)$/;

/** Stream names become path components: only `{slug}.main` and `{slug}.sub` are taken. */
export function checkStream(stream: string): string {
  if (!STREAM.test(stream)) {
    throw new BluelightError('BAD_STREAM', `${JSON.stringify(stream)} is not a stream name ({camera}.main|sub)`);
  }
  return stream;
}

export function segmentId(streamNumber: number, seq: number): number {
  return streamNumber * SEQ_SPAN + seq;
}

export function seqOf(id: number): number {
  return id % SEQ_SPAN;
}

export function streamNumberOf(id: number): number {
  return Math.floor(id / SEQ_SPAN);
}

export function bucketOf(seq: number): number {
  return Math.floor(seq / BUCKET);
}

export function bucketDir(directory: string, stream: string, bucket: number): string {
  return join(directory, 'media', stream, bucket.toString(16).padStart(6, '0'));
}

export function segmentPath(directory: string, stream: string, seq: number): string {
  return join(bucketDir(directory, stream, bucketOf(seq)), `${seq}.mp4`);
}

export function journalDir(directory: string): string {
  return join(directory, 'journal');
}

export function journalPath(directory: string, number: number): string {
  return join(journalDir(directory), `${String(number).padStart(8, '0')}.log`);
}
