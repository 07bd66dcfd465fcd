import { createSocket, type Socket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { bindToDevice } from './bind-device.js';
import { withDeadline, type Clock } from './clock.js';
import { BluelightError, errorCode, errorMessage } from './errors.js';
import type { Log } from './log.js';

/** Where the packets of a connection go. */
export interface Way {
  to: string;
  /** Local address; undefined: the kernel's choice. */
  from?: string;
  /** The interface that it is tied to; null: none. */
  device: string | null;
}

/** RFC 863: what arrives there is thrown away. */
const DISCARD = 9;
/** More than fit into the smallest send buffer that Linux gives (SOCK_MIN_SNDBUF; each is charged 512 bytes and more). */
const SCOUTS = 10;
/** A queue of a working interface has long moved on. */
const SCOUT_MS = 150;
const FILL_MS = 500;
/** What the kernel charges for a packet at least, whatever is in it (struct sk_buff and skb_shared_info). */
const CHARGE = 512;
/** Default of Linux since 4.15. */
const QUEUE_BYTES = 212_992;
const SOCKETS = 4;
/** There is no way at all: then nothing waits on it. */
const NO_WAY = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'ENODEV', 'EADDRNOTAVAIL', 'LINK_BIND']);

/**
 * Empties the queue of packets that wait for the hardware address of the first station on a way (arp(7)). A reset of a
 * connection does not reach them, and they leave as soon as that station is heard again, up to 3 s later. Only the
 * administrator may empty it, but once it is full (`unres_qlen_bytes`) it drops its oldest packet for each new one: so it
 * is filled with packets that say nothing. Where packets move, ten of 1 byte are all that is sent.
 */
export class FirstHops {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onBytes: (bytes: number) => void;
  /** Whose queue is still to be filled: what ends before is cleared with it. */
  readonly #coming = new Set<string>();

  /** @param onBytes told what was handed to the kernel */
  constructor(clock: Clock, log: Log, onBytes: (bytes: number) => void = () => undefined) {
    this.#clock = clock;
    this.#log = log;
    this.#onBytes = onBytes;
  }

  /** To be called when a connection has just been reset. */
  clear(way: Way): void {
    const key = JSON.stringify(way);
    if (this.#coming.has(key)) return;
    this.#coming.add(key);
    this.#run(way, key).catch((error: unknown) => {
      this.#coming.delete(key);
      // Without any way nothing waits on it.
      if (NO_WAY.has(errorCode(error) ?? '')) return;
      this.#log.warn({ to: way.to, code: errorCode(error) }, errorMessage(error));
    });
  }

  async #run(way: Way, key: string): Promise<void> {
    const stuck = await this.#isStuck(way);
    this.#coming.delete(key);
    this.#onBytes(SCOUTS);
    if (stuck) this.#onBytes(await this.#fill(way));
  }

  async #isStuck(way: Way): Promise<boolean> {
    const open: Socket[] = [];
    try {
      const scout = await socketTo(way, open);
      // It then takes no more than a handful of packets at a time.
      scout.setSendBufferSize(1);
      for (let i = 0; i < SCOUTS; i++) send(scout, () => undefined);
      await this.#clock.sleep(SCOUT_MS);
      return scout.getSendQueueCount() > 0;
    } finally {
      for (const socket of open) socket.close();
    }
  }

  async #fill(way: Way): Promise<number> {
    const open: Socket[] = [];
    try {
      const packets = Math.ceil((await queueBytes(way)) / CHARGE);
      const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => socketTo(way, open)));
      const sent = Array.from(
        { length: packets },
        (_, i) => new Promise<void>((resolve) => send(sockets[i % SOCKETS]!, resolve)),
      );
      const late = (): Error => new BluelightError('FIRST_HOP', `the kernel takes no packet for ${way.to}`);
      await withDeadline(this.#clock, FILL_MS, Promise.all(sent), late);
      return packets;
    } finally {
      for (const socket of open) socket.close();
    }
  }
}

async function socketTo({ to, from, device }: Way, open: Socket[]): Promise<Socket> {
  const host = plain(to);
  const family = isIPv6(host) ? 6 : 4;
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  open.push(socket.unref());
  const address = device === null && from !== undefined ? plain(from) : undefined;
  await settled(socket, (done) => socket.bind({ port: 0, ...(address === undefined ? {} : { address }) }, done));
  if (device !== null) await bindToDevice(socket, family, device);
  // It calls back with what went wrong, whatever its type says.
  await settled(socket, (done) => socket.connect(DISCARD, host, done as () => void));
  // That it was refused is news of the other end: the packet got there.
  socket.on('error', () => undefined);
  return socket;
}

function settled(socket: Socket, start: (done: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    start((error) => {
      socket.off('error', reject);
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}

/** @param done the kernel has taken it, or will not */
const send = (socket: Socket, done: () => void): void => socket.send(Buffer.alloc(1), done);

async function queueBytes({ to, device }: Way): Promise<number> {
  const family = isIPv6(plain(to)) ? 'ipv6' : 'ipv4';
  try {
    const text = await readFile(`/proc/sys/net/${family}/neigh/${device ?? 'default'}/unres_qlen_bytes`, 'utf8');
    return Number(text);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return QUEUE_BYTES;
    throw error;
  }
}

/** An IPv4 address as a socket of both families gives it. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
