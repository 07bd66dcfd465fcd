import { BluelightError } from '../base/errors.js';
import type { Camera, CameraStream, Credentials } from '../contract/camera.js';
import { parseSdp, videoTrack } from '../media/sdp.js';
import { videoFormat } from '../media/sps.js';
import { pinToHost } from './addresses.js';
import { cameraIdOf, deviceIdOf, nextNumber } from './identity.js';
import type { LoginDeps } from './ports.js';
import type { StreamTraits } from './stream-traits.js';
import { describeStream } from './rtsp-check.js';

export interface RtspAddress {
  host: string;
  main: string;
  sub: string | undefined;
}

export function isRtsp(address: string): boolean {
  return /^rtsp:\/\//i.test(address.trim());
}

/** Takes stream addresses given by a person apart. Credentials in them are refused: they have fields of their own. */
export function parseRtsp(main: string, sub: string | undefined): RtspAddress {
  const host = hostOf(main);
  if (sub !== undefined && hostOf(sub) !== host) throw wrong('main stream and substream must be of the same camera');
  return { host, main: main.trim(), sub: sub?.trim() };
}

function hostOf(text: string): string {
  const match = /^rtsp:\/\/(?:([^@/?#]*)@)?(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?(?:[/?].*)?$/i.exec(text.trim());
  if (match === null || /\s/.test(text.trim())) throw wrong(`"${text.slice(0, 100)}" is no address of a stream`);
  if (match[1] !== undefined) throw wrong('user name and password do not belong into the address');
  return match[2]!.replace(/^\[|\]$/g, '');
}

function wrong(what: string): BluelightError {
  return new BluelightError('CAMERA_ADDRESS', what, { fix: 'give it as rtsp://192.168.1.64:554/path, user name and password by themselves' }); // prettier-ignore
}

/** What the camera says of a stream. At most one login. */
export async function inspect(deps: LoginDeps, uri: string, host: string, login: Credentials): Promise<CameraStream> {
  const pinned = pinToHost(uri, host, ['rtsp']);
  if (pinned === undefined) throw wrong('the address of the stream cannot be read');
  const { codec, parameterSets } = videoTrack(parseSdp(await describeStream(deps, pinned, login)));
  const format = videoFormat(codec, parameterSets);
  return { uri: pinned, codec, width: format?.width ?? 0, height: format?.height ?? 0, profile: '' };
}

/** A camera of which only its streams are known. */
export function planRtsp(
  { host, stream }: { host: string; stream: StreamTraits },
  streams: { main: CameraStream; sub: CameraStream | null },
  name: string | undefined,
  adopted: readonly Camera[],
  everUsed: readonly string[],
  now: number,
): Camera {
  const before = adopted.find((camera) => camera.device.xaddr === '' && camera.main.uri === streams.main.uri);
  const number = nextNumber(everUsed);
  const unknown = { make: '', model: 'RTSP', firmware: '', serial: '', mac: '' };
  return {
    id: before?.id ?? cameraIdOf(number),
    name: name ?? before?.name ?? `Camera ${host}`,
    device: {
      id: before?.device.id ?? deviceIdOf(number),
      endpointReference: '',
      address: host,
      xaddr: '',
      ...unknown,
      stream,
    },
    channel: '',
    ...streams,
    addedAt: before?.addedAt ?? now,
  };
}
