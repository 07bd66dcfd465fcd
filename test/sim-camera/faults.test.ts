import { once } from 'node:events';
import { request } from 'node:https';
import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runToEnd } from '../../src/base/processes.js';
import { NO_FAULTS } from '../../src/sim/camera/options.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { FAST, ff, processes, rtspUrl, SMALL, start } from './rig.js';

let sim: VirtualCameras;
let plain: VirtualCamera;
let modern: VirtualCamera;

beforeAll(async () => {
  sim = await start([
    { address: '127.0.0.31', id: 'plain' },
    {
      address: '127.0.0.32',
      id: 'modern',
      main: { ...SMALL.main, codec: 'h265' },
      transport: 'any',
      audio: true,
      secure: true,
    },
  ]);
  [plain, modern] = sim.cameras as [VirtualCamera, VirtualCamera];
});
afterAll(() => sim.close());
afterEach(() => sim.cameras.forEach((camera) => camera.setFaults(NO_FAULTS)));

/** What ffprobe sees of a stream, `codec,width` by track. */
async function seen(camera: VirtualCamera, transport: 'tcp' | 'udp' = 'tcp'): Promise<string[]> {
  const show = ['-show_entries', 'stream=codec_name,width', '-of', 'csv=p=0'];
  const quick = ['-analyzeduration', '600000'];
  const args = ['-v', 'error', '-rtsp_transport', transport, ...quick, ...show, rtspUrl(camera, 'main')];
  return (await runToEnd(processes, { command: 'ffprobe', args })).toString().trim().split(/\s+/);
}

/** Errors of a decoder that looks at a stream for a second. */
async function decoded(camera: VirtualCamera): Promise<string> {
  const quick = [...FAST, '-timeout', '2000000'];
  const args = ['-v', 'warning', ...quick, '-i', rtspUrl(camera, 'main'), '-map', '0:v'];
  const child = processes.start({ command: 'ffmpeg', args: [...args, '-t', '1', '-f', 'null', '-'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  // What sends noise keeps a player waiting for the next word of the protocol.
  const patience = setTimeout(() => {
    errors += 'no end';
    void child.stop(0);
  }, 4_000);
  await child.ended;
  clearTimeout(patience);
  return errors;
}

/** Bytes that a player gets in `ms`, over a connection of its own. */
async function bytesIn(camera: VirtualCamera, ms: number): Promise<number> {
  const args = ['-v', 'error', ...FAST, '-t', String(ms / 1000), '-i', rtspUrl(camera, 'main')];
  const child = processes.start({ command: 'ffmpeg', args: [...args, '-c', 'copy', '-f', 'h264', '-'] });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
  await child.ended;
  return bytes;
}

test('H.265 with sound is served over TCP and UDP alike', async () => {
  expect(await seen(modern)).toEqual(['hevc,640', 'pcm_mulaw']);
  expect(await seen(modern, 'udp')).toEqual(['hevc,640', 'pcm_mulaw']);
  expect(await decoded(modern)).toBe('');
});

test('ONVIF over TLS shows the same certificate of the camera until it is made anew', async () => {
  const fingerprint = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const ask = request(modern.xaddr, { method: 'POST', rejectUnauthorized: false, agent: false }, (response) => {
        resolve((response.socket as TLSSocket).getPeerCertificate().fingerprint256);
        response.resume();
      });
      ask.on('error', reject).end();
    });
  const first = await fingerprint();
  expect(first).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  await modern.reboot(0);
  expect(await fingerprint()).toBe(first);
});

test('garbage, on the wire or in packets, is no video; afterwards there is video again', async () => {
  plain.setFaults({ garbage: 'payload' });
  expect(await decoded(plain)).not.toBe('');
  plain.setFaults({ garbage: 'wire' });
  expect(await decoded(plain)).not.toBe('');
  plain.setFaults({ garbage: 'off' });
  expect(await decoded(plain)).toBe('');
});

test('pictures stuffed to a hundred times their size are still pictures', async () => {
  const usual = await bytesIn(plain, 1_000);
  plain.setFaults({ bitrateFactor: 100 });
  expect(await bytesIn(plain, 1_000)).toBeGreaterThan(20 * usual);
});

test('a half-open camera takes connections and says nothing; when it wakes up it resets them', async () => {
  plain.setFaults({ halfOpen: true });
  const socket = connect(plain.rtspPort, plain.address);
  await once(socket, 'connect');
  const errors: Error[] = [];
  socket.on('error', (error) => errors.push(error));
  let heard = 0;
  socket.on('data', (chunk: Buffer) => (heard += chunk.length));
  socket.write('OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect({ heard, errors, destroyed: socket.destroyed }).toEqual({ heard: 0, errors: [], destroyed: false });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  plain.setFaults({ halfOpen: false });
  await closed;
  expect(errors).toMatchObject([{ code: 'ECONNRESET' }]);
});

test('a slow camera answers byte by byte', async () => {
  plain.setFaults({ slow: true });
  const socket = connect(plain.rtspPort, plain.address);
  socket.write('OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  const [second] = (await once(socket, 'data')) as [Buffer];
  expect([first.length, second.length]).toEqual([1, 1]);
  socket.destroy();
});

test('a camera that gets another address is gone from the old one, with the same identity', async () => {
  const { endpointReference, rtspPort } = plain;
  await plain.move('127.0.0.33');
  try {
    expect(plain.endpointReference).toBe(endpointReference);
    expect(plain.xaddr).toMatch(/^http:\/\/127\.0\.0\.33:/);
    expect(await seen(plain)).toEqual(['h264,640']);
    const old = connect(rtspPort, '127.0.0.31');
    const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  } finally {
    await plain.move('127.0.0.31');
  }
});

test('new settings show in the running stream and in the description', async () => {
  await plain.changeVideo('main', { width: 480, height: 270 });
  expect(await seen(plain)).toEqual(['h264,480']);
  expect(await decoded(plain)).toBe('');
  await plain.changeVideo('main', SMALL.main);
});

test('without key frames a decoder has nothing to start from', async () => {
  plain.setFaults({ noKeyFrames: true });
  await expect(
    ff('ffprobe', ['-show_frames', '-read_intervals', '%+1', rtspUrl(plain, 'main')]),
  ).resolves.not.toContain('key_frame=1');
});
