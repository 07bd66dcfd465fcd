import { isIP } from 'node:net';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Device, Discovered } from '../contract/camera.js';
import { mayBeCamera, parseAddress, type Endpoint } from './addresses.js';
import { referenceKey } from './discovery.js';
import type { CameraDriver } from './driver.js';
import { referenceAt } from './unicast-probe.js';

export interface LocateDeps {
  clock: Clock;
  log: Log;
  driver: CameraDriver;
  allowLoopback: boolean;
  resolve?: (host: string) => Promise<string>;
}

type Found = Omit<Discovered, 'adopted'>;

export interface Located {
  endpoint: Endpoint;
  /** '' if the device does not tell. */
  endpointReference: string;
}

/** Ports on which cameras have their ONVIF service when discovery did not tell, most usual first. */
const USUAL_PORTS = [80, 8000, 8080, 8899, 2020, 5000];

/** From what a person gave to where the device service is: what discovery heard, or the usual ports. */
export async function locate(deps: LocateDeps, found: readonly Found[], text: string): Promise<Located> {
  const byReference = found.find(
    (one) => one.endpointReference !== '' && referenceKey(one.endpointReference) === referenceKey(text.trim()),
  );
  if (byReference !== undefined) return heardEndpoint(deps, byReference);
  const { host: given, port, path, secure } = parseAddress(text);
  const host = await allowedHost(deps, given);
  const heard = found.find((one) => one.address === host);
  if (port === undefined && heard !== undefined) return heardEndpoint(deps, heard);
  const endpoint = port === undefined ? await findPort(deps, host, path, secure) : { host, port, path, secure };
  const endpointReference = heard?.endpointReference ?? (await referenceAt(deps.clock, host)) ?? '';
  return { endpoint, endpointReference };
}

/** The first service address of a device that answers. */
export async function heardEndpoint(deps: LocateDeps, found: Found): Promise<Located> {
  const { endpointReference } = found;
  await allowedHost(deps, found.address);
  for (const xaddr of found.xaddrs) {
    const endpoint = endpointAt(xaddr);
    if (await answers(deps, endpoint)) return { endpoint, endpointReference };
  }
  throw notFound(found.address);
}

async function findPort(deps: LocateDeps, host: string, path: string, secure: boolean): Promise<Endpoint> {
  const endpoints = (secure ? [443] : USUAL_PORTS).map((port) => ({ host, port, path, secure }));
  const found = await Promise.all(endpoints.map((endpoint) => answers(deps, endpoint)));
  const endpoint = endpoints.find((_, i) => found[i]);
  if (endpoint === undefined) throw notFound(host);
  return endpoint;
}

async function answers({ driver, log }: LocateDeps, endpoint: Endpoint): Promise<boolean> {
  try {
    await driver.greet(endpoint);
    return true;
  } catch (error) {
    const { host, port } = endpoint;
    log.debug({ host, port, reason: errorMessage(error) }, 'no device service at this address');
    return false;
  }
}

/** @throws BluelightError CAMERA_ADDRESS */
export async function allowedHost({ resolve, allowLoopback }: LocateDeps, host: string): Promise<string> {
  const ip = isIP(host) !== 0 ? host : await resolve?.(host);
  if (ip !== undefined && mayBeCamera(ip, allowLoopback)) return ip;
  throw new BluelightError('CAMERA_ADDRESS', `${host} cannot be the address of a camera`, {
    fix:
      ip === undefined
        ? 'give the IP address of the camera'
        : 'give the address of the camera in its own network; for virtual cameras set cameras.allow_loopback',
  });
}

/** Where an adopted device is, and the certificate that it has to show there. */
export function endpointOf(device: Device): Endpoint {
  const { certificate } = device;
  return { ...endpointAt(device.xaddr), ...(certificate === undefined ? {} : { certificate }) };
}

function endpointAt(xaddr: string): Endpoint {
  const { host, port, path, secure } = parseAddress(xaddr);
  return { host, port: port ?? (secure ? 443 : 80), path, secure };
}

function notFound(host: string): BluelightError {
  return new BluelightError('CAMERA_UNREACHABLE', `no ONVIF device answers at ${host}`, {
    fix: 'check that the camera has power and network and that ONVIF is switched on, or give its port as well',
    retryable: true,
  });
}
