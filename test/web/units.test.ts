import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { FakeClock } from '../../src/base/fake-clock.js';
import { toUtc } from '../../src/contract/primitives.js';
import type { Grant } from '../../src/contract/grant.js';
import { checkHost, checkOrigin, cookieValue, isLoopback } from '../../src/web/guard.js';
import { LiveSender, watchLive } from '../../src/web/live.js';
import { isNeighbour } from '../../src/web/neighbours.js';
import { LoginLimit } from '../../src/web/login-limit.js';
import { frame, planPlayback } from '../../src/web/playback.js';
import type { FootagePart, LiveListener } from '../../src/web/ports.js';
import { Sessions } from '../../src/web/sessions.js';
import type { Socket } from '../../src/web/route.js';

const peer = { localAddress: '::ffff:10.0.0.5', remoteAddress: '10.0.0.9' };

describe('guard', () => {
  test.each([
    ['10.0.0.5:8443', true],
    ['10.0.0.5', true],
    ['localhost:8443', true],
    ['Store.Example:8443', true],
    ['[fe80::1]:8443', false],
    ['10.0.0.6', false],
    ['store.example.evil.com', false],
    ['localhost.', false],
    ['a b', false],
    ['', false],
    [undefined, false],
  ])('Host %s: %s', (host, allowed) => {
    const check = (): void => checkHost(host, ['store.example'], peer);
    if (allowed) expect(check).not.toThrow();
    else expect(check).toThrow(/not known under the name/);
  });

  test('Origin must be this host by https; it may be missing only where no cookie lets the request in', () => {
    expect(() => checkOrigin('https://box:8443', 'box:8443', true)).not.toThrow();
    expect(() => checkOrigin(undefined, 'box:8443', false)).not.toThrow();
    expect(() => checkOrigin(undefined, 'box:8443', true)).toThrow();
    for (const origin of ['http://box:8443', 'https://box', 'https://box:8443.evil', 'null', '']) {
      expect(() => checkOrigin(origin, 'box:8443', false)).toThrow();
    }
  });

  test('cookies are found by their whole name', () => {
    expect(cookieValue('a=1; __Host-bluelight=tok=en; b=2', '__Host-bluelight')).toBe('tok=en');
    expect(cookieValue('x__Host-bluelight=1', '__Host-bluelight')).toBeUndefined();
    expect(cookieValue(undefined, 'a')).toBeUndefined();
  });

  test('loopback', () => {
    for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) expect(isLoopback(address)).toBe(true);
    for (const address of ['10.0.0.1', '127.0.0.1.evil', '::2', undefined]) expect(isLoopback(address)).toBe(false);
  });
});

describe('login limit', () => {
  const wrong = (): Promise<null> => Promise.resolve(null);

  test('five wrong codes are free, then an address waits 30 s, then longer; others go on', async () => {
    const clock = new FakeClock();
    const limit = new LoginLimit(clock);
    let tried = 0;
    const guess = (address: string): Promise<null> =>
      limit.attempt(address, () => {
        tried++;
        return wrong();
      });
    for (let i = 0; i < 5; i++) await guess('10.0.0.9');
    await expect(guess('10.0.0.9')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(tried).toBe(5);
    expect(await limit.attempt('10.0.0.8', () => Promise.resolve('in'))).toBe('in');
    await clock.advance(30_000);
    await guess('10.0.0.9');
    await clock.advance(30_000);
    await expect(guess('10.0.0.9')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await clock.advance(30_000);
    expect(await limit.attempt('10.0.0.9', () => Promise.resolve('in'))).toBe('in');
    // The success cleared it.
    for (let i = 0; i < 4; i++) await guess('10.0.0.9');
  });

  test('a wrong passphrase counts like a wrong code, any other error does not', async () => {
    const clock = new FakeClock();
    const limit = new LoginLimit(clock);
    const fails = (code: string) => () => Promise.reject(new BluelightError(code, code));
    for (let i = 0; i < 20; i++) {
      await expect(limit.guard('10.0.0.9', fails('NO_OWNER'))).rejects.toMatchObject({ code: 'NO_OWNER' });
    }
    for (let i = 0; i < 3; i++) await limit.attempt('10.0.0.9', wrong);
    for (let i = 0; i < 2; i++) {
      await expect(limit.guard('10.0.0.9', fails('PASSPHRASE_WRONG'))).rejects.toMatchObject({ code: 'PASSPHRASE_WRONG' }); // prettier-ignore
    }
    let ran = false;
    await expect(limit.guard('10.0.0.9', () => (ran = true))).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await expect(limit.attempt('10.0.0.9', wrong)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(ran).toBe(false);
    expect(await limit.guard('10.0.0.8', () => 'in')).toBe('in');
  });

  test('many addresses together are slowed too, and a /64 counts as one', async () => {
    const clock = new FakeClock();
    const limit = new LoginLimit(clock);
    for (let i = 0; i < 60; i++) await limit.attempt(`10.0.${i}.1`, wrong);
    await expect(limit.attempt('10.9.9.9', wrong)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await clock.advance(61_000);
    for (let i = 0; i < 5; i++) await limit.attempt(`2001:db8:1:2::${i}`, wrong);
    await expect(limit.attempt('2001:db8:1:2::99', wrong)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });

  test('a guesser gets fewer than 20 tries in an hour out of one address', async () => {
    const clock = new FakeClock();
    const limit = new LoginLimit(clock);
    let tried = 0;
    for (let second = 0; second < 3_600; second++) {
      await limit
        .attempt('10.0.0.9', () => {
          tried++;
          return wrong();
        })
        .catch(() => undefined);
      await clock.advance(1_000);
    }
    expect(tried).toBeLessThan(20);
  });

  test('no more than two hashes at once', async () => {
    const limit = new LoginLimit(new FakeClock());
    const slow = (): Promise<null> => new Promise(() => undefined);
    void limit.attempt('a', slow);
    void limit.attempt('b', slow);
    await expect(limit.attempt('c', slow)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryable: true });
  });
});

describe('sessions', () => {
  test("a technician's session ends after 4 h whatever the wall clock does, and tells what runs under it", async () => {
    const clock = new FakeClock();
    const sessions = new Sessions(clock);
    const { token, session } = sessions.open({ role: 'technician', name: 'T' });
    clock.stepWall(-48 * 3_600_000);
    await clock.advance(4 * 3_600_000 - 1);
    expect(sessions.find(token)).toBe(session);
    await clock.advance(1);
    sessions.sweep();
    expect(session.signal.aborted).toBe(true);
    expect(sessions.find(token)).toBeNull();
  });

  test('tokens are long, different, and bounded in number', () => {
    const sessions = new Sessions(new FakeClock());
    const opened = Array.from({ length: 150 }, () => sessions.open({ role: 'owner', name: 'O' }));
    expect(new Set(opened.map(({ token }) => token)).size).toBe(150);
    expect(opened.every(({ token }) => token.length === 43)).toBe(true);
    expect(opened.filter(({ token }) => sessions.find(token) !== null)).toHaveLength(100);
    expect(opened[0]!.session.signal.aborted).toBe(true);
  });
});

describe('live', () => {
  function fakeSocket(): Socket & {
    sent: (string | Uint8Array)[];
    closed: [number, string][];
    buffered: number;
    cuts: number;
  } {
    const socket = {
      sent: [] as (string | Uint8Array)[],
      closed: [] as [number, string][],
      buffered: 0,
      send: (data: string | Uint8Array) => void socket.sent.push(data),
      close: (code: number, reason: string) => void socket.closed.push([code, reason]),
      cuts: 0,
      cut: () => void socket.cuts++,
    };
    return socket;
  }
  const run = { run: 'r', codec: 'avc1.64001f', width: 640, height: 360, zeroMs: 5, init: Uint8Array.of(1) };
  const piece = (key: boolean, n: number): { key: boolean; bytes: Uint8Array } => ({ key, bytes: Uint8Array.of(n) });

  test('a viewer that does not keep up loses whole groups of pictures and goes on at a key frame', () => {
    const socket = fakeSocket();
    const sender = new LiveSender(socket);
    sender.run(run);
    expect(JSON.parse(socket.sent[0] as string)).toMatchObject({
      type: 'run',
      mime: 'video/mp4; codecs="avc1.64001f"',
    });
    socket.sent.length = 0;
    sender.fragment(piece(false, 1));
    sender.fragment(piece(true, 2));
    sender.fragment(piece(false, 3));
    socket.buffered = 5 * 1024 * 1024;
    sender.fragment(piece(false, 4));
    socket.buffered = 0;
    sender.fragment(piece(false, 5));
    sender.fragment(piece(true, 6));
    expect(socket.sent.map((data) => (data as Uint8Array)[0])).toEqual([2, 3, 6]);
    expect(sender.dropped).toBe(3);
  });

  function watch() {
    const clock = new FakeClock();
    const revoke = new AbortController();
    const session = new AbortController();
    const grant = {
      signal: revoke.signal,
      expiresAtMono: 60_000,
      camera: 'c',
    } as unknown as Grant;
    const state = { subscribed: 0, listener: undefined as LiveListener | undefined, ends: [] as [number, string][] };
    const handler = watchLive({
      clock,
      grant,
      role: 'sub',
      session: session.signal,
      onEnd: (bytes, why) => state.ends.push([bytes, why]),
      live: {
        subscribe(_grant, _role, listener) {
          state.subscribed++;
          state.listener = listener;
          return () => void state.subscribed--;
        },
      },
    });
    const socket = fakeSocket();
    handler.open(socket);
    return { clock, revoke, session, handler, socket, state };
  }

  test.each([
    ['the grant is withdrawn', 4403, (w: ReturnType<typeof watch>) => w.revoke.abort()],
    ['the session ends', 4401, (w: ReturnType<typeof watch>) => w.session.abort()],
    ['the grant runs out', 4408, (w: ReturnType<typeof watch>) => w.clock.advance(60_000)],
  ])('ends when %s', async (_what, code, act) => {
    const watching = watch();
    expect(watching.state.subscribed).toBe(1);
    await act(watching);
    expect(watching.state.subscribed).toBe(0);
    expect(watching.socket.closed).toHaveLength(1);
    expect(watching.socket.closed[0]![0]).toBe(code);
    expect(JSON.parse(watching.socket.sent.at(-1) as string)).toMatchObject({ type: 'end' });
    // Once: whatever follows says nothing more.
    watching.revoke.abort();
    watching.session.abort();
    expect(watching.socket.closed).toHaveLength(1);
    expect(watching.state.ends).toEqual([[0, expect.stringMatching(/permission|session/)]]);
  });

  test('a viewer that is behind is cut off a second later; one that has gone is not', async () => {
    for (const [goes, cuts] of [
      [false, 1],
      [true, 0],
    ] as const) {
      const { revoke, handler, clock, socket } = watch();
      revoke.abort();
      if (goes) handler.close();
      await clock.advance(999);
      expect(socket.cuts).toBe(0);
      await clock.advance(1);
      expect(socket.cuts).toBe(cuts);
    }
  });

  test('ends when the viewer goes', () => {
    const watching = watch();
    watching.state.listener!.run(run);
    watching.state.listener!.fragment(piece(true, 2));
    watching.handler.close();
    expect(watching.state.subscribed).toBe(0);
    const bytes = run.init.length + piece(true, 2).bytes.length;
    expect(watching.state.ends).toEqual([[bytes, 'the viewer went']]);
  });
});

describe('playback', () => {
  const part = (run: string, ...segments: [number, number][]): FootagePart => ({
    run,
    codec: 'avc1.64001f',
    width: 1,
    height: 1,
    zeroMs: 0,
    init: { sha256: '0'.repeat(64), bytes: 1 },
    segments: segments.map(([fromMs, toMs]) => ({ seq: fromMs, fromMs, toMs, bytes: 1 })),
  });

  test('segments in order, a run announced once, gaps with their reason, nothing at the live edge', () => {
    const gaps = [{ from: toUtc(20_000), to: toUtc(50_000), reason: 'camera_offline' }];
    const parts = [part('a', [0, 10_000], [10_000, 20_000]), part('b', [50_000, 60_000])];
    const steps = planPlayback(parts, gaps, { fromMs: 3_000, toMs: 65_000 });
    expect(
      steps.map((step) => (step.do === 'run' ? `run ${step.part.run}` : step.do === 'gap' ? step : step.seq)),
    ).toEqual([
      'run a',
      0,
      10_000,
      { do: 'gap', fromMs: 20_000, toMs: 50_000, reason: 'camera_offline' },
      'run b',
      50_000,
    ]);
  });

  test('nothing recorded at all is one gap', () => {
    const gaps = [{ from: toUtc(0), to: toUtc(90_000), reason: 'disk_full' }];
    expect(planPlayback([], gaps, { fromMs: 10_000, toMs: 60_000 })).toEqual([
      { do: 'gap', fromMs: 10_000, toMs: 60_000, reason: 'disk_full' },
    ]);
  });

  test('every segment is sent once and in order, whatever the holes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(30_000), fc.integer({ min: 1, max: 12_000 })), { maxLength: 30 }),
        (pieces) => {
          let at = 0;
          const segments = pieces.map(([hole, length]): [number, number] => {
            const from = at + hole;
            at = from + length;
            return [from, at];
          });
          const steps = planPlayback([part('a', ...segments)], [], { fromMs: 0, toMs: at + 1 });
          const sent = steps.flatMap((step) => (step.do === 'segment' ? [step.fromMs] : []));
          expect(sent).toEqual(segments.map(([from]) => from));
          for (const step of steps) if (step.do === 'gap') expect(step.toMs - step.fromMs).toBeGreaterThan(500);
        },
      ),
    );
  });

  test('a frame is kind, length, payload', () => {
    expect([...frame(3, Uint8Array.of(7, 8))]).toEqual([3, 0, 0, 0, 2, 7, 8]);
  });
});

test('before the claim only addresses of the own networks are answered', () => {
  const interfaces = [
    { address: '192.168.7.20', cidr: '192.168.7.20/24' },
    { address: '10.1.2.3', cidr: '10.1.2.3/30' },
    { address: 'fd00::7', cidr: 'fd00::7/64' },
    { address: '100.64.0.9', cidr: null },
  ];
  const near = ['127.0.0.1', '::1', '192.168.7.9', '::ffff:192.168.7.9', '10.1.2.1', 'fd00::1234', 'fe80::1%eth0'];
  const far = ['192.168.8.9', '::ffff:8.8.8.8', '10.1.2.4', 'fd00:0:0:1::1', '2001:db8::1', '100.64.0.1', ''];
  expect(near.filter((address) => !isNeighbour(address, interfaces))).toEqual([]);
  expect(far.filter((address) => isNeighbour(address, interfaces))).toEqual([]);
});
