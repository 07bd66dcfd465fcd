import { Socket } from 'node:net';
import type { Clock } from './clock.js';
import type { FirstHops } from './first-hop.js';
import { readTcpTable } from './tcp-table.js';

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

/** How often the kernel is asked what it still has. */
const LOOK_MS = 250;

/**
 * The TCP connections below those of a TLS server: who they belong to is told by both ends of them. None is closed while
 * the kernel has something to send for it: what is closed can no longer be cut.
 */
export class Connections {
  readonly #hops: FirstHops;
  readonly #clock: Clock;
  readonly #new = new Map<string, Socket>();
  readonly #below = new WeakMap<Socket, Socket>();

  constructor(hops: FirstHops, clock: Clock) {
    this.#hops = hops;
    this.#clock = clock;
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
    const soon = socket.destroySoon.bind(socket);
    // How the server ends a connection after its last answer.
    socket.destroySoon = (): void => void this.taken(socket).then(soon, soon);
  }

  /** However it ends, the kernel keeps nothing of it. */
  endAbruptly(socket: Socket): void {
    const raw = this.#below.get(socket);
    if (raw === undefined) return;
    // TLS must be taken down first, which then destroys what is below it: Node 20 crashes the other way round.
    raw.destroy = (error) => (delete (raw as Partial<Socket>).destroy, this.#reset(raw, error));
  }

  /** Ends a connection; what the kernel has not sent yet never leaves. */
  cut(socket: Socket): void {
    this.endAbruptly(socket);
    socket.destroy();
  }

  /**
   * Resolves when the other end has acknowledged everything that was written, or has closed the connection in good
   * order; false: it broke before.
   */
  async taken(socket: Socket): Promise<boolean> {
    while (!socket.destroyed && this.#below.has(socket)) {
      if (socket.writableLength === 0 && !(await isWaiting(socket))) return true;
      await this.#clock.sleep(LOOK_MS);
    }
    return socket.errored === null;
  }

  /** Closes a connection on which nobody asks anything any more, as soon as the other end has all of the last answer. */
  retire(socket: Socket): void {
    this.taken(socket).then(
      () => socket.destroy(),
      () => this.cut(socket),
    );
  }

  #reset(raw: Socket, error?: Error): Socket {
    return raw.pending || raw.destroyed ? raw.destroy(error) : resetCleanly(raw, this.#hops, null);
  }
}

/** Whether the kernel has something for the other end. By the ports alone: at worst it waits for somebody else too. */
async function isWaiting({ localPort, remotePort }: Socket): Promise<boolean> {
  const rows = await readTcpTable();
  return rows.some((row) => row.localPort === localPort && row.remotePort === remotePort && row.unacknowledged > 0);
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
