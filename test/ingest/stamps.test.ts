import { describe, expect, test as base } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { Redactor, silentLog } from '../../src/base/log.js';
import { systemProcesses } from '../../src/base/processes.js';
import { createIngest, type Ingest } from '../../src/ingest/ingest.js';
import { readFrameStamp } from '../../src/media/sei.js';
import { startVirtualCameras, type VirtualCamera, type VirtualCameraOptions } from '../../src/sim/camera/index.js';
import { elementaryStream, inspect } from '../support/clips.js';
import { Recorder, saveRun, until } from '../support/recorder.js';
import { kept } from '../support/kept.js';

/** Cameras that stamp every picture with its number and time of capture. */
class Site {
  readonly #open: (() => Promise<void>)[] = [];
  readonly clock = systemClock();
  readonly processes = systemProcesses(this.clock);

  async camera(address: string, more: Partial<VirtualCameraOptions> = {}): Promise<VirtualCamera> {
    const options: VirtualCameraOptions = {
      id: 'gate',
      address,
      onvifPort: 0,
      rtspPort: 0,
      username: 'admin',
      password: 'Blue-Light-1',
      source: { kind: 'file', path: await elementaryStream({ seconds: 6 }), maxSeconds: 6 },
      main: { width: 640, height: 360, fps: 15, gopSeconds: 1, kbps: 500 },
      sub: { width: 320, height: 180, fps: 10, gopSeconds: 1, kbps: 200 },
      ...more,
    };
    const cacheDir = kept('bluelight-test-clips');
    const { clock, processes } = this;
    const cameras = await startVirtualCameras({
      clock,
      processes,
      log: silentLog,
      cacheDir,
      cameras: [options],
      discovery: false,
    });
    this.#open.push(() => cameras.close());
    return cameras.cameras[0]!;
  }

  ingest(): { ingest: Ingest; recorder: Recorder } {
    const recorder = new Recorder();
    const { clock, processes } = this;
    const ingest = createIngest({ clock, processes, log: silentLog, redactor: new Redactor(), sink: recorder });
    this.#open.push(() => ingest.stop());
    return { ingest, recorder };
  }

  async close(): Promise<void> {
    for (const close of this.#open.reverse()) await close();
  }
}

const test = base.extend<{ site: Site }>({
  site: async ({ task: _task }, use) => {
    const site = new Site();
    await use(site);
    await site.close();
  },
});

type Engine = 'native' | 'ffmpeg';

function watch(camera: VirtualCamera, engine: Engine) {
  const streams = camera.streams.map(({ role, uri }) => ({ role, uri, engine }));
  return { id: camera.id, username: 'admin', password: 'Blue-Light-1', streams };
}

interface Seen {
  frame: number;
  /** Recorded wall time minus true time of capture, ms. */
  errorMs: number;
}

function stampsOf(recorder: Recorder, stream: string): Seen[] {
  return recorder.unitsOf(stream).map((unit) => {
    const stamp = readFrameStamp('h264', unit.data);
    if (stamp === undefined) throw new Error('a picture without its stamp');
    expect(stamp.camera).toBe(stream);
    return { frame: stamp.frame, errorMs: unit.wallMs - Number(stamp.captureUs) / 1000 };
  });
}

function expectNoHole(stamps: readonly Seen[]): void {
  expect(stamps.map((one) => one.frame)).toEqual(stamps.map((_, index) => stamps[0]!.frame + index));
}

describe.for([
  ['native', '127.0.0.31'],
  ['ffmpeg', '127.0.0.32'],
] as const)('by the %s engine', ([engine, address]) => {
  test.concurrent(
    'every picture of both streams arrives once, in order, with its time of capture',
    async ({ site }) => {
      const camera = await site.camera(address);
      const { ingest, recorder } = site.ingest();
      ingest.setCameras([watch(camera, engine)]);
      await until('4 s of both', 15, () => ['gate.main', 'gate.sub'].every((id) => recorder.seconds(id) > 4));
      await ingest.stop();
      for (const stream of ['gate.main', 'gate.sub']) {
        const stamps = stampsOf(recorder, stream);
        expectNoHole(stamps);
        for (const one of stamps) expect(Math.abs(one.errorMs)).toBeLessThan(250);
        expect((await inspect(saveRun(recorder.runsOf(stream)[0]!))).errors).toBe('');
      }
    },
  );

  test.concurrent('a camera whose clock is an hour wrong is recorded with the time of the box', async ({ site }) => {
    const camera = await site.camera(address.replace('.3', '.4'), { clockOffsetMs: 3_600_000, sub: false });
    const { ingest, recorder } = site.ingest();
    ingest.setCameras([watch(camera, engine)]);
    await until('3 s', 15, () => recorder.seconds('gate.main') > 3);
    for (const unit of recorder.unitsOf('gate.main')) {
      expect(Math.abs(unit.wallMs - Date.now())).toBeLessThan(20_000);
    }
  });

  test.concurrent('a rebooted camera comes back by itself and mixes nothing up', async ({ site }) => {
    const camera = await site.camera(address.replace('.3', '.5'), { sub: false });
    const { ingest, recorder } = site.ingest();
    ingest.setCameras([watch(camera, engine)]);
    await until('recording', 10, () => recorder.seconds('gate.main') > 1);
    await camera.reboot(1_500);
    const back = performance.now();
    await until('a second run', 30, () => (recorder.runs[1]?.fragments.length ?? 0) > 2);
    expect(performance.now() - back).toBeLessThan(15_000);
    expect(recorder.runs[0]?.end?.reason).toBe('camera_offline');
    for (const run of recorder.runs) expect((await inspect(saveRun(run))).errors).toBe('');
  });
});

test.concurrent('lost packets cost the pictures that need them, and nothing damaged is recorded', async ({ site }) => {
  const camera = await site.camera('127.0.0.61', { sub: false });
  const { ingest, recorder } = site.ingest();
  ingest.setCameras([watch(camera, 'native')]);
  await until('recording', 10, () => recorder.seconds('gate.main') > 1);
  camera.setFaults({ dropShare: 0.02 });
  await until('runs ended by loss', 20, () => recorder.runs.filter((run) => run.end !== undefined).length >= 2);
  camera.setFaults({ dropShare: 0 });
  const runs = recorder.runs.length;
  await until(
    'recording goes on',
    10,
    () => recorder.runs.length >= runs && recorder.runs.at(-1)!.fragments.length > 4,
  );
  await ingest.stop();
  for (const run of recorder.runs.slice(0, -1)) expect(run.end?.reason).toBe('stream_lost_packets');
  for (const run of recorder.runs.filter((one) => one.fragments.length > 0)) {
    expect((await inspect(saveRun(run))).errors).toBe('');
  }
});

test.concurrent('what does not change in the configuration goes on without a gap', async ({ site }) => {
  const camera = await site.camera('127.0.0.62');
  const { ingest, recorder } = site.ingest();
  const both = watch(camera, 'native');
  ingest.setCameras([both]);
  await until('recording', 10, () => ['gate.main', 'gate.sub'].every((id) => recorder.seconds(id) > 0.5));
  ingest.setCameras([{ ...both, streams: both.streams.filter((one) => one.role === 'main') }]);
  await until('the substream ended', 5, () => recorder.runsOf('gate.sub')[0]?.end !== undefined);
  expect(recorder.runsOf('gate.sub')[0]!.end?.reason).toBe('paused');
  expect(ingest.status().map((one) => one.stream)).toEqual(['gate.main']);
  ingest.setCameras([both]);
  await until('the substream is back', 10, () => recorder.runsOf('gate.sub').length === 2);
  await until('the camera has both clients', 5, () => camera.clients() === 2);
  await ingest.stop();
  expect(recorder.runsOf('gate.main').length).toBe(1);
  expectNoHole(stampsOf(recorder, 'gate.main'));
});
