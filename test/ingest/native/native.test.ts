import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test as base } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import { createLog, Redactor } from '../../../src/base/log.js';
import { systemProcesses } from '../../../src/base/processes.js';
import { createIngest, type Ingest, type IngestDeps } from '../../../src/ingest/ingest.js';
import { nativeEngine, type NativeDeps } from '../../../src/ingest/native/native.js';
import type { EngineEnd, RawPicture } from '../../../src/ingest/ports.js';
import { parseSource } from '../../../src/ingest/source.js';
import { joinNals, splitNals } from '../../../src/media/nal.js';
import type { Codec } from '../../../src/media/stream.js';
import { accessUnitsInFile, elementaryStream, inspect } from '../../support/clips.js';
import { startGst, type GstOptions, type GstServer } from '../../support/gst.js';
import { Recorder, saveRun, until } from '../../support/recorder.js';
import { FakeCamera, type CameraOptions } from './camera.js';

const USER = 'admin';
const PASSWORD = 'S3cret "Pw"!/@:%&ö';

/** A session of the engine alone, and all that it told. */
interface Session {
  pictures: RawPicture[];
  losses: string[];
  accepted: number;
  bytes: number;
  reads: number;
  sets: Uint8Array[];
  stop(): void;
  ended: Promise<EngineEnd>;
}

class Rig {
  readonly #open: (() => Promise<void> | void)[] = [];

  async camera(options: Partial<CameraOptions> = {}): Promise<FakeCamera> {
    const units = options.units ?? (await pictures());
    const camera = await FakeCamera.start({ ...options, units });
    this.#open.push(() => camera.close());
    return camera;
  }

  async gst(options: GstOptions): Promise<GstServer> {
    const server = await startGst(options);
    this.#open.push(() => server.kill());
    return server;
  }

  session(uri: string, login: { username?: string; password?: string } = {}, more: Partial<NativeDeps> = {}): Session {
    const engine = nativeEngine({ clock: systemClock(), maxAccessUnitBytes: 8e6, responseMs: 1_000, ...more });
    const told = {
      pictures: [] as RawPicture[],
      losses: [] as string[],
      accepted: 0,
      bytes: 0,
      reads: 0,
      sets: [] as Uint8Array[],
    };
    const source = { stream: 'door.main', url: parseSource(uri), username: '', password: '', ...login };
    const session = engine.open(source, {
      accepted: () => void told.accepted++,
      parameterSets: (_codec, sets) => void told.sets.push(...sets),
      picture: (picture) => void told.pictures.push(picture),
      received: (bytes) => {
        told.bytes += bytes;
        told.reads++;
      },
      lost: (detail) => void told.losses.push(detail),
    });
    this.#open.push(async () => {
      session.stop();
      await session.ended;
    });
    return Object.assign(told, { stop: () => session.stop(), ended: session.ended });
  }

  ingest(uri: string, more: Partial<IngestDeps> = {}, password = PASSWORD): { ingest: Ingest; recorder: Recorder } {
    const recorder = new Recorder();
    const redactor = new Redactor();
    const clock = systemClock();
    const log = createLog({ redactor, level: 'error', write: () => undefined });
    const ingest = createIngest({ clock, processes: systemProcesses(clock), log, redactor, sink: recorder, ...more });
    this.#open.push(() => ingest.stop());
    ingest.setCameras([{ id: 'door', username: USER, password, streams: [{ role: 'main', uri, engine: 'native' }] }]);
    return { ingest, recorder };
  }

  later(close: () => Promise<void> | void): void {
    this.#open.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#open.reverse()) await close();
  }
}

const test = base.extend<{ rig: Rig }>({
  rig: async ({ task: _task }, use) => {
    const rig = new Rig();
    await use(rig);
    await rig.close();
  },
});

async function pictures(codec: Codec = 'h264', bframes = 0): Promise<Uint8Array[][]> {
  return accessUnitsInFile(await elementaryStream({ codec, bframes }), codec);
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

test.concurrent.for([
  { codec: 'h264', auth: 'none' },
  { codec: 'h264', auth: 'digest', audio: 'pcmu' },
  { codec: 'h265', auth: 'digest' },
] as const)("GStreamer's server, $codec, $auth: recorded whole, every NAL unit as sent", async (what, { rig }) => {
  const { codec, auth } = what;
  const file = await elementaryStream({ codec });
  const audio = 'audio' in what ? what.audio : undefined;
  // What the server of GStreamer is told by name and password cannot hold quotes.
  const password = 'S3cret Pw!/@:%&';
  const server = await rig.gst({
    mounts: [{ path: '/main', file, codec, fps: 15, audio }],
    auth,
    user: USER,
    password,
  });
  const { ingest, recorder } = rig.ingest(server.uri('/main'), {}, password);
  await until('4 s are recorded', 15, () => recorder.seconds('door.main') > 4.2);
  expect(ingest.status()).toMatchObject([{ state: 'recording', engine: 'native', width: 320, height: 180 }]);
  await ingest.stop();
  expect(recorder.runs.map((run) => run.end?.reason)).toEqual(['agent_stopped']);
  const seen = await inspect(saveRun(recorder.runs[0]!));
  expect(seen).toMatchObject({ errors: '', frames: recorder.units.length });
  // GStreamer may leave a zero behind a unit, which is no part of it.
  const trimmed = (nals: Uint8Array[]): string => nals.map((nal) => hex(nal).replace(/(00)+$/, '')).join(' ');
  const sent = new Set(accessUnitsInFile(file, codec).map(trimmed));
  for (const unit of recorder.unitsOf('door.main')) expect(sent.has(trimmed(splitNals(unit.data)))).toBe(true);
});

test.concurrent.for(['h264', 'h265'] as const)(
  '%s with B-frames, aggregation, header extensions and padding: times as ffmpeg makes them',
  async (codec, { rig }) => {
    const units = await pictures(codec, 2);
    const order = await showingOrder(codec);
    const camera = await rig.camera({ codec, units, order, aggregate: true, ornate: true, fps: 30 });
    const { ingest, recorder } = rig.ingest(camera.uri);
    await until('4 s are recorded', 15, () => recorder.seconds('door.main') > 4);
    await ingest.stop();
    const run = recorder.runs.at(-1)!;
    const seen = await inspect(saveRun(run));
    expect(seen.errors).toBe('');
    expect(recorder.runs.length).toBe(1);
    const recorded = recorder.unitsOf('door.main').slice(-seen.frames);
    const first = recorded[0]!;
    const shown = recorded.map((unit) => Math.round((unit.pts - first.pts) / 3_000));
    const at = units.findIndex((nals) => hex(joinNals(nals)) === hex(first.data));
    const length = units.length;
    const expected = recorded.map((_, i) => {
      const index = at + i;
      return order[index % length]! + Math.floor(index / length) * length - order[at]!;
    });
    expect(shown).toEqual(expected);
    for (const unit of recorded) expect(unit.pts).toBeGreaterThanOrEqual(unit.dts);
    for (const unit of recorded.slice(4)) expect(Math.abs(unit.duration - 3_000)).toBeLessThan(3);
  },
);

/** For each access unit its place in the order of showing, by ffprobe. */
async function showingOrder(codec: Codec): Promise<number[]> {
  const file = await elementaryStream({ codec, bframes: 2 });
  const text = execFileSync('ffprobe', ['-v', 'error', '-show_frames', '-show_entries', 'frame=pkt_pos', '-of', 'csv=p=0', file]).toString(); // prettier-ignore
  const shown = text.trim().split('\n').map((line) => parseInt(line, 10)).filter(Number.isFinite); // prettier-ignore
  const decoded = [...shown].sort((a, b) => a - b);
  return decoded.map((position) => shown.indexOf(position));
}

test.concurrent.for([
  ['a dropped packet', (packets: Uint8Array[]) => packets.slice(0, -1)],
  ['two packets in the wrong order', (packets: Uint8Array[]) => [packets[1]!, packets[0]!, ...packets.slice(2)]],
] as const)('%s ends the run; the next one starts at the next key frame', async ([, mangle], { rig }) => {
  const camera = await rig.camera({
    mtu: 300,
    mangle: (packets, index) => (index === 20 && packets.length > 2 ? mangle(packets) : packets),
  });
  const { ingest, recorder } = rig.ingest(camera.uri);
  await until('the second run', 15, () => (recorder.runs[1]?.fragments.length ?? 0) > 2);
  await ingest.stop();
  expect(recorder.runs.map((run) => run.end?.reason)).toEqual(['stream_lost_packets', 'agent_stopped']);
  const [first, second] = recorder.runs;
  // Pictures 0 to 19, then from the key frame 30 on.
  expect(first!.fragments.reduce((sum, one) => sum + one.frames, 0)).toBe(20);
  const sent = (await pictures()).map((nals) => hex(joinNals(nals)));
  expect(recorder.unitsOf('door.main').map((unit) => hex(unit.data))).toEqual(
    recorder.units.map((_, i) => sent[(i < 20 ? i : i + 10) % sent.length]),
  );
  const last = first!.fragments.at(-1)!;
  const gap = second!.start.wallMs - last.wallMs - last.duration / 90;
  expect(Math.abs(gap - (10 / 15) * 1_000)).toBeLessThan(120);
  for (const run of recorder.runs) expect((await inspect(saveRun(run))).errors).toBe('');
});

test.concurrent.for([
  ['MD5', {}],
  ['without qop, as in RFC 2069', { qop: false }],
  ['MD5-sess', { algorithm: 'MD5-sess' }],
  ['SHA-256', { algorithm: 'SHA-256' }],
  ['a nonce that is good for two requests', { nonceUses: 2 }],
  ['a nonce that is good for two requests, not called stale', { nonceUses: 2, stale: 'never' }],
] as const)('digest login: %s', async ([, how], { rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, ...how }, sessionTimeout: 2 });
  const session = rig.session(camera.uri, { username: USER, password: PASSWORD });
  await until(
    'pictures and two keep-alives',
    10,
    () => camera.methods().filter((one) => one === 'GET_PARAMETER').length > 2,
  );
  expect({ accepted: session.accepted, refusals: camera.refusals, losses: session.losses }).toEqual({
    accepted: 1,
    refusals: 0,
    losses: [],
  });
  session.stop();
  expect(await session.ended).toEqual({ cause: 'stopped', detail: '' });
  expect(camera.methods().at(-1)).toBe('TEARDOWN');
  for (const { headers } of camera.requests) expect(headers.get('authorization') ?? 'Digest').toMatch(/^Digest/);
});

test.concurrent('a wrong password is sent once', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD } });
  const session = rig.session(camera.uri, { username: USER, password: 'wrong' });
  expect(await session.ended).toMatchObject({ cause: 'refused' });
  expect(camera.refusals).toBe(1);
  const none = rig.session(camera.uri);
  expect(await none.ended).toMatchObject({ cause: 'refused' });
  expect(camera.refusals).toBe(1);
});

test.concurrent('a camera that calls every nonce stale is given up after a few', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, stale: 'always' } });
  const session = rig.session(camera.uri, { username: USER, password: PASSWORD });
  expect(await session.ended).toMatchObject({ cause: 'refused' });
  expect(camera.requests.length).toBeLessThan(8);
});

test.concurrent('the password is never sent in clear text, unless that is allowed', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, basicOnly: true } });
  const login = { username: USER, password: PASSWORD };
  const refused = await rig.session(camera.uri, login).ended;
  expect(refused.cause).toBe('refused');
  expect(refused.detail).toContain('clear text');
  expect(camera.requests.some((one) => one.headers.has('authorization'))).toBe(false);
  const allowed = rig.session(camera.uri, login, { allowBasic: true });
  await until('pictures', 5, () => allowed.pictures.length > 2);
});

const ok = (headers: string, body = ''): string =>
  `RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const status = (line: string): string => `RTSP/1.0 ${line}\r\nCSeq: {cseq}\r\n\r\n`;

test.concurrent.for([
  ['UDP only', 'SETUP', status('461 Unsupported Transport'), 'unsupported', 'TCP'],
  [
    'UDP only, without saying so',
    'SETUP',
    ok('Session: 1\r\nTransport: RTP/AVP;unicast;client_port=0-1\r\n'),
    'unsupported',
    'TCP',
  ],
  ['MJPEG', 'DESCRIBE', ok('', 'v=0\nm=video 0 RTP/AVP 26\n'), 'unsupported', 'JPEG'],
  ['no video', 'DESCRIBE', ok('', 'v=0\nm=audio 0 RTP/AVP 0\n'), 'unsupported', 'no video'],
  ['an unknown address', 'DESCRIBE', status('404 Not Found'), 'invalid', 'address'],
  ['no session description', 'DESCRIBE', ok('', '<html></html>'), 'invalid', 'readable'],
  ['too many viewers', 'PLAY', status('453 Not Enough Bandwidth'), 'offline', 'no room'],
  ['an internal error', 'PLAY', status('500 Internal Server Error'), 'offline', '500'],
  ['no answer', 'DESCRIBE', 'silent', 'offline', 'DESCRIBE'],
  ['HTTP', 'OPTIONS', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'invalid', 'no RTSP'],
] as const)('a camera with %s is named for what it is', async ([, method, answer, cause, detail], { rig }) => {
  const camera = await rig.camera({ answer: (request) => (request.method === method ? answer : undefined) });
  const session = rig.session(camera.uri);
  const end = await session.ended;
  expect(end).toMatchObject({ cause });
  expect(end.detail).toContain(detail);
  expect(session.accepted).toBe(0);
  await until('the connection is closed', 2, () => camera.open === 0);
});

test.concurrent('OPTIONS that is not supported does no harm', async ({ rig }) => {
  const camera = await rig.camera({
    answer: (request) => (request.method === 'OPTIONS' ? status('501 Not Implemented') : undefined),
    sessionTimeout: 2,
  });
  const session = rig.session(camera.uri);
  await until('keep-alives by OPTIONS', 6, () => camera.methods().filter((one) => one === 'OPTIONS').length > 2);
  expect(session.losses).toEqual([]);
});

test.concurrent('nobody at the port, a name that does not exist', async ({ rig }) => {
  const camera = await FakeCamera.start({ units: [] });
  await camera.close();
  expect(await rig.session('rtsp://127.0.0.1:1/x').ended).toMatchObject({ cause: 'offline' });
  expect(await rig.session('rtsp://no-such-camera.invalid/x').ended).toMatchObject({ cause: 'offline' });
});

test.concurrent('slow-loris: an answer that dribbles is cut off', async ({ rig }) => {
  const camera = await rig.camera({
    answer: (request, socket) => {
      if (request.method !== 'DESCRIBE') return undefined;
      socket.write('RTSP/1.0 200 OK\r\nX: ');
      const timer = setInterval(() => socket.write('y'), 20);
      socket.on('close', () => clearInterval(timer));
      return 'silent';
    },
  });
  const begin = performance.now();
  expect(await rig.session(camera.uri).ended).toMatchObject({ cause: 'offline' });
  expect(performance.now() - begin).toBeLessThan(3_000);
});

test.concurrent('half-open: stop ends a session whose camera says nothing any more', async ({ rig }) => {
  let silent = false;
  const camera = await rig.camera({ answer: () => (silent ? 'silent' : undefined) });
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 0);
  silent = true;
  const begin = performance.now();
  session.stop();
  expect(await session.ended).toEqual({ cause: 'stopped', detail: '' });
  expect(performance.now() - begin).toBeLessThan(1_500);
  const count = session.pictures.length;
  await until('the connection is closed', 2, () => camera.open === 0);
  expect(session.pictures.length).toBe(count);
});

test.concurrent('no request ever goes to a host that the camera names', async ({ rig }) => {
  let connections = 0;
  const elsewhere = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  elsewhere.listen(0, '127.0.0.2');
  await once(elsewhere, 'listening');
  rig.later(() => void elsewhere.close());
  const trap = `rtsp://127.0.0.2:${(elsewhere.address() as { port: number }).port}`;

  const redirecting = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE' ? `RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\nLocation: ${trap}/x\r\n\r\n` : undefined,
  });
  expect(await rig.session(redirecting.uri).ended).toMatchObject({ cause: 'invalid' });

  const sdp = (control: string): string =>
    `v=0\na=control:${trap}/all\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:${control}\n`;
  const lying = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE' ? ok(`Content-Base: ${trap}/base/\r\n`, sdp(`${trap}/live/track1?x=1`)) : undefined,
  });
  const session = rig.session(lying.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const { origin } = new URL(lying.uri.replace('rtsp', 'http'));
  for (const { uri } of lying.requests) expect(uri.replace('rtsp', 'http').startsWith(`${origin}/`)).toBe(true);
  expect(lying.requests.find((one) => one.method === 'SETUP')!.uri).toMatch(/\/live\/track1\?x=1$/);
  expect(connections).toBe(0);
});

test.concurrent('a redirect on the camera itself is followed, a circle is not', async ({ rig }) => {
  const target = await rig.camera();
  const camera = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE'
        ? `RTSP/1.0 301 Moved\r\nCSeq: {cseq}\r\nLocation: ${target.uri}\r\n\r\n`
        : undefined,
  });
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const circle: FakeCamera = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE'
        ? `RTSP/1.0 301 Moved\r\nCSeq: {cseq}\r\nLocation: ${circle.uri}\r\n\r\n`
        : undefined,
  });
  expect(await rig.session(circle.uri).ended).toMatchObject({ cause: 'invalid' });
  expect(circle.connections).toBeLessThan(6);
});

test.concurrent('a track address behind a query is joined as cameras expect it', async ({ rig }) => {
  const camera = await rig.camera();
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const uriOf = (method: string): string | undefined => camera.requests.find((one) => one.method === method)?.uri;
  expect(uriOf('SETUP')).toBe(`${camera.uri}/track1`);
  expect(uriOf('PLAY')).toBe(`${camera.uri}/`);
});

test.concurrent(
  'the clock of the camera comes with every picture once it is known; receiver reports go back',
  async ({ rig }) => {
    const camera = await rig.camera({ clockErrorMs: -7_000, fps: 30 });
    const session = rig.session(camera.uri);
    await until('a receiver report', 10, () => camera.rtcp.length > 0 && session.pictures.length > 60);
    const known = session.pictures.filter((one) => one.cameraWallMs !== undefined);
    expect(known.length).toBeGreaterThan(50);
    const clock = systemClock();
    const base = clock.now() - clock.monotonic();
    const errors = known
      .map((one) => Math.abs(one.cameraWallMs! + 7_000 - (one.arrivedMs + base)))
      .sort((a, b) => a - b);
    expect(errors[errors.length >> 1]).toBeLessThan(150);
    const report = camera.rtcp[0]!;
    expect([report[0], report[1], report.readUInt32BE(8)]).toEqual([0x81, 201, 0x1234_5678]);
    expect(report.readUInt32BE(12)).toBe(0);
    // Highest sequence number: counted on over the end of 16 bits.
    expect(report.readUInt32BE(16)).toBeGreaterThan(65_535);
    expect(report.readUInt32BE(24)).not.toBe(0);
  },
);

test.concurrent('the end of a stream, a new source and what is no RTP end the session', async ({ rig }) => {
  const frame = (channel: number, packet: number[]): Buffer =>
    Buffer.from([0x24, channel, 0, packet.length, ...packet]);
  const cases: [(camera: FakeCamera) => void, string][] = [
    [(camera) => camera.shout(frame(5, [0x81, 203, 0, 1, 0x12, 0x34, 0x56, 0x78])), 'offline'],
    [(camera) => camera.restartStream(), 'offline'],
    [(camera) => camera.shout(Buffer.concat(Array.from({ length: 60 }, () => frame(4, [1, 2, 3])))), 'invalid'],
    [(camera) => camera.shout(Buffer.from('garbage that is no RTSP\r\n')), 'invalid'],
    [(camera) => camera.shout(Buffer.from('TEARDOWN rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n')), 'offline'],
    [(camera) => camera.hangUp(), 'offline'],
  ];
  for (const [act, cause] of cases) {
    const camera = await rig.camera({ fps: 60 });
    const session = rig.session(camera.uri);
    await until('pictures', 5, () => session.pictures.length > 2);
    act(camera);
    expect(await session.ended).toMatchObject({ cause });
  }
});

test.concurrent('questions of the camera in between are answered', async ({ rig }) => {
  const camera = await rig.camera();
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const count = session.pictures.length;
  camera.shout(
    Buffer.from(
      'OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 77\r\n\r\nANNOUNCE rtsp://x/ RTSP/1.0\r\nCSeq: 78\r\nContent-Length: 3\r\n\r\nv=0',
    ),
  );
  await until('both answers', 5, () => camera.answers.length === 2);
  expect(camera.answers.map((one) => one.split('\r\n').slice(0, 2))).toEqual([
    ['RTSP/1.0 200 OK', 'CSeq: 77'],
    ['RTSP/1.0 501 Not Implemented', 'CSeq: 78'],
  ]);
  await until('pictures go on', 5, () => session.pictures.length > count + 2);
});

test('a camera that floods the box is cut off; the others do not notice', async ({ rig }) => {
  const script = fileURLToPath(new URL('flood.ts', import.meta.url));
  const flood = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, '--import', 'tsx', script]);
  rig.later(() => void flood.kill('SIGKILL'));
  const [uri] = (await once(createInterface(flood.stdout), 'line')) as [string];
  const good = await rig.camera();
  const other = rig.session(good.uri);
  await until('pictures', 5, () => other.pictures.length > 2);
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const { ingest, recorder } = rig.ingest(uri);
  await until('it is cut off', 15, () => recorder.gaps.some((gap) => gap.reason === 'stream_invalid'));
  delay.disable();
  expect(ingest.status()[0]!.detail).toContain('more data');
  console.log(`event loop while flooded: p99 ${delay.percentile(99) / 1e6} ms, max ${delay.max / 1e6} ms`);
  expect(delay.percentile(99) / 1e6).toBeLessThan(100);
  const count = other.pictures.length;
  await until('the other one goes on', 5, () => other.pictures.length > count + 3);
  expect(other.losses).toEqual([]);
});

test.concurrent('packets that come one by one are read together', async ({ rig }) => {
  const camera = await rig.camera({ perPacket: true, mtu: 100, fps: 30 });
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const [reads, bytes, begin] = [session.reads, session.bytes, performance.now()];
  await until('many packets', 10, () => session.bytes > bytes + 400 * 116);
  const perSecond = ((session.reads - reads) * 1_000) / (performance.now() - begin);
  expect(perSecond).toBeLessThan(20);
  expect(session.losses).toEqual([]);
});

test.concurrent('a picture larger than allowed is dropped and told', async ({ rig }) => {
  const camera = await rig.camera();
  const session = rig.session(camera.uri, {}, { maxAccessUnitBytes: 2_000 });
  await until('two key frames are refused', 10, () => session.losses.length >= 2);
  expect(session.losses[0]).toContain('a picture of more than');
  for (const picture of session.pictures) expect(picture.data.length).toBeLessThanOrEqual(2_000);
});

test.concurrent('a jump of the time of the camera is told, and times go on by arrival', async ({ rig }) => {
  const camera = await rig.camera({
    fps: 60,
    mangle: (packets, index) => {
      if (index < 60) return packets;
      for (const packet of packets)
        Buffer.from(packet.buffer, packet.byteOffset).writeUInt32BE(
          (Buffer.from(packet).readUInt32BE(4) + 0x2000_0000) >>> 0,
          4,
        );
      return packets;
    },
  });
  const session = rig.session(camera.uri);
  await until('pictures after the jump', 10, () => session.pictures.length > 120);
  expect(session.losses.length).toBe(1);
  const [first, last] = [session.pictures[0]!, session.pictures.at(-1)!];
  expect(Math.abs((last.dts - first.dts) / 90 - (last.arrivedMs - first.arrivedMs))).toBeLessThan(150);
});
