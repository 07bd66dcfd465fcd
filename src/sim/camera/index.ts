import { selfSigned } from '../../base/self-signed.js';
import { cutAlike, readClip, type Timed } from './clip.js';
import { Device } from './camera.js';
import { startControl } from './control.js';
import { DiscoveryResponder } from './discovery.js';
import { prepareFootage, type Footage } from './footage.js';
import {
  DEFAULT_MAIN,
  DEFAULT_SUB,
  type PictureFault,
  type VirtualCameraOptions,
  type VirtualCameras,
  type VirtualCamerasOptions,
} from './options.js';
import { Pacer } from './pacer.js';

export type * from './options.js';
export { DEFAULT_MAIN, DEFAULT_SUB } from './options.js';
export { hostileAnswers, type HostileAnswer } from './hostile-answers.js';

/**
 * Starts simulated ONVIF cameras in this process: footage is encoded once (or taken from `cacheDir`) and then served
 * without encoding again. Resolves when all of them answer.
 */
export async function startVirtualCameras(options: VirtualCamerasOptions): Promise<VirtualCameras> {
  const { clock, log } = options;
  const pacer = new Pacer(clock);
  const devices: Device[] = [];
  const discovery = new DiscoveryResponder(devices, log);
  const prepare = footageOnce(options);
  for (const [index, camera] of options.cameras.entries()) {
    const { footage, main, sub } = await prepare(camera);
    // Cameras are not in step: their frames are spread, so that they do not all come in one burst.
    const originMono = clock.monotonic() + ((index * 13) % 66);
    const device: Device = new Device(camera, {
      ...{ clock, log: log.child({ camera: camera.id }), pacer, footage, main, sub, originMono },
      certificate: (address) => selfSigned(`CN=${camera.id}`, [address], clock.now()),
      async encode(role, encoding, fault) {
        const other = await prepare({ ...camera, [role]: encoding, fault });
        // The main stream is always there; a substream that is changed was.
        return (role === 'main' ? other.main : other.sub) ?? other.main;
      },
      moved: () => discovery.moved(device),
    });
    devices.push(device);
  }
  for (const device of devices) await device.start();
  if (options.discovery !== false) await discovery.start();
  const control =
    options.controlPort === undefined
      ? undefined
      : await startControl({ port: options.controlPort, cameras: devices, log });
  const pacing = pacer.run();
  return {
    cameras: devices,
    controlPort: control?.port,
    async close() {
      await control?.close();
      pacer.close();
      await discovery.close();
      await Promise.all(devices.map((device) => device.stop()));
      await pacing;
    },
  };
}

interface Prepared {
  footage: Footage;
  main: Timed;
  sub: Timed | undefined;
}

/** Cameras with the same source and encoding share one copy in memory. */
function footageOnce(
  options: VirtualCamerasOptions,
): (camera: Pick<VirtualCameraOptions, 'source' | 'main' | 'sub'> & { fault?: PictureFault }) => Promise<Prepared> {
  const known = new Map<string, Prepared>();
  return async ({ source, main, sub, fault }) => {
    const request = {
      fault,
      source,
      main: { ...DEFAULT_MAIN, ...main },
      sub: sub === false ? undefined : { ...DEFAULT_SUB, ...sub },
    };
    const key = JSON.stringify(request);
    const ready = known.get(key);
    if (ready !== undefined) return ready;
    const footage = await prepareFootage(request, options.cacheDir, options.processes);
    const loop = (bytes: Uint8Array, encoding: Timed['encoding']): Timed => ({
      clip: readClip(bytes, encoding.codec, Math.round(encoding.fps * encoding.gopSeconds)),
      encoding,
    });
    const prepared: Prepared = {
      footage,
      main: loop(footage.main, request.main),
      sub: request.sub === undefined || footage.sub === undefined ? undefined : loop(footage.sub, request.sub),
    };
    if (prepared.sub !== undefined) cutAlike(prepared.main, prepared.sub);
    known.set(key, prepared);
    return prepared;
  };
}
