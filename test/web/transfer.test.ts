import { createServer, get, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import { Transfer } from '../../src/web/stream.js';
import { until } from './harness.js';

/** A transfer under a grant, over a real connection. */
let server: Server;
/** What the next request is answered with. */
let answer: { source: AsyncGenerator<Uint8Array>; signal?: AbortSignal; taken?: () => Promise<boolean> };
const ends: [number, boolean][] = [];

beforeEach(async () => {
  ends.length = 0;
  server = createServer((_, outgoing) => {
    const { source, signal = new AbortController().signal, taken = () => Promise.resolve(true) } = answer;
    const cut = (): void => void outgoing.socket?.destroy();
    const head = new Response(null);
    const onEnd = (...end: [number, boolean]): Promise<void> => Promise.resolve(void ends.push(end));
    void new Transfer(head, source, { signal, cut, taken, onEnd, log: silentLog }).send(head, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const port = (): number => (server.address() as AddressInfo).port;

/** What a client sees of it. */
function take(onData: () => void = () => undefined): Promise<{ text: string; whole: boolean }> {
  return new Promise((resolve, reject) => {
    get({ port: port(), agent: false }, (incoming) => {
      let text = '';
      incoming.on('data', (part: Buffer) => {
        text += part.toString();
        onData();
      });
      incoming.on('error', () => undefined);
      incoming.on('close', () => resolve({ text, whole: incoming.complete }));
    }).on('error', reject);
  });
}

test('a piece has left before the next is asked for, so that all can lie in the same memory', async () => {
  const memory = new Uint8Array(300_000);
  const letters = [...'abcdefgh'];
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (const letter of letters) {
      for (const length of [9, 300_000]) yield memory.subarray(0, length).fill(letter.charCodeAt(0));
    }
  }
  answer = { source: pieces() };
  const { text, whole } = await take();
  expect(whole).toBe(true);
  expect(text === letters.map((letter) => letter.repeat(300_009)).join('')).toBe(true);
});

test('it is cut, not ended, when the grant is withdrawn in the middle', async () => {
  const abort = new AbortController();
  let ended = false;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield new Uint8Array(50_000);
    } finally {
      ended = true;
    }
  }
  answer = { source: pieces(), signal: abort.signal };
  expect((await take(() => abort.abort())).whole).toBe(false);
  await until(() => ended, 'the source is left');
});

test('it is cut also when the grant is withdrawn before the client has the last byte, and told as failed', async () => {
  const abort = new AbortController();
  let take: (taken: boolean) => void = () => undefined;
  async function* one(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
  }
  const taken = new Promise<boolean>((resolve) => (take = resolve));
  answer = { source: one(), signal: abort.signal, taken: () => taken };
  const client = connect(port(), '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nhost: box\r\n\r\n'));
  const ended = new Promise((resolve) => client.once('close', resolve));
  await new Promise((resolve) => client.once('data', resolve));
  expect(ends).toEqual([]);
  abort.abort();
  await ended;
  take(true);
  await until(() => ends.length > 0, 'the end is told');
  expect(ends).toEqual([[10, false]]);
});

test('it is cut when the grant was withdrawn before it began', async () => {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
  }
  answer = { source: pieces(), signal: AbortSignal.abort() };
  await expect(take()).rejects.toThrow('socket hang up');
});

test('it is cut when the disk fails', async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('one');
    yield Buffer.from('two');
    throw new TypeError('disk');
  }
  answer = { source: failing() };
  const { text, whole } = await take();
  expect(['onetwo'.startsWith(text), whole]).toEqual([true, false]);
});

test('nothing is read further than the client takes, and the source is left when the client goes', async () => {
  let made = 0;
  let ended = false;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        made++;
        yield new Uint8Array(1_000_000);
      }
    } finally {
      ended = true;
    }
  }
  answer = { source: pieces() };
  const client = connect(port(), '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nhost: box\r\n\r\n'));
  client.pause();
  await until(() => made > 1, 'a first piece');
  for (let before = 0; before < made;) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  // What the buffers of the kernel take.
  expect(made).toBeLessThan(20);
  client.destroy();
  await until(() => ended, 'the source is left');
});
