import type { Agent as HttpAgent } from 'node:http';
import * as tus from 'tus-js-client';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import { UPLOAD_METADATA } from '../contract/upload.js';
import { failed, judgeAnswer } from './outcome.js';
import type { UploadJob, UploadOutcome } from './ports.js';

export interface TusOptions {
  clock: Clock;
  agent: HttpAgent;
  /** `U/files` */
  endpoint: string;
  chunkBytes: number;
  /** Neither a byte nor an answer for this long: the connection is dead. */
  stallMs: number;
}

type Sent = { state: 'complete' } | Exclude<UploadOutcome, { state: 'delivered' }>;

/**
 * One attempt to bring a file to its end by tus 1.0, from where the center is. The library makes the requests; when
 * to try again is decided outside. The center's word on the offset is checked: it may be behind us, never ahead of
 * what was sent, because skipped bytes would only show in the hash at the very end.
 */
export async function sendByTus(options: TusOptions, job: UploadJob, url: string | null): Promise<Sent> {
  const { clock } = options;
  if (job.signal.aborted) return { state: 'stopped' };
  let activity = clock.monotonic();
  let at = url;
  let settle: (outcome: Sent) => void = () => undefined;
  const settled = new Promise<Sent>((resolve) => (settle = resolve));
  let saving: Promise<void> = Promise.resolve();
  const save = (offset: number): void => {
    saving = job.onProgress({ url: at, offset });
    // Heard at once: nobody waits for it while the next chunk is under way.
    saving.catch((error: unknown) => give(judge(error as Error, clock.now())));
  };
  const upload = new tus.Upload(Buffer.alloc(0), {
    endpoint: url === null ? options.endpoint : null,
    uploadUrl: url,
    uploadSize: job.bytes,
    chunkSize: options.chunkBytes,
    retryDelays: null,
    storeFingerprintForResuming: false,
    fingerprint: () => Promise.resolve(job.clip),
    metadata: {
      [UPLOAD_METADATA.clip]: job.clip,
      [UPLOAD_METADATA.sha256]: job.sha256,
      [UPLOAD_METADATA.filename]: job.fileName,
    },
    httpStack: new tus.DefaultHttpStack({ agent: options.agent }),
    fileReader: { openFile: () => Promise.resolve(source(job)) },
    onBeforeRequest(req) {
      activity = clock.monotonic();
      if (new URL(req.getURL()).origin !== new URL(options.endpoint).origin) {
        throw new BluelightError('FOREIGN_HOST', `the center sent us to another host, ${new URL(req.getURL()).host}`);
      }
    },
    async onAfterResponse(req, res) {
      activity = clock.monotonic();
      checkOffset(req, res, job, options.chunkBytes);
      await saving;
    },
    onUploadUrlAvailable() {
      at = upload.url;
      save(url === null ? 0 : job.offset);
    },
    onProgress: () => (activity = clock.monotonic()),
    onChunkComplete(_size, accepted) {
      save(accepted);
    },
    onSuccess: () => settle({ state: 'complete' }),
    onError: (error) => settle(judge(error, clock.now())),
  });
  const give = (outcome: Sent): void => {
    settle(outcome);
    upload.abort().catch((error: unknown) => settle(failed('UPLOAD_CUT', errorMessage(error))));
  };
  const stop = (): void => give({ state: 'stopped' });
  job.signal.addEventListener('abort', stop, { once: true });
  const unwatch = clock.every(1_000, () => {
    if (clock.monotonic() - activity < options.stallMs) return;
    give(failed('UPLOAD_STALLED', `no byte moved for ${options.stallMs / 1000} s`));
  });
  try {
    upload.start();
    const outcome = await settled;
    await saving;
    return outcome;
  } finally {
    unwatch();
    job.signal.removeEventListener('abort', stop);
  }
}

/** The library asks for slices by offset; it takes a body's length from a property `size`. */
function source(job: UploadJob): {
  size: number;
  slice: (start: number, end: number) => Promise<{ value: Buffer & { size: number }; done: boolean }>;
  close: () => void;
} {
  return {
    size: job.bytes,
    async slice(start, end) {
      const bytes = await job.read(start, end - start);
      if (bytes.length !== end - start) {
        throw new BluelightError('FOOTAGE_SHORT', `the ring gave ${bytes.length} bytes instead of ${end - start}`);
      }
      const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return { value: Object.assign(body, { size: body.length }), done: end >= job.bytes };
    },
    close: () => undefined,
  };
}

function checkOffset(req: tus.HttpRequest, res: tus.HttpResponse, job: UploadJob, chunkBytes: number): void {
  const method = req.getMethod();
  if (res.getStatus() < 200 || res.getStatus() >= 300 || (method !== 'HEAD' && method !== 'PATCH')) return;
  const offset = Number(res.getHeader('Upload-Offset') ?? Number.NaN);
  if (!Number.isSafeInteger(offset)) return;
  const from = Number(req.getHeader('Upload-Offset') ?? 0);
  // A chunk may have arrived whose answer we never saw.
  const most = Math.min(job.bytes, (method === 'HEAD' ? job.offset : from) + chunkBytes);
  const length = method === 'HEAD' ? Number(res.getHeader('Upload-Length') ?? Number.NaN) : job.bytes;
  if (offset > most || offset < (method === 'PATCH' ? from : 0) || length !== job.bytes) {
    throw new BluelightError(
      'OFFSET_LIE',
      `the center says it has ${offset} of ${length} bytes; at most ${most} were sent`,
    );
  }
}

function judge(error: Error | tus.DetailedError, nowMs: number): Exclude<Sent, { state: 'complete' }> {
  const detailed = error as Partial<tus.DetailedError>;
  const response = detailed.originalResponse ?? null;
  const cause: unknown = detailed.causingError ?? error;
  if (cause instanceof BluelightError) {
    return failed(cause.code, cause.message, {
      restart: cause.code === 'OFFSET_LIE',
      retryable: cause.code !== 'FOREIGN_HOST' && (cause.retryable || cause.code === 'OFFSET_LIE'),
    });
  }
  if (response !== null) {
    return judgeAnswer(response.getStatus(), response.getBody(), response.getHeader('Retry-After'), nowMs);
  }
  return failed('UPLOAD_CUT', `the connection broke: ${errorMessage(cause)}`);
}
