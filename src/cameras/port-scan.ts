import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Discovered } from '../contract/camera.js';
import { ipv4Number, mayBeCamera, type CameraInterface } from './addresses.js';
import { portOpen } from './port-open.js';

export interface PortScanDeps {
  clock: Clock;
  log: Log;
  allowLoopback: boolean;
}

type Found = Omit<Discovered, 'adopted'>;

/** Where cameras have ONVIF and RTSP. */
const ONVIF_PORTS = [80, 8000, 8080, 8899, 2020, 5000];
const RTSP_PORTS = [554, 8554];
const CONNECT_MS = 700;
const AT_ONCE = 128;
/** A camera network is seldom larger; a /16 would take an hour. */
const MAX_HOSTS = 1_024;

/**
 * Hosts of the camera subnets on which an RTSP port is open, for cameras that answer no discovery. Only whether a
 * connection comes about is looked at; nothing is sent and nobody is logged in to.
 */
export async function scanSubnets(
  deps: PortScanDeps,
  interfaces: readonly CameraInterface[],
  found: readonly Found[],
): Promise<Found[]> {
  const known = new Set(found.map((one) => one.address));
  const targets = interfaces.flatMap((one) =>
    hostsOf(one)
      .filter((host) => !known.has(host) && mayBeCamera(host, deps.allowLoopback))
      .map((host) => ({ host, name: one.name })),
  );
  const results: Found[] = [];
  const waiting = [...targets];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const device = await look(deps, next.host, next.name);
      if (device !== undefined) results.push(device);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results.sort((a, b) => ipv4Number(a.address) - ipv4Number(b.address));
}

/** Addresses of the interface's subnet without its own, the network's and the broadcast's. */
export function hostsOf({ address, netmask }: CameraInterface): string[] {
  const mask = ipv4Number(netmask);
  const own = ipv4Number(address);
  const first = ((own & mask) >>> 0) + 1;
  const last = ((own | ~mask) >>> 0) - 1;
  if (!Number.isFinite(mask) || last - first >= MAX_HOSTS) return [];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i)
    .filter((host) => host !== own)
    .map((host) => [24, 16, 8, 0].map((shift) => (host >>> shift) & 255).join('.'));
}

async function look(deps: PortScanDeps, host: string, name: string): Promise<Found | undefined> {
  const open = async (ports: readonly number[]): Promise<number[]> => {
    const answers = await Promise.all(ports.map((port) => portOpen(deps.clock, host, port, CONNECT_MS)));
    return ports.filter((_, i) => answers[i]);
  };
  const rtsp = await open(RTSP_PORTS);
  // What gives no video is no camera, whatever its web server is.
  if (rtsp.length === 0) return undefined;
  const onvif = await open(ONVIF_PORTS);
  return {
    endpointReference: '',
    address: host,
    xaddrs: onvif.map((port) => `http://${host}:${String(port)}/onvif/device_service`),
    name: '',
    hardware: `RTSP on port ${rtsp.join(', ')}`,
    interface: name,
    reachable: true,
    heardBy: ['scan'],
  };
}
