import type { Camera, CameraStream, Device } from '../contract/camera.js';
import { BluelightError } from '../base/errors.js';
import { endpointUrl, type Endpoint } from './addresses.js';
import type { ConnectedDevice } from './driver.js';
import { cameraIdOf, deviceIdOf, devicesOf, nextNumber, recognise } from './identity.js';
import { pickStreams, type StreamOffer } from './pick-streams.js';

export interface AdoptionInput {
  endpoint: Endpoint;
  /** '' if the device was not found by discovery. */
  endpointReference: string;
  connected: ConnectedDevice;
  /** Given by a person. */
  name: string | undefined;
  /** A camera whose place, name and id the device's first camera takes. */
  replaces?: Camera;
  /** Cameras adopted now. */
  adopted: readonly Camera[];
  /** Ids of all cameras that ever were. */
  everUsed: readonly string[];
  now: number;
}

/** The cameras of a device as they are to be stored: new ones, or known ones with their id and name kept. */
export function planAdoption(input: AdoptionInput): { device: Device; cameras: Camera[] } {
  const { info, channels } = input.connected;
  const { endpointReference, endpoint, adopted } = input;
  const known = recognise({ ...info, endpointReference }, devicesOf(adopted));
  let number = nextNumber(input.everUsed);
  const taken = new Set(adopted.map((camera) => camera.device.id));
  const device: Device = {
    ...(known === undefined ? {} : { tuned: known.tuned }),
    id: known?.id ?? freeDeviceId(input.replaces?.device.id ?? deviceIdOf(number), taken),
    endpointReference: endpointReference === '' ? (known?.endpointReference ?? '') : endpointReference,
    address: endpoint.host,
    xaddr: endpointUrl(endpoint),
    ...info,
    ...(input.connected.certificate === undefined ? {} : { certificate: input.connected.certificate }),
  };
  const usable = channels.flatMap(({ source, offers }) => {
    const picked = pickStreams(offers);
    return picked === undefined ? [] : [{ source, ...picked }];
  });
  if (usable.length === 0) {
    throw new BluelightError('CAMERA_NO_STREAMS', 'the device offers no video stream over RTSP', {
      fix: 'switch on at least one H.264 or H.265 stream on the device, and see that the user may watch live video',
    });
  }
  const cameras = usable.map(({ source, main, sub }, i): Camera => {
    const own = adopted.find((camera) => camera.device.id === device.id && camera.channel === source);
    const before = own ?? (i === 0 ? input.replaces : undefined);
    return {
      id: before?.id ?? cameraIdOf(number++),
      name: cameraName(input, before, i, usable.length),
      device,
      channel: source,
      main: streamOf(main),
      sub: sub === null ? null : streamOf(sub),
      addedAt: before?.addedAt ?? input.now,
    };
  });
  return { device, cameras };
}

/** A new device in the place of another gets the old one's id with a number behind it. */
function freeDeviceId(wanted: string, taken: ReadonlySet<string>): string {
  let id = wanted;
  for (let i = 2; taken.has(id); i++) id = `${wanted}-${String(i)}`;
  return id;
}

const MAX_NAME = 80;

function cameraName(input: AdoptionInput, before: Camera | undefined, index: number, count: number): string {
  if (before !== undefined && input.name === undefined) return before.name;
  const { make, model } = input.connected.info;
  const base = input.name ?? (`${make} ${model}`.trim() || 'Camera');
  const suffix = count > 1 ? ` ${String(index + 1)}` : '';
  return base.slice(0, MAX_NAME - suffix.length) + suffix;
}

function streamOf({ uri, codec, width, height, profile }: StreamOffer): CameraStream {
  return { uri, codec, width, height, profile };
}
