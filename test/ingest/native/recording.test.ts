import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import { joinNals, splitNals } from '../../../src/media/nal.js';
import type { Codec } from '../../../src/media/stream.js';
import { accessUnitsInFile, elementaryStream, inspect } from '../../support/clips.js';
import { saveRun, until } from '../../support/recorder.js';
import { pictures, USER, test } from './rig.js';

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
    expect(errors[errors.length >> 1]).toBeLessThan(400);
    const report = camera.rtcp[0]!;
    expect([report[0], report[1], report.readUInt32BE(8)]).toEqual([0x81, 201, 0x1234_5678]);
    expect(report.readUInt32BE(12)).toBe(0);
    // Highest sequence number: counted on over the end of 16 bits.
    expect(report.readUInt32BE(16)).toBeGreaterThan(65_535);
    expect(report.readUInt32BE(24)).not.toBe(0);
  },
);

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
  expect(Math.abs((last.dts - first.dts) / 90 - (last.arrivedMs - first.arrivedMs))).toBeLessThan(400);
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
