import { Cam } from 'onvif';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { clock, ff, PASSWORD, processes, rtspUrl, start } from './rig.js';
import { runToEnd } from '../../src/base/processes.js';

let cameras: VirtualCameras;
let both: VirtualCamera;
let digestOnly: VirtualCamera;
let subFirst: VirtualCamera;
let nvr: VirtualCamera;

beforeAll(async () => {
  cameras = await start([
    { address: '127.0.0.31', id: 'both', firmware: '1.10', serial: '20230412000123456789' },
    { address: '127.0.0.32', id: 'digest', soapAuth: 'digest' },
    { address: '127.0.0.33', id: 'subfirst', profileOrder: 'sub-first', lockOut: { after: 3, forMs: 60_000 } },
    { address: '127.0.0.34', id: 'nvr', channels: 4 },
  ]);
  [both, digestOnly, subFirst, nvr] = cameras.cameras as [VirtualCamera, VirtualCamera, VirtualCamera, VirtualCamera];
});
afterAll(() => cameras.close());

function connectOnvif(
  camera: VirtualCamera,
  options: { password?: string; useWSSecurity?: boolean } = {},
): Promise<Cam> {
  return new Promise((resolve, reject) => {
    const target = { hostname: camera.address, port: camera.onvifPort, username: 'admin', timeout: 5_000 };
    const cam = new Cam({ password: PASSWORD, ...target, ...options }, (error) => {
      if (error instanceof Error) reject(error);
      else resolve(cam);
    });
  });
}

interface NodeOnvifDevice {
  init(): Promise<{ SerialNumber: string; FirmwareVersion: string }>;
  getProfileList(): { stream: { rtsp: string } }[];
}

async function nodeOnvifDevice(camera: VirtualCamera): Promise<NodeOnvifDevice> {
  const { default: nodeOnvif } = (await import('node-onvif')) as unknown as {
    default: { OnvifDevice: new (o: object) => NodeOnvifDevice };
  };
  return new nodeOnvif.OnvifDevice({ xaddr: camera.xaddr, user: 'admin', pass: PASSWORD });
}

test('the package onvif connects with WS-UsernameToken and with digest, and finds both streams', async () => {
  for (const useWSSecurity of [true, false]) {
    const cam = await connectOnvif(both, { useWSSecurity });
    const uris = await Promise.all(
      (cam.profiles as { $: { token: string } }[]).map(
        (profile) =>
          new Promise<string>((resolve, reject) => {
            cam.getStreamUri({ protocol: 'RTSP', profileToken: profile.$.token }, (error, data) =>
              error === null ? resolve(data!.uri) : reject(error),
            );
          }),
      ),
    );
    expect(uris).toEqual(both.streams.map((stream) => stream.uri));
  }
});

test('a digest-only camera takes digest', async () => {
  const before = digestOnly.logins();
  await connectOnvif(digestOnly);
  expect(digestOnly.logins().refused).toBe(before.refused);
});

test('the package node-onvif connects and reads the same identity', async () => {
  const device = await nodeOnvifDevice(both);
  expect(await device.init()).toMatchObject({ SerialNumber: '20230412000123456789', FirmwareVersion: '1.10' });
  expect(device.getProfileList().map((profile) => profile.stream.rtsp)).toEqual(both.streams.map((s) => s.uri));
});

test('profiles come in the order that was asked for', async () => {
  const cam = await connectOnvif(subFirst);
  const widths = (cam.profiles as { videoEncoderConfiguration: { resolution: { width: number } } }[]).map(
    (profile) => profile.videoEncoderConfiguration.resolution.width,
  );
  expect(widths).toEqual([320, 640]);
});

test('an NVR has one video source per channel, each with streams of its own', async () => {
  const cam = await connectOnvif(nvr);
  expect((cam.videoSources as unknown[]).length).toBe(4);
  expect(nvr.streams.map((stream) => stream.name)).toContain('nvr-3.sub');
  const url = nvr.streams[5]!.uri.replace('rtsp://', `rtsp://admin:${PASSWORD}@`);
  const width = await ff('ffprobe', ['-show_entries', 'stream=width', '-of', 'csv=p=0', url]);
  expect(width.trim()).toBe('320');
});

test('a camera whose clock is wrong takes logins by its own clock only', async () => {
  both.setFaults({ clockOffsetMs: -3 * 3_600_000 });
  try {
    // The package reads the camera's time first and counts from there.
    await connectOnvif(both);
    const before = both.logins().refused;
    const body = soap('<GetDeviceInformation xmlns="http://www.onvif.org/ver10/device/wsdl"/>', clock.now());
    const response = await fetch(both.xaddr, { method: 'POST', body });
    expect(await response.text()).toMatch(/NotAuthorized/);
    expect(both.logins().refused).toBe(before + 1);
  } finally {
    both.setFaults({ clockOffsetMs: 0 });
  }
});

test('wrong passwords lock the camera, even for the right one', async () => {
  await expect(connectOnvif(subFirst, { password: 'wrong' })).rejects.toThrow(/authori/i);
  await expect(connectOnvif(subFirst, { password: 'wrong' })).rejects.toThrow(/authori/i);
  expect(subFirst.logins().lockedOut).toBe(true);
  await expect(connectOnvif(subFirst)).rejects.toThrow(/authori/i);
});

test('a snapshot is a JPEG of the main size, given for digest only', async () => {
  const url = `http://${both.address}:${String(both.onvifPort)}/snapshot/1`;
  expect((await fetch(url)).status).toBe(401);
  const args = ['-s', '--digest', '-u', `admin:${PASSWORD}`, url];
  const jpeg = await runToEnd(processes, { command: 'curl', args });
  const probe = ['-v', 'error', '-f', 'jpeg_pipe', '-show_entries', 'stream=codec_name,width', '-of', 'csv=p=0', '-'];
  const seen = await runToEnd(processes, { command: 'ffprobe', args: probe }, { input: jpeg });
  expect(seen.toString().trim()).toBe('mjpeg,640');
});

test('after a reboot the camera is back at the same address with the same identity', async () => {
  const { xaddr, endpointReference } = nvr;
  const reboot = nvr.reboot(300);
  await expect(fetch(xaddr, { method: 'POST', body: 'x' })).rejects.toThrow();
  await reboot;
  expect({ xaddr: nvr.xaddr, endpointReference: nvr.endpointReference }).toEqual({ xaddr, endpointReference });
  await ff('ffprobe', [rtspUrl(nvr, 'main')]);
});

/** A request whose token says that it was created at `createdMs`. */
function soap(body: string, createdMs: number): string {
  const created = new Date(createdMs).toISOString();
  return (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header><Security><UsernameToken>' +
    '<Username>admin</Username><Password Type="x#PasswordDigest">AAAA</Password><Nonce>AAAA</Nonce>' +
    `<Created>${created}</Created></UsernameToken></Security></s:Header><s:Body>${body}</s:Body></s:Envelope>`
  );
}
