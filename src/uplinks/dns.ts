import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { bindToDevice } from '../base/bind-device.js';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';

export interface Address {
  address: string;
  family: 4 | 6;
}

export interface ResolverOptions {
  clock: Clock;
  /** Null: the resolver of the system is asked. */
  interface: string | null;
  /** Empty: the name servers of the system that are not on the box itself. */
  servers: readonly string[];
  /** Bytes of a question and its answers. */
  onBytes: (sent: number, received: number) => void;
  readText?: (path: string) => Promise<string>;
}

const TYPE = { A: 1, AAAA: 28 } as const;
const TRY_MS = 2_000;
const TRIES = 2;
const SHORTEST_MS = 30_000;
const LONGEST_MS = 3_600_000;
/** systemd-resolved lists its servers in the first; resolv.conf may name only its stub on the loopback. */
const LISTS = ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf'];

interface Known {
  addresses: Address[];
  untilMono: number;
}

/** Looks names up over one link. What was good last is kept for the time when nobody answers. */
export class Resolver {
  readonly #o: ResolverOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: ResolverOptions) {
    this.#o = options;
  }

  /** IPv4 first. @throws BluelightError NAME_UNKNOWN */
  async addresses(host: string): Promise<Address[]> {
    const family = isIP(host);
    if (family !== 0) return [{ address: host, family: family as 4 | 6 }];
    const known = this.#known.get(host);
    const now = this.#o.clock.monotonic();
    if (known !== undefined && known.untilMono > now) return known.addresses;
    try {
      const { addresses, ttlMs } = await this.#ask(host);
      this.#known.set(host, { addresses, untilMono: now + Math.min(Math.max(ttlMs, SHORTEST_MS), LONGEST_MS) });
      return addresses;
    } catch (error) {
      if (known !== undefined) return known.addresses;
      throw new BluelightError('NAME_UNKNOWN', `the name ${host} cannot be looked up: ${errorMessage(error)}`, {
        fix: 'check the name servers of this link (dns in [[uplinks.links]])',
        retryable: true,
        cause: error,
      });
    }
  }

  /** The address just failed: the next look-up asks again. */
  forget(host: string): void {
    const known = this.#known.get(host);
    if (known !== undefined) known.untilMono = 0;
  }

  async #ask(host: string): Promise<{ addresses: Address[]; ttlMs: number }> {
    const read = this.#o.readText ?? ((path) => readFile(path, 'utf8'));
    if (this.#o.interface === null) {
      const found = await lookup(host, { all: true, order: 'ipv4first' });
      return { addresses: found.map(({ address, family }) => ({ address, family: family as 4 | 6 })), ttlMs: 0 };
    }
    const own = inHosts(await read('/etc/hosts').catch(() => ''), host);
    if (own.length > 0) return { addresses: own, ttlMs: 0 };
    const servers = this.#o.servers.length > 0 ? this.#o.servers : await systemServers(read);
    let last: unknown = new BluelightError('NO_NAME_SERVER', 'there is no name server for this link');
    for (let i = 0; i < servers.length * TRIES; i++) {
      try {
        const server = servers[i % servers.length]!;
        const v4 = await this.#query(server, host, TYPE.A);
        const found = v4.addresses.length > 0 ? v4 : await this.#query(server, host, TYPE.AAAA);
        if (found.addresses.length > 0) return found;
        last = new BluelightError('NAME_UNKNOWN', 'no server knows it');
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  async #query(server: string, host: string, type: number): Promise<{ addresses: Address[]; ttlMs: number }> {
    const family = isIP(server) === 6 ? 6 : 4;
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    const late = new AbortController();
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind(0, resolve);
      });
      await bindToDevice(socket, family, this.#o.interface!);
      const id = randomInt(0x10000);
      const question = buildQuery(id, host, type);
      const timeout = this.#o.clock.sleep(TRY_MS, late.signal).then(() => {
        throw new BluelightError('NAME_SERVER_SILENT', `the name server ${server} does not answer`);
      });
      const answer = await Promise.race([reply(socket, server, id, question), timeout]);
      this.#o.onBytes(question.length, answer.length);
      return parseAnswer(answer, question);
    } finally {
      late.abort();
      socket.close();
    }
  }
}

function reply(socket: Socket, server: string, id: number, question: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.on('message', (message, from) => {
      if (from.address === server && message.length >= 12 && message.readUInt16BE(0) === id) resolve(message);
    });
    socket.once('error', reject);
    socket.send(question, 53, server, (error) => error && reject(error));
  });
}

/** RFC 1035 §4.1: one question, recursion desired. */
export function buildQuery(id: number, host: string, type: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x0100, 2);
  head.writeUInt16BE(1, 4);
  const labels = host.split('.').map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > 63) throw new BluelightError('BAD_NAME', `${host} is no host name`);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const tail = Buffer.from([0, 0, type, 0, 1]);
  return Buffer.concat([head, ...labels, tail]);
}

/**
 * Addresses of the asked type; aliases are followed by taking every address record, since the server resolves them.
 * @throws BluelightError BAD_ANSWER
 */
export function parseAnswer(message: Buffer, question: Buffer): { addresses: Address[]; ttlMs: number } {
  const bad = (why: string): BluelightError =>
    new BluelightError('BAD_ANSWER', `the name server answers badly: ${why}`);
  const code = message.readUInt16BE(2) & 0xf;
  if (code === 3) return { addresses: [], ttlMs: 0 };
  if (code !== 0) throw bad(`code ${code}`);
  // What we did not ask for may be somebody else's answer.
  if (!message.subarray(12, question.length).equals(question.subarray(12))) throw bad('to another question');
  const addresses: Address[] = [];
  let ttl = LONGEST_MS / 1000;
  let at = question.length;
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    at = skipName(message, at);
    if (at + 10 > message.length) break;
    const type = message.readUInt16BE(at);
    const length = message.readUInt16BE(at + 8);
    const data = message.subarray(at + 10, at + 10 + length);
    if ((type === TYPE.A && length === 4) || (type === TYPE.AAAA && length === 16)) {
      ttl = Math.min(ttl, message.readUInt32BE(at + 4));
      addresses.push(type === TYPE.A ? { address: data.join('.'), family: 4 } : { address: text6(data), family: 6 });
    }
    at += 10 + length;
  }
  return { addresses, ttlMs: ttl * 1000 };
}

function skipName(message: Buffer, from: number): number {
  for (let at = from; at < message.length;) {
    const length = message[at]!;
    if (length >= 0xc0) return at + 2;
    if (length === 0) return at + 1;
    at += length + 1;
  }
  return message.length;
}

function text6(data: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => data.readUInt16BE(i * 2).toString(16)).join(':');
}

function inHosts(text: string, host: string): Address[] {
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    return family !== 0 && names.includes(host) ? [{ address, family: family as 4 | 6 }] : [];
  });
}

async function systemServers(read: (path: string) => Promise<string>): Promise<string[]> {
  for (const path of LISTS) {
    const text = await read(path).catch(() => '');
    const found = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1]!);
    const outside = found.filter((one) => isIP(one) !== 0 && !one.startsWith('127.') && one !== '::1');
    if (outside.length > 0) return outside;
  }
  return [];
}
