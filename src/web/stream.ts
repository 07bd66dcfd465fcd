import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Grant } from '../contract/grant.js';
import type { Call, Services } from './route.js';

/**
 * A body that is read as fast as the client takes it. When `signal` aborts or the source fails, the connection is cut,
 * so that the client sees a broken transfer and never a short one that looks whole.
 */
export function streamBody(
  source: AsyncGenerator<Uint8Array>,
  options: { signal: AbortSignal; cut: () => void; log: Log },
): ReadableStream<Uint8Array> {
  const cut = (why: string): void => {
    options.log.info({ why }, 'transfer cut');
    options.cut();
  };
  const onAbort = (): void => cut('the permission or the session ended');
  options.signal.addEventListener('abort', onAbort, { once: true });
  const finish = async (): Promise<void> => {
    options.signal.removeEventListener('abort', onAbort);
    await source.return(undefined);
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          options.signal.throwIfAborted();
          const next = await source.next();
          // Again: the grant may have gone while the disk was being read.
          options.signal.throwIfAborted();
          if (next.done !== true) return controller.enqueue(next.value);
          await finish();
          controller.close();
        } catch (error) {
          await finish();
          cut(errorMessage(error));
          controller.close();
        }
      },
      cancel: finish,
    },
    { highWaterMark: 1 },
  );
}

/** An answer whose body is footage under a grant: it ends with the grant, the session or the client. */
export function streamed(
  services: Services,
  call: Call,
  grant: Grant,
  source: AsyncGenerator<Uint8Array>,
  headers: Record<string, string>,
  status: 200 | 206 = 200,
): Response {
  const signal = AbortSignal.any([grant.signal, call.signal]);
  const body = streamBody(source, { signal, cut: call.cut, log: services.log });
  return new Response(body, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

/** `name` is of our own making: letters, digits and dashes. */
export function download(name: string): Record<string, string> {
  return { 'content-disposition': `attachment; filename="${name}"` };
}

/** Passes a file on and tells the audit what of it left the box. */
export async function* told(
  services: Services,
  grant: Grant,
  source: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let whole = false;
  try {
    for await (const chunk of source) {
      bytes += chunk.length;
      yield chunk;
    }
    whole = true;
  } finally {
    const why = whole ? 'all that was asked for was taken' : 'the transfer ended early';
    await services.ports.finished(grant, { outcome: whole ? 'done' : 'failed', bytes, why });
  }
}
