import { BluelightError } from '../base/errors.js';
import type { Grant } from '../contract/grant.js';
import { problemResponse } from './problem.js';
import type { Call, Services } from './route.js';
import { streamed, tellEnd, type Transfer } from './stream.js';

/** From one byte up to another, the end not included. */
export interface ByteRange {
  from: number;
  to: number;
}

interface WholeFile {
  bytes: number;
  etag: string;
  chunks(from: number, to: number): AsyncGenerator<Uint8Array>;
}

/**
 * What of `bytes` a `Range` header asks for (RFC 9110 §14.2); null: all of it. Several ranges at once, and units that
 * are not bytes, are answered with all, as the RFC allows. `none`: the file has no such part.
 */
export function parseRange(header: string | undefined, bytes: number): ByteRange | 'none' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.replace(/\s/g, '') ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return null;
  const from = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const to = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
  if (from >= bytes || from >= to) return 'none';
  return { from, to };
}

/** A file of which any part can be had: whole (200), a range of it (206), or only what it is (HEAD). */
export async function rangedFile(
  services: Services,
  call: Call,
  grant: Grant,
  file: WholeFile,
  headers: Record<string, string>,
): Promise<Response | Transfer> {
  const common = { ...headers, 'accept-ranges': 'bytes', etag: file.etag };
  if (call.head) {
    await tellEnd(services, grant, 0, true);
    return new Response(null, { headers: { ...common, 'content-length': String(file.bytes) } });
  }
  const condition = call.header('if-range');
  // Another file stands under the address by now: the rest of it would not fit to what the client has.
  const stale = condition !== undefined && condition !== file.etag;
  const range = stale ? null : parseRange(call.header('range'), file.bytes);
  if (range === 'none') {
    await tellEnd(services, grant, 0, true);
    return problemResponse(unsatisfiable(file.bytes), { 'content-range': `bytes */${file.bytes}` });
  }
  const { from, to } = range ?? { from: 0, to: file.bytes };
  const part: Record<string, string> =
    range === null ? {} : { 'content-range': `bytes ${from}-${to - 1}/${file.bytes}` };
  return streamed(
    services,
    call,
    grant,
    file.chunks(from, to),
    { ...common, 'content-length': String(to - from), ...part },
    range === null ? 200 : 206,
  );
}

function unsatisfiable(bytes: number): BluelightError {
  return new BluelightError('RANGE_NOT_SATISFIABLE', `The file has ${bytes} bytes.`, {
    fix: 'Ask for a range within them, or for the whole file.',
  });
}
