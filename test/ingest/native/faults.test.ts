import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect } from 'vitest';
import { until } from '../../support/recorder.js';
import { FakeCamera } from './camera.js';
import { ok, status, test } from './rig.js';

test.concurrent.for([
  ['UDP only', 'SETUP', status('461 Unsupported Transport'), 'unsupported', 'TCP'],
  [
    'UDP only, without saying so',
    'SETUP',
    ok('Session: 1\r\nTransport: RTP/AVP;unicast;client_port=0-1\r\n'),
    'unsupported',
    'TCP',
  ],
  ['MJPEG', 'DESCRIBE', ok('', 'v=0\nm=video 0 RTP/AVP 26\n'), 'unfit', 'JPEG; set this stream to H.264'],
  ['MPEG transport stream', 'DESCRIBE', ok('', 'v=0\nm=video 0 RTP/AVP 33\n'), 'unsupported', '33'],
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

test.concurrent('a picture larger than allowed is dropped and told', async ({ rig }) => {
  const camera = await rig.camera();
  const session = rig.session(camera.uri, {}, { maxAccessUnitBytes: 2_000 });
  await until('two key frames are refused', 10, () => session.losses.length >= 2);
  expect(session.losses[0]).toContain('a picture of more than');
  for (const picture of session.pictures) expect(picture.data.length).toBeLessThanOrEqual(2_000);
});
