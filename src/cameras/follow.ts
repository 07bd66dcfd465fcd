import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Camera, Device, Discovered } from '../contract/camera.js';
import { endpointUrl, pinToHost, type Endpoint } from './addresses.js';
import { isSame } from './admission.js';
import { referenceKey } from './discovery.js';
import type { ConnectedDevice } from './driver.js';

type Found = Omit<Discovered, 'adopted'>;

export interface FollowDeps {
  clock: Clock;
  log: Log;
  /** A short search. */
  look: () => Promise<Found[]>;
  /** Content of `/proc/net/arp`. */
  arp: () => string;
  /** The service address of a found device that answers. */
  endpoint: (found: Found) => Promise<Endpoint>;
  connect: (device: Device, endpoint: Endpoint) => Promise<ConnectedDevice>;
}

/** Where a device that is lost may be now: by its EndpointReference, else by its hardware address. */
export function candidates(device: Device, found: readonly Found[], arp: string): Found[] {
  return named(device, found, arp).flatMap((one) => {
    // What was spoken to over TLS is not spoken to without, only because somebody says that it is there.
    const xaddrs = one.xaddrs.filter((xaddr) => device.certificate === undefined || xaddr.startsWith('https:'));
    return xaddrs.length === 0 ? [] : [{ ...one, xaddrs }];
  });
}

function named(device: Device, found: readonly Found[], arp: string): Found[] {
  const reference = device.endpointReference;
  if (reference !== '') {
    return found.filter(
      (one) => one.endpointReference !== '' && referenceKey(one.endpointReference) === referenceKey(reference),
    );
  }
  const addresses = addressesOf(device.mac, arp);
  return found.filter((one) => one.endpointReference === '' && addresses.includes(one.address));
}

/** IP addresses of a hardware address (proc(5), `/proc/net/arp`). */
function addressesOf(mac: string, arp: string): string[] {
  if (mac === '') return [];
  return arp
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3]?.toLowerCase() === mac)
    .map((columns) => columns[0]!);
}

/** The cameras of a device at its new place; undefined if it is nowhere to be found. */
export async function follow(
  deps: FollowDeps,
  device: Device,
  cameras: readonly Camera[],
): Promise<Camera[] | undefined> {
  const found = await deps.look();
  for (const one of candidates(device, found, deps.arp())) {
    if (!one.reachable) continue;
    try {
      const endpoint = { ...(await deps.endpoint(one)), ...pinOf(device) };
      if (endpointUrl(endpoint) === device.xaddr) continue;
      const connected = await deps.connect(device, endpoint);
      if (isSame(device, connected.info)) return moved(cameras, endpoint, connected);
    } catch (error) {
      // A password that is refused there is refused here: whoever counts logins has counted it.
      if (errorCode(error) === 'CAMERA_LOGIN_HELD') throw error;
      const reason = error instanceof BluelightError ? error.message : errorMessage(error);
      deps.log.info({ device: device.id, address: one.address, reason }, 'a lost camera may be here, but');
    }
  }
  return undefined;
}

function pinOf({ certificate }: Device): Pick<Endpoint, 'certificate'> {
  return certificate === undefined ? {} : { certificate };
}

/** What is stored of a device's cameras, at its new address; ids, names and streams stay. */
function moved(cameras: readonly Camera[], endpoint: Endpoint, { channels, info }: ConnectedDevice): Camera[] {
  return cameras.map((camera) => {
    const offers = channels.find((one) => one.source === camera.channel)?.offers ?? [];
    const at = (stream: Camera['main']): Camera['main'] => ({
      ...stream,
      uri: offers.find((one) => one.profile === stream.profile)?.uri ?? pinToHost(stream.uri, endpoint.host, ['rtsp']) ?? stream.uri, // prettier-ignore
    });
    return {
      ...camera,
      main: at(camera.main),
      sub: camera.sub === null ? null : at(camera.sub),
      device: { ...camera.device, ...info, address: endpoint.host, xaddr: endpointUrl(endpoint) },
    };
  });
}
