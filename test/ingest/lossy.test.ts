import { readFileSync } from 'node:fs';
import { expect, test, type TestContext } from 'vitest';
import { Redactor, silentLog } from '../../src/base/log.js';
import { createIngest } from '../../src/ingest/ingest.js';
import type { EngineName } from '../../src/ingest/ports.js';
import type { VirtualCamera, VirtualCameraOptions } from '../../src/sim/camera/index.js';
import { clock, PASSWORD, processes, start } from '../sim-camera/rig.js';
import { inspect } from '../support/clips.js';
import { Recorder, saveRun, until } from '../support/recorder.js';

/** A virtual camera that is being recorded. */
async function recorded(
  { onTestFinished }: TestContext,
  engine: EngineName | 'auto',
  options: Partial<VirtualCameraOptions> & { address: string },
) {
  const sim = await start([{ sub: false, ...options }]);
  onTestFinished(() => sim.close());
  const camera = sim.cameras[0] as VirtualCamera;
  const recorder = new Recorder();
  const ingest = createIngest({ clock, processes, log: silentLog, redactor: new Redactor(), sink: recorder });
  onTestFinished(() => ingest.stop());
  const { uri } = camera.streams[0]!;
  const streams = [{ role: 'main' as const, uri, engine }];
  ingest.setCameras([{ id: 'door', username: 'admin', password: PASSWORD, streams }]);
  await until('recording', 15, () => recorder.seconds('door.main') > 1 && ingest.status()[0]?.state === 'recording');
  return { camera, ingest, recorder };
}

test.concurrent.for([
  ['ffmpeg', 'udp', 'h264'],
  ['ffmpeg', 'tcp', 'h265'],
  ['native', 'tcp', 'h264'],
] as const)('by %s over %s, %s: lost packets are gaps, and what is recorded decodes', async (row, context) => {
  const [engine, transport, codec] = row;
  const address = { native: '127.0.5.11', ffmpeg: transport === 'udp' ? '127.0.5.12' : '127.0.5.13' }[engine];
  const main = { codec, width: 640, height: 360, fps: 15, gopSeconds: 0.6, kbps: 800 };
  const { camera, ingest, recorder } = await recorded(context, engine, { address, transport, main });
  expect(ingest.status()[0]).toMatchObject({ state: 'recording', engine });
  for (let round = 1; round <= 2; round++) {
    camera.setFaults({ dropShare: 0.3 });
    await until('the loss is known', 10, () => recorder.runs.length === round && recorder.runs.at(-1)!.end !== undefined);
    camera.setFaults({ dropShare: 0 });
    await until('recording again', 10, () => (recorder.runs[round]?.fragments.length ?? 0) > 1);
  }
  await ingest.stop();
  expect(recorder.runs.map((run) => run.end?.reason)).toEqual(['stream_lost_packets', 'stream_lost_packets', 'agent_stopped']);
  const seen = await Promise.all(recorder.runs.map((run) => inspect(saveRun(run))));
  expect(seen.map((one) => one.errors).join('')).toBe('');
}); // prettier-ignore

test.concurrent('over UDP only the camera is listened to, and reports of what arrives go to it', async (context) => {
  const { camera } = await recorded(context, 'auto', { address: '127.0.5.31', transport: 'udp' });
  const [a, b, c, d] = camera.address.split('.').map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase());
  const peers = readFileSync('/proc/net/udp', 'latin1').matchAll(new RegExp(`${d!}${c!}${b!}${a!}:([0-9A-F]{4}) 01 `, 'g'));
  // RTP and RTCP: connected sockets, for which the kernel takes nothing from anybody else.
  expect([...peers].length).toBe(2);
}); // prettier-ignore
