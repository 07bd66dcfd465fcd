import { BluelightError } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type { Grant } from '../contract/grant.js';
import type { StreamMessage } from '../contract/http.js';
import type { LiveListener, LivePort, LiveRun } from './ports.js';
import type { Socket, SocketHandler } from './route.js';
import { endAt, onAbort } from './until.js';

/** What a slow viewer may have waiting before pictures are left out for it: memory of the agent, not of the viewer. */
const MOST_BUFFERED = 4 * 1024 * 1024;

/** So long a viewer may take to hear why it ends. */
const FAREWELL_MS = 1_000;

/** Close codes of the application range (RFC 6455 §7.4.2). */
export const CLOSE = { revoked: 4403, expired: 4408, session: 4401 } as const;

/** RFC 6381 and RFC 9559's sibling for MP4: what `MediaSource.addSourceBuffer` takes. */
export function mimeOf(codec: string): string {
  return `video/mp4; codecs="${codec}"`;
}

export function runMessageOf(run: Omit<LiveRun, 'init'>): StreamMessage {
  const { codec, width, height, zeroMs } = run;
  return { type: 'run', run: run.run, mime: mimeOf(codec), codec, width, height, zeroMs };
}

/**
 * Puts a stream on a socket: `run` as text, the init, then fragments. A viewer that cannot keep up loses
 * whole groups of pictures: after a pause it goes on at a key frame, so what it gets always decodes.
 */
export class LiveSender implements LiveListener {
  readonly #socket: Socket;
  /** False until a key frame has been sent since the start or the last pause. */
  #flowing = false;
  dropped = 0;
  /** Of pictures; what was given to the socket. */
  bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  run(run: LiveRun): void {
    this.#flowing = false;
    this.#text(runMessageOf(run));
    this.#pictures(run.init);
  }

  fragment(fragment: { key: boolean; bytes: Uint8Array }): void {
    const full = this.#socket.buffered > MOST_BUFFERED;
    if (full || (!this.#flowing && !fragment.key)) {
      this.#flowing = false;
      this.dropped++;
      return;
    }
    this.#flowing = true;
    this.#pictures(fragment.bytes);
  }

  paused(reason: string, detail: string): void {
    this.#flowing = false;
    this.#text({ type: 'paused', reason, detail });
  }

  end(code: string, detail: string): void {
    this.#text({ type: 'end', code, detail });
  }

  #pictures(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#socket.send(bytes);
  }

  #text(message: StreamMessage): void {
    this.#socket.send(JSON.stringify(message));
  }
}

export interface LiveWatch {
  clock: Clock;
  live: LivePort;
  grant: Grant;
  role: 'main' | 'sub';
  /** Aborts when the session is over or the viewer has gone. */
  session: AbortSignal;
  /** Told once, with the bytes of pictures that went out. */
  onEnd: (bytes: number, why: string) => void;
}

/** The life of one viewer: opens under the grant, ends when the grant is withdrawn or expires, or the session ends. */
export function watchLive(watch: LiveWatch): SocketHandler {
  const stop = new AbortController();
  let why = 'the viewer went';
  const closed = new AbortController();
  return {
    open(socket) {
      const sender = new LiveSender(socket);
      stop.signal.addEventListener('abort', () => watch.onEnd(sender.bytes, why), { once: true });
      const end = (code: string, closeCode: number, detail: string): void => {
        if (stop.signal.aborted) return;
        why = detail;
        stop.abort();
        sender.end(code, detail);
        socket.close(closeCode, code);
        // A viewer that is behind would get what waits for it first, long after the permission has gone.
        endAt(watch.clock, watch.clock.monotonic() + FAREWELL_MS, closed.signal, () => socket.cut());
      };
      const unsubscribe = watch.live.subscribe(watch.grant, watch.role, sender);
      stop.signal.addEventListener('abort', unsubscribe, { once: true });
      onAbort(watch.grant.signal, stop.signal, () =>
        end('REVOKED', CLOSE.revoked, 'The permission for this live view was withdrawn.'),
      );
      onAbort(watch.session, stop.signal, () => end('SESSION_OVER', CLOSE.session, 'The session is over.'));
      endAt(watch.clock, watch.grant.expiresAtMono, stop.signal, () =>
        end('EXPIRED', CLOSE.expired, 'The permission for this live view has run out.'),
      );
    },
    close() {
      stop.abort();
      closed.abort();
    },
  };
}

/** Shown to who opens the live address without a WebSocket; the page asks so to learn why a socket was refused. */
export function upgradeRequired(): BluelightError {
  return new BluelightError('UPGRADE_REQUIRED', 'Live pictures come over a WebSocket.', {
    fix: 'Open this address as a WebSocket (wss://).',
  });
}
