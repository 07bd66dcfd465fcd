import type { Clock } from '../base/clock.js';
import { endAt } from './until.js';
import type { PageEvent } from '../contract/http.js';

/** Keeps middle boxes from closing a quiet stream, and finds clients that have gone. */
const BEAT_MS = 15_000;
/** What a client may have waiting. One that takes nothing is cut; it reconnects by itself and asks for the state. */
const MOST_WAITING = 256;

/** An answer of server-sent events (WHATWG HTML §9.2) that lives until `signal` aborts. */
export function sse(options: {
  clock: Clock;
  signal: AbortSignal;
  /** `Clock.monotonic` at which it ends; Infinity: never. */
  untilMono: number;
  subscribe(send: (event: PageEvent) => void): () => void;
}): Response {
  const encoder = new TextEncoder();
  const over = new AbortController();
  const end = AbortSignal.any([options.signal, over.signal]);
  let gone = false;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string): void => {
          if (end.aborted) return;
          if ((controller.desiredSize ?? 0) <= 0) return over.abort();
          controller.enqueue(encoder.encode(text));
        };
        // 2 s: how long the browser waits before it reconnects.
        send('retry: 2000\n\n');
        const stop = options.subscribe((event) =>
          send(`event: ${event.type}\ndata: ${JSON.stringify(event.data)}\n\n`),
        );
        const quiet = options.clock.every(BEAT_MS, () => send(': beat\n\n'));
        const finish = (): void => {
          stop();
          quiet();
          if (!gone) controller.close();
        };
        if (end.aborted) finish();
        else end.addEventListener('abort', finish, { once: true });
        endAt(options.clock, options.untilMono, end, () => over.abort());
      },
      cancel() {
        gone = true;
        over.abort();
      },
    },
    { highWaterMark: MOST_WAITING },
  );
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}
