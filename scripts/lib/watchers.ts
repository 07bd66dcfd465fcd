import { Socket as UdpSocket } from 'node:dgram';
import dns from 'node:dns';
import { isIP, Socket } from 'node:net';

/** Where this process connects and sends to, and which names it looks up, from now on. */
export class Destinations {
  readonly seen = new Map<string, number>();
  readonly #undo: (() => void)[] = [];

  constructor() {
    this.#wrap(Socket.prototype, 'connect', (args) => hostOfConnect(args));
    this.#wrap(UdpSocket.prototype, 'send', (args) => args.findLast((one): one is string => typeof one === 'string'));
    // An address needs no looking up: sockets ask for their own this way.
    this.#wrap(dns, 'lookup', ([name]) => (typeof name === 'string' && isIP(name) === 0 ? name : undefined));
  }

  /** Those that are not allowed. */
  others(allowed: (host: string) => boolean): string[] {
    return [...this.seen.keys()].filter((host) => !allowed(host));
  }

  close(): void {
    for (const undo of this.#undo) undo();
  }

  #wrap<T extends object>(owner: T, name: keyof T, hostOf: (args: unknown[]) => string | undefined): void {
    const original = owner[name] as (...args: unknown[]) => unknown;
    const note = (args: unknown[]): void => {
      const host = hostOf(args);
      if (host !== undefined) this.seen.set(host, (this.seen.get(host) ?? 0) + 1);
    };
    owner[name] = function (this: unknown, ...args: unknown[]): unknown {
      note(args);
      return original.apply(this, args);
    } as T[keyof T];
    this.#undo.push(() => (owner[name] = original as T[keyof T]));
  }
}

/** `connect(options)`, `connect(port, host)`, `connect(path)`, each also as one normalised array. */
function hostOfConnect(args: unknown[]): string | undefined {
  const [first, second] = (Array.isArray(args[0]) ? args[0] : args) as unknown[];
  if (typeof first === 'object' && first !== null) {
    const { host, path } = first as { host?: unknown; path?: unknown };
    return typeof path === 'string' ? undefined : typeof host === 'string' ? host : 'localhost';
  }
  if (typeof first === 'string') return undefined;
  return typeof second === 'string' ? second : 'localhost';
}

const TICK_MS = 5;

/** The longest time for which this thread did not come back to its event loop because it was working. */
export class LagWatch {
  worstMs = 0;
  readonly #timer: NodeJS.Timeout;
  #wall = performance.now();
  #cpu = process.cpuUsage();

  constructor() {
    this.#timer = setInterval(() => {
      const wall = performance.now();
      const cpu = process.cpuUsage(this.#cpu);
      // Other programs may keep this one waiting; only what it worked itself counts.
      const worked = (cpu.user + cpu.system) / 1_000;
      this.worstMs = Math.max(this.worstMs, Math.min(wall - this.#wall - TICK_MS, worked));
      this.#wall = wall;
      this.#cpu = process.cpuUsage();
    }, TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
