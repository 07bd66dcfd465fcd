import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AnnexBSplitter, fromAnnexB, nalsToAnnexB, nalType } from '../../src/media/nal.js';
import { readFrameStamp, type FrameStamp } from '../../src/media/sei.js';
import { readClip } from '../../src/sim/camera/clip.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { cacheDir, clock, FAST, ff, PASSWORD, processes, rtspUrl, SMALL, start } from './rig.js';
import { prepareFootage } from '../../src/sim/camera/footage.js';
import { runToEnd } from '../../src/base/processes.js';

let cameras: VirtualCameras;
let plain: VirtualCamera;
let strict: VirtualCamera;

beforeAll(async () => {
  cameras = await start([
    { address: '127.0.0.21', id: 'plain' },
    { address: '127.0.0.22', id: 'strict', digestAlgorithms: ['SHA-256', 'MD5'], join: 'any', perPacketWrites: true },
  ]);
  [plain, strict] = cameras.cameras as [VirtualCamera, VirtualCamera];
});
afterAll(() => cameras.close());

/** Copies a stream with ffmpeg and reads the stamps out of what arrived. */
async function stampsOf(url: string, seconds: number): Promise<{ stamps: FrameStamp[]; errors: string }> {
  const args = ['-v', 'warning', ...FAST, '-t', String(seconds), '-i', url];
  const child = processes.start({ command: 'ffmpeg', args: [...args, '-c', 'copy', '-f', 'h264', 'pipe:1'] });
  child.stdin.end();
  const parts: Buffer[] = [];
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  await child.ended;
  const stamps = splitUnits(Buffer.concat(parts)).flatMap((nal) => {
    const stamp = readFrameStamp('h264', fromAnnexB(nalsToAnnexB([nal])));
    return stamp === undefined ? [] : [stamp];
  });
  return { stamps, errors };
}

function splitUnits(bytes: Uint8Array): Uint8Array[] {
  const splitter = new AnnexBSplitter();
  return [...splitter.push(bytes), ...splitter.flush()];
}

test.concurrent('ffprobe sees both streams as configured', async () => {
  for (const role of ['main', 'sub'] as const) {
    const show = ['-show_entries', 'stream=codec_name,width,height,has_b_frames', '-of', 'csv=p=0'];
    const { width, height } = SMALL[role];
    expect((await ff('ffprobe', [...show, rtspUrl(plain, role)])).trim()).toBe(
      `h264,${String(width)},${String(height)},0`,
    );
  }
});

test.concurrent('ffmpeg decodes across the loop point without a single complaint', async () => {
  const args = [...FAST, '-t', '8', '-i', rtspUrl(plain, 'main'), '-f', 'null', '-'];
  const child = processes.start({ command: 'ffmpeg', args: ['-v', 'warning', '-xerror', ...args] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const end = await child.ended;
  expect(errors).toBe('');
  expect(end.code).toBe(0);
});

test.concurrent('stamps count on over the loop point, with the capture time in true wall time', async () => {
  const before = clock.now();
  const [main, sub] = await Promise.all([stampsOf(rtspUrl(plain, 'main'), 7.5), stampsOf(rtspUrl(strict, 'sub'), 7.5)]);
  for (const [{ stamps }, name, fps] of [
    [main, 'plain.main', 15],
    [sub, 'strict.sub', 10],
  ] as const) {
    expect(stamps.length).toBeGreaterThan(6 * fps);
    stamps.forEach((stamp, i) => {
      expect(stamp.camera).toBe(name);
      expect(stamp.frame).toBe(stamps[0]!.frame + i);
      const elapsed = Number(stamp.captureUs - stamps[0]!.captureUs) / 1000;
      expect(Math.abs(elapsed - (i * 1000) / fps)).toBeLessThan(2);
    });
    const first = Number(stamps[0]!.captureUs) / 1000;
    expect(first).toBeGreaterThan(before - 200);
    expect(first).toBeLessThan(clock.now());
  }
});

test.concurrent('the capture time of a picture leads to its moment in the ground truth', async () => {
  const { stamps } = await stampsOf(rtspUrl(plain, 'main'), 2);
  const stamp = stamps[0]!;
  const second = plain.loopSecondAt(Number(stamp.captureUs) / 1000);
  const beside = Math.abs(second - ((stamp.frame / 15) % 6));
  // A moment before the loop point is the same as one just after it.
  expect(Math.min(beside, 6 - beside)).toBeLessThan(0.02);
});

test.concurrent('what is served is what was encoded, bit for bit, apart from the stamp', async () => {
  const footage = await prepareFootage({ source: SMALL.source, main: SMALL.main, sub: SMALL.sub }, cacheDir, processes);
  const clip = readClip(footage.main, 'h264', 15);
  const known = new Set(
    clip.units.flatMap((unit) => unit.slices.map((slice) => Buffer.from(slice).toString('base64'))),
  );
  const bytes = await runToEnd(processes, {
    command: 'ffmpeg',
    args: [
      '-v',
      'error',
      '-rtsp_transport',
      'tcp',
      '-t',
      '3',
      '-i',
      rtspUrl(plain, 'main'),
      '-c',
      'copy',
      '-f',
      'h264',
      'pipe:1',
    ],
  });
  const slices = splitUnits(bytes).filter((nal) => [1, 5].includes(nalType('h264', nal)));
  expect(slices.length).toBeGreaterThan(30);
  for (const slice of slices) expect(known.has(Buffer.from(slice).toString('base64'))).toBe(true);
});

test('a wrong password is refused and counted; right ones after it work', async () => {
  const before = plain.logins();
  await expect(ff('ffprobe', [rtspUrl(plain, 'main', 'wrong')])).rejects.toThrow(/401/);
  expect(plain.logins().refused).toBeGreaterThan(before.refused);
  await ff('ffprobe', [rtspUrl(plain, 'main')]);
  expect(plain.logins().accepted).toBeGreaterThan(before.accepted);
});

test('UDP is refused with 461', async () => {
  const args = ['-v', 'error', '-rtsp_transport', 'udp', '-i', rtspUrl(plain, 'main')];
  await expect(runToEnd(processes, { command: 'ffprobe', args })).rejects.toThrow(
    /461|Unsupported transport|Nonmatching/i,
  );
});

test('a client that does not read is dropped, and the others do not notice', async () => {
  const main = { ...SMALL.main, width: 1920, height: 1080 };
  const limited = await start([{ address: '127.0.0.23', id: 'slow', main, sub: false, maxQueuedBytes: 1_000_000 }]);
  const [camera] = limited.cameras as [VirtualCamera];
  // Nothing but key frames: some 20 Mbit/s, which soon fill the kernel's buffers.
  camera.setFaults({ freeze: 'picture' });
  try {
    const good = stampsOf(rtspUrl(camera, 'main'), 8);
    const socket = await playRaw(camera);
    socket.pause();
    await expect.poll(() => camera.clients(), { timeout: 5_000 }).toBe(2);
    await expect.poll(() => camera.clients(), { timeout: 15_000 }).toBe(1);
    const { stamps } = await good;
    expect(stamps.length).toBeGreaterThan(60);
    stamps.forEach((stamp, i) => expect(stamp.frame).toBe(stamps[0]!.frame + i));
    socket.destroy();
  } finally {
    await limited.close();
  }
});

test('dropped packets, silence and the end of both', async () => {
  plain.setFaults({ dropShare: 0.2 });
  const { stamps } = await stampsOf(rtspUrl(plain, 'main'), 3);
  plain.setFaults({ dropShare: 0 });
  const span = stamps.at(-1)!.frame - stamps[0]!.frame + 1;
  expect(stamps.length).toBeLessThan(span);
  const socket = await playRaw(plain);
  await once(socket, 'data');
  plain.setFaults({ freeze: 'silent' });
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  await clock.sleep(300);
  bytes = 0;
  await clock.sleep(500);
  expect(bytes).toBe(0);
  plain.setFaults({ freeze: 'off' });
  await once(socket, 'data');
  socket.destroy();
});

/** Goes through the handshake by hand up to PLAY. */
async function playRaw(camera: VirtualCamera): Promise<ReturnType<typeof connect>> {
  const { authorization, chooseTerms, parseChallenges } = await import('../../src/media/rtsp-auth.js');
  const socket = connect(camera.rtspPort, camera.address);
  await once(socket, 'connect');
  const uri = camera.streams[0]!.uri;
  let cseq = 0;
  const ask = async (method: string, target: string, extra: string): Promise<string> => {
    cseq++;
    socket.write(`${method} ${target} RTSP/1.0\r\nCSeq: ${String(cseq)}\r\n${extra}\r\n`);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString('latin1');
  };
  const challenge = /WWW-Authenticate: (.*)\r\n/.exec(await ask('DESCRIBE', uri, ''))![1]!;
  const { terms } = chooseTerms(parseChallenges([challenge]), false);
  const login = (method: string, target: string): string =>
    `Authorization: ${authorization(terms!, { username: 'admin', password: PASSWORD, method, uri: target, count: 1, cnonce: 'abc' })}\r\n`;
  const track = `${uri}/trackID=0`;
  await ask('SETUP', track, `${login('SETUP', track)}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n`);
  await ask('PLAY', uri, login('PLAY', uri));
  return socket;
}
