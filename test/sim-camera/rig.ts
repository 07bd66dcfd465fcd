import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import { runToEnd, systemProcesses } from '../../src/base/processes.js';
import {
  startVirtualCameras,
  type VirtualCamera,
  type VirtualCameraOptions,
  type VirtualCameras,
} from '../../src/sim/camera/index.js';
import { kept } from '../support/kept.js';

export const clock = systemClock();
export const processes = systemProcesses(clock);
export const PASSWORD = 'sim-Passw0rd';

/** Small pictures and a short loop: encoded in well under a second, and the loop point comes soon. */
export const SMALL = {
  source: { kind: 'scene', scene: { seed: 7, loopSeconds: 6, activity: 0.6 } },
  main: { codec: 'h264', width: 640, height: 360, fps: 15, gopSeconds: 1, kbps: 1_500 },
  sub: { codec: 'h264', width: 320, height: 180, fps: 10, gopSeconds: 1, kbps: 300 },
} as const satisfies Partial<VirtualCameraOptions>;

export const cacheDir = kept('bluelight-test-footage');

export function start(cameras: (Partial<VirtualCameraOptions> & { address: string })[]): Promise<VirtualCameras> {
  return startVirtualCameras({
    clock,
    processes,
    log: silentLog,
    cacheDir,
    cameras: cameras.map((camera, i) => ({
      id: `t-${String(i + 1)}`,
      onvifPort: 0,
      rtspPort: 0,
      username: 'admin',
      password: PASSWORD,
      ...SMALL,
      ...camera,
    })),
  });
}

export function rtspUrl(camera: VirtualCamera, role: 'main' | 'sub', password = PASSWORD): string {
  const stream = camera.streams.find((one) => one.role === role);
  return (stream?.uri ?? '').replace('rtsp://', `rtsp://admin:${password}@`);
}

/** By default ffmpeg looks at a stream for 5 s before it says anything. */
export const FAST = ['-rtsp_transport', 'tcp', '-analyzeduration', '600000'];

/** Runs ffmpeg or ffprobe as an independent RTSP client. */
export function ff(command: 'ffmpeg' | 'ffprobe', args: string[]): Promise<string> {
  return runToEnd(processes, { command, args: ['-v', 'warning', ...FAST, ...args] }).then((out) =>
    out.toString('latin1'),
  );
}
