import { Socket } from 'node:net';
import type { FirstHops } from './first-hop.js';

/**
 * A TCP connection that ends with a reset. A destroyed socket of Node is closed, and the kernel then goes on to send
 * what it has taken, minutes later if a link comes back (tcp(7)); a reset throws that away. For connections that carry
 * footage, of which nothing may leave once it is withdrawn.
 */
export class AbruptSocket extends Socket {
  readonly #hops: FirstHops;
  readonly #device: string | null;
  #ending = false;
  #why: Error | undefined;

  /** @param device the interface that it is tied to; null: none */
  constructor(hops: FirstHops, device: string | null) {
    super();
    this.#hops = hops;
    this.#device = device;
  }

  override destroy(error?: Error): this {
    if (this.#ending || this.destroyed || this.pending) return super.destroy(this.#why ?? error);
    this.#ending = true;
    this.#why = error;
    // It comes back to here.
    const over = this.readableEnded && this.writableFinished;
    return over ? super.destroy(error) : resetCleanly(this, this.#hops, this.#device);
  }
}

/** The TCP connections below those of a TLS server: who they belong to is told by both ends of them. */
export class Connections {
  readonly #hops: FirstHops;
  readonly #new = new Map<string, Socket>();
  readonly #below = new WeakMap<Socket, Socket>();

  constructor(hops: FirstHops) {
    this.#hops = hops;
  }

  /** A TCP connection has come in. */
  opened(raw: Socket): void {
    const ends = endsOf(raw);
    this.#new.set(ends, raw);
    raw.once('close', () => {
      if (this.#new.get(ends) === raw) this.#new.delete(ends);
    });
  }

  /** Its TLS stands. */
  secured(socket: Socket): void {
    const ends = endsOf(socket);
    const raw = this.#new.get(ends);
    if (raw !== undefined) this.#below.set(socket, raw);
    this.#new.delete(ends);
  }

  /** Ends a connection; what the kernel has not sent yet never leaves. */
  cut(socket: Socket): void {
    const raw = this.#below.get(socket);
    // TLS must be taken down first, which then destroys what is below it: Node 20 crashes the other way round.
    if (raw !== undefined) raw.destroy = (error) => (delete (raw as Partial<Socket>).destroy, this.#reset(raw, error));
    socket.destroy();
  }

  #reset(raw: Socket, error?: Error): Socket {
    return raw.pending || raw.destroyed ? raw.destroy(error) : resetCleanly(raw, this.#hops, null);
  }
}

function resetCleanly<S extends Socket>(socket: S, hops: FirstHops, device: string | null): S {
  const { remoteAddress: to, localAddress: from } = socket;
  socket.resetAndDestroy();
  // Behind it: TCP would go on to fill what is being emptied.
  if (to !== undefined) hops.clear({ to, from, device });
  return socket;
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return [remoteAddress, remotePort, localAddress, localPort].join(' ');
}
