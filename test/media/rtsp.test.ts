import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { authorization, chooseTerms, isStale, parseChallenges } from '../../src/media/rtsp-auth.js';
import {
  buildFrame,
  buildRequest,
  parseSession,
  parseTransport,
  RtspReader,
  type RtspSink,
} from '../../src/media/rtsp.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1e9);
console.log(`rtsp.test seed ${SEED}`);
const runs = (numRuns: number) => ({ seed: SEED, numRuns });

/** A sink that writes down what comes. */
function notes(): { lines: string[]; sink: RtspSink } {
  const lines: string[] = [];
  const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
  return {
    lines,
    sink: {
      response: ({ status, headers, body }) => lines.push(`${status} ${JSON.stringify([...headers])} ${hex(body)}`),
      request: ({ method, uri }) => lines.push(`${method} ${uri}`),
      frame: (channel, data, start, end) => lines.push(`$${channel} ${hex(data.subarray(start, end))}`),
    },
  };
}

const message = fc.oneof(
  fc.record({ channel: fc.nat(255), data: fc.uint8Array({ maxLength: 3_000 }) }).map(({ channel, data }) => ({
    bytes: buildFrame(channel, data),
    line: `$${channel} ${Buffer.from(data).toString('hex')}`,
  })),
  fc
    .record({
      status: fc.integer({ min: 100, max: 599 }),
      body: fc.uint8Array({ maxLength: 300 }),
      eol: fc.constantFrom('\r\n', '\n'),
    })
    .map(({ status, body, eol }) => ({
      bytes: Buffer.concat([
        Buffer.from(`RTSP/1.0 ${status} Some Reason${eol}CSeq: 3${eol}Content-Length: ${body.length}${eol}${eol}`),
        body,
      ]),
      line: `${status} [["cseq",["3"]],["content-length",["${body.length}"]]] ${Buffer.from(body).toString('hex')}`,
    })),
  fc.constant({
    bytes: Buffer.from('\r\nSET_PARAMETER rtsp://x/y RTSP/1.0\r\nCSeq: 1\r\n\r\n'),
    line: 'SET_PARAMETER rtsp://x/y',
  }),
);

test('messages and packets come out the same however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }),
      (list, cuts) => {
        const all = Buffer.concat(list.map((one) => one.bytes));
        const { lines, sink } = notes();
        const reader = new RtspReader(sink);
        // One buffer for every read, as the socket has.
        const buffer = new Uint8Array(1_000);
        for (let at = 0, i = 0; at < all.length; i++) {
          const size = Math.min(cuts[i % cuts.length]!, all.length - at);
          buffer.fill(0x55);
          buffer.set(all.subarray(at, at + size));
          reader.push(buffer, 0, size);
          at += size;
        }
        expect(lines).toEqual(list.map((one) => one.line));
      },
    ),
    runs(400),
  );
});

test('any bytes: the reader ends with RTSP_INVALID or waits, quickly', () => {
  const valid = Buffer.from(
    'RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\nSession: 1;timeout=60\r\n\r\nhello$\0\0\x04abcd',
  );
  const mutated = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
    const copy = Buffer.from(valid);
    for (const [at, value] of changes) copy[at] = value;
    return copy;
  });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 2_000 }),
    mutated,
    fc.string({ maxLength: 500 }).map((text) => Buffer.from(text)),
  );
  let slowest = 0;
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 5 }), (chunks) => {
      const reader = new RtspReader(notes().sink, { headerBytes: 1_000, bodyBytes: 1_000 });
      // Not time: others use this machine too.
      const begin = process.cpuUsage();
      try {
        for (const chunk of chunks) reader.push(chunk);
      } catch (error) {
        expect(error).toBeInstanceOf(BluelightError);
        expect((error as BluelightError).code).toBe('RTSP_INVALID');
      }
      const { user, system } = process.cpuUsage(begin);
      slowest = Math.max(slowest, (user + system) / 1_000);
    }),
    runs(5_000),
  );
  expect(slowest).toBeLessThan(100);
});

test('a head without end, a huge body and what is no RTSP are refused at once', () => {
  const push =
    (text: string, times = 1) =>
    (): void => {
      const reader = new RtspReader(notes().sink);
      for (let i = 0; i < times; i++) reader.push(Buffer.from(text));
    };
  expect(push('HTTP/1.1 400 Bad Request\r\n\r\n')).toThrow('no RTSP');
  expect(push('\x00\x01\x02\x03\x04\x05')).toThrow('no RTSP');
  expect(push('RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n')).toThrow('body');
  expect(push('RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n')).toThrow('body');
  expect(push('RTSP/1.0 200 OK\r\n' + 'X: y\r\n'.repeat(5_000))).toThrow('head');
});

test('a head that comes one byte at a time costs linear time', () => {
  const reader = new RtspReader(notes().sink);
  const begin = performance.now();
  const line = Buffer.from('RTSP/1.0 200 OK\r\nX: ' + 'y'.repeat(16_000));
  for (let i = 0; i < line.length; i++) reader.push(line, i, i + 1);
  expect(performance.now() - begin).toBeLessThan(500);
});

test('a request cannot be broken out of', () => {
  expect(() => buildRequest('PLAY', 'rtsp://x/ y', [])).toThrow('line break or blank');
  expect(() => buildRequest('PLAY', 'rtsp://x/', [['Session', '1\r\nEvil: 1']])).toThrow('line break');
});

test('Session and Transport in the forms cameras write', () => {
  expect(parseSession('12345678;timeout=30')).toEqual({ id: '12345678', timeoutS: 30 });
  expect(parseSession('ab ; Timeout = 90')).toEqual({ id: 'ab', timeoutS: 90 });
  expect(parseSession('x;timeout=0')).toEqual({ id: 'x', timeoutS: 60 });
  expect(parseTransport('RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=1;mode="PLAY"')).toEqual({
    tcp: true,
    channels: [2, 3],
  });
  expect(parseTransport('RTP/AVP/TCP;interleaved=6')).toEqual({ tcp: true, channels: [6, 7] });
  expect(parseTransport('RTP/AVP;unicast;client_port=1-2')).toEqual({ tcp: false, channels: undefined });
});

const MUFASA = { username: 'Mufasa', method: 'GET', uri: '/dir/index.html', count: 1 };

test('digest gives the answers of the examples in RFC 7616 §3.9.1 and RFC 2617 §3.5', () => {
  const header = (algorithm: string): string =>
    `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, ` +
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
  const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
  const { terms } = chooseTerms(parseChallenges([`${header('MD5')}, ${header('SHA-256')}`]), false);
  const sha = authorization(terms!, { ...MUFASA, password: 'Circle of Life', cnonce });
  expect(sha).toContain('response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"');
  expect(sha).toContain('algorithm=SHA-256');
  const md5 = chooseTerms(parseChallenges([header('MD5')]), false).terms!;
  expect(authorization(md5, { ...MUFASA, password: 'Circle of Life', cnonce })).toContain(
    'response="8ca523f5e9506fed4657c9700eebdbec"',
  );

  const old = parseChallenges([
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth,auth-int", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
  ]);
  const answer = authorization(chooseTerms(old, false).terms!, {
    ...MUFASA,
    password: 'Circle Of Life',
    cnonce: '0a4f113b',
  });
  expect(answer).toContain('response="6629fae49393a05397450978507c4ef1"');
});

test('Basic is taken only if allowed, and only if there is nothing better', () => {
  const both = parseChallenges(['Basic realm="x"', 'Digest realm="x", nonce="1"']);
  expect(chooseTerms(both, true).terms?.kind).toBe('digest');
  const basic = parseChallenges(['Basic realm="a, b"']);
  expect(chooseTerms(basic, false)).toEqual({ terms: undefined, clearOnly: true });
  const terms = chooseTerms(basic, true).terms!;
  expect(authorization(terms, { ...MUFASA, password: 'ö:"', cnonce: '' })).toBe(
    `Basic ${Buffer.from('Mufasa:ö:"').toString('base64')}`,
  );
  const unknown = parseChallenges([
    'Digest realm="x", nonce="1", algorithm=ROT13',
    'Digest realm="x", nonce="1", qop="auth-int"',
    'Bearer',
  ]);
  expect(chooseTerms(unknown, true)).toEqual({ terms: undefined, clearOnly: false });
});

test('any challenge: no crash, no line break in the answer', () => {
  const part = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'Digest ',
      'nonce="a\\"b"',
      ', ',
      'realm=',
      'qop="auth"',
      'algorithm=MD5-sess',
      'Basic',
      '"',
      'stale=TRUE',
    ),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const challenges = parseChallenges([parts.join('').replace(/[\r\n\0]/g, '')]);
      isStale(challenges);
      const { terms } = chooseTerms(challenges, true);
      if (terms === undefined) return;
      expect(authorization(terms, { ...MUFASA, password: 'p', cnonce: 'c' })).not.toMatch(/[\r\n]/);
    }),
    runs(2_000),
  );
});
