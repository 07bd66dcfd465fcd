import type { ServerResponse } from 'node:http';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Grant } from '../contract/grant.js';
import type { Call, Services } from './route.js';

interface TransferOptions {
  signal: AbortSignal;
  cut: () => void;
  /** Resolves when the client has acknowledged the whole answer; false: it went before. */
  taken: () => Promise<boolean>;
  /** Told once. @param whole the client has all of it */
  onEnd: (bytes: number, whole: boolean) => Promise<void>;
  log: Log;
}

/**
 * An answer that goes straight to the connection, a chunk at a time, as fast as the client takes it. The next chunk is
 * asked for when the one before has left, so its memory may be used again. When the grant or the session ends or the
 * source fails, the connection is cut, so that the client sees a broken transfer and never a short one that looks whole.
 * It is over when the client has the last byte: until then the kernel holds what can still be withdrawn.
 */
export class Transfer {
  readonly head: Response;
  readonly #source: AsyncGenerator<Uint8Array>;
  readonly #options: TransferOptions;

  constructor(head: Response, source: AsyncGenerator<Uint8Array>, options: TransferOptions) {
    this.head = head;
    this.#source = source;
    this.#options = options;
  }

  /** @param head with the headers that all answers have */
  async send(head: Response, outgoing: ServerResponse): Promise<void> {
    const { signal, log, taken, onEnd } = this.#options;
    const cut = (why: string): void => {
      log.info({ why }, 'transfer cut');
      this.#options.cut();
    };
    const onAbort = (): void => cut('the permission or the session ended');
    signal.addEventListener('abort', onAbort, { once: true });
    let bytes = 0;
    let whole = false;
    try {
      outgoing.writeHead(head.status, Object.fromEntries(head.headers));
      for await (const chunk of this.#source) {
        // The grant may have gone while the disk was being read.
        signal.throwIfAborted();
        bytes += chunk.length;
        await written(outgoing, chunk);
      }
      signal.throwIfAborted();
      outgoing.end();
      whole = (await taken()) && !signal.aborted;
    } catch (error) {
      if (!outgoing.destroyed) cut(errorMessage(error));
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    await onEnd(bytes, whole).catch((error: unknown) =>
      log.error({}, `a transfer is not told: ${errorMessage(error)}`),
    );
  }
}

function written(outgoing: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new BluelightError('CLIENT_GONE', 'the client took no more'));
    outgoing.once('close', gone);
    outgoing.write(chunk, (error) => {
      outgoing.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}

/**
 * An answer whose body is footage under a grant: it ends with the grant, the session or the client, and the audit is told
 * what of it left the box.
 */
export function streamed(
  services: Services,
  call: Call,
  grant: Grant,
  source: AsyncGenerator<Uint8Array>,
  headers: Record<string, string>,
  status: 200 | 206 = 200,
): Transfer {
  const head = new Response(null, { status, headers: { 'cache-control': 'no-store', ...headers } });
  return new Transfer(head, source, {
    signal: AbortSignal.any([grant.signal, call.signal]),
    cut: call.cut,
    taken: call.taken,
    onEnd: (bytes, whole) => tellEnd(services, grant, bytes, whole),
    log: services.log,
  });
}

/** The audit is told what of a file left the box. */
export async function tellEnd(services: Services, grant: Grant, bytes: number, whole: boolean): Promise<void> {
  const why = whole ? 'all that was asked for was taken' : 'the transfer ended early';
  await services.ports.finished(grant, { outcome: whole ? 'done' : 'failed', bytes, why });
}

/** `name` is of our own making: letters, digits and dashes. */
export function download(name: string): Record<string, string> {
  return { 'content-disposition': `attachment; filename="${name}"` };
}
