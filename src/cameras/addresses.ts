import { isIP, isIPv4 } from 'node:net';
import { BluelightError } from '../base/errors.js';

/** One IPv4 address of an interface on which cameras are looked for. */
export interface CameraInterface {
  name: string;
  address: string;
  netmask: string;
}

/** As `os.networkInterfaces()` gives them. */
export type HostInterfaces = Record<
  string,
  readonly { address: string; netmask: string; family: string; internal: boolean }[] | undefined
>;

export interface InterfaceChoice {
  host: HostInterfaces;
  /** Content of `/proc/net/route`. */
  routes: string;
  /** Names or addresses from the configuration; empty = choose. */
  wanted: readonly string[];
  allowLoopback: boolean;
}

/**
 * The camera side of the box: what the configuration names, or every interface that is up except those that lead to
 * the internet. A box with a single interface has its cameras there.
 */
export function cameraInterfaces(choice: InterfaceChoice): CameraInterface[] {
  const all = Object.entries(choice.host).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter((one) => one.family === 'IPv4' && (choice.allowLoopback || !one.internal))
      .map((one) => ({ name, address: one.address, netmask: one.netmask, internal: one.internal })),
  );
  const plain = (list: typeof all): CameraInterface[] =>
    list.map(({ name, address, netmask }) => ({ name, address, netmask }));
  if (choice.wanted.length > 0) {
    return plain(all.filter((one) => choice.wanted.includes(one.name) || choice.wanted.includes(one.address)));
  }
  const outward = defaultRouteInterfaces(choice.routes);
  const outside = all.filter((one) => !one.internal);
  const inside = outside.filter((one) => !outward.has(one.name));
  return plain(inside.length > 0 ? inside : outside);
}

/** Interfaces of the default routes (proc(5), `/proc/net/route`: destination and mask 0, in hexadecimal). */
export function defaultRouteInterfaces(routes: string): Set<string> {
  const found = new Set<string>();
  for (const line of routes.split('\n').slice(1)) {
    const [name, destination, , , , , , mask] = line.trim().split(/\s+/);
    if (name !== undefined && destination === '00000000' && mask === '00000000') found.add(name);
  }
  return found;
}

/** Dotted IPv4 as a number; NaN for anything else. */
export function ipv4Number(address: string): number {
  if (!isIPv4(address)) return NaN;
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function inSubnet(address: string, subnet: { address: string; netmask: string }): boolean {
  const mask = ipv4Number(subnet.netmask);
  const bits = (value: number): number => (value & mask) >>> 0;
  return isIPv4(address) && bits(ipv4Number(address)) === bits(ipv4Number(subnet.address));
}

/**
 * Whether a camera may live at this IP address. Never this machine itself (unless configured for virtual cameras),
 * never link-local (where clouds keep their metadata service), multicast or nowhere.
 */
export function mayBeCamera(ip: string, allowLoopback: boolean): boolean {
  if (isIPv4(ip)) {
    const [a = 0, b = 0] = ip.split('.').map(Number);
    if (a === 127) return allowLoopback;
    return a !== 0 && a < 224 && !(a === 169 && b === 254);
  }
  if (isIP(ip) !== 6) return false;
  const low = ip.toLowerCase();
  if (low === '::1') return allowLoopback;
  // Mapped IPv4 would be a way round the rules above.
  return low !== '::' && !/^fe[89ab]|^ff|^::/.test(low);
}

/** Where the ONVIF device service of a camera is. */
export interface Endpoint {
  host: string;
  port: number;
  path: string;
  secure: boolean;
  /** SHA-256 of the certificate that it must show over TLS; undefined: any. */
  certificate?: string;
}

const DEVICE_PATH = '/onvif/device_service';

/**
 * What a person or a camera gave as address: IP, host name, `host:port` or the URL of the device service.
 * The port is undefined if none was given. Credentials in a URL are refused, not used.
 */
export function parseAddress(text: string): Omit<Endpoint, 'port'> & { port: number | undefined } {
  const trimmed = text.trim();
  const bareV6 = isIP(trimmed) === 6 ? `[${trimmed}]` : trimmed;
  const url = tryUrl(/^https?:\/\//i.test(trimmed) ? trimmed : `http://${bareV6}`);
  if (url === undefined || url.hostname === '' || /[\s<>"']/.test(trimmed)) {
    throw new BluelightError('CAMERA_ADDRESS', `"${text.slice(0, 100)}" is no address of a camera`, {
      fix: 'give an IP address such as 192.168.1.64, with a port (192.168.1.64:8000) if ONVIF is not on port 80',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new BluelightError('CAMERA_ADDRESS', 'user name and password do not belong into the address', {
      fix: 'give the address alone; user name and password have fields of their own',
    });
  }
  const secure = url.protocol === 'https:';
  // The URL parser drops a port that is the default of its scheme; who wrote it meant it.
  const written = /:(\d{1,5})(?:[/?#]|$)/.exec(bareV6.replace(/^https?:\/\//i, '').replace(/^\[[^\]]*\]/, ''))?.[1];
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: written === undefined ? undefined : Number(written),
    path: url.pathname === '/' ? DEVICE_PATH : url.pathname,
    secure,
  };
}

export function endpointUrl(endpoint: Endpoint): string {
  const scheme = endpoint.secure ? 'https' : 'http';
  return `${scheme}://${hostInUrl(endpoint.host)}:${String(endpoint.port)}${endpoint.path}`;
}

export function hostInUrl(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

/**
 * Service addresses of a discovery answer in the order to try, all pointing at the host that answered: cameras name
 * stale, foreign and unroutable hosts, and no request may follow them there.
 */
export function rankXaddrs(
  xaddrs: readonly string[],
  sender: string,
  interfaces: readonly CameraInterface[],
): string[] {
  const rank = (host: string): number => {
    if (host === sender) return 0;
    if (interfaces.some((one) => inSubnet(host, one))) return 1;
    return isIPv4(host) ? 2 : 3;
  };
  const usable = xaddrs.flatMap((text) => {
    const url = tryUrl(text);
    if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return [];
    const secure = url.protocol === 'https:';
    const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
    const host = url.hostname.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
    return [
      { rank: rank(host) + (secure ? 0.5 : 0), url: endpointUrl({ host: sender, port, path: url.pathname, secure }) },
    ];
  });
  usable.sort((a, b) => a.rank - b.rank);
  const own = [...new Set(usable.map((one) => one.url))].slice(0, 8);
  return own.length > 0 ? own : [endpointUrl({ host: sender, port: 80, path: DEVICE_PATH, secure: false })];
}

/**
 * An address that a camera named (stream, snapshot), moved to the host that answers for it, without credentials.
 * Port, path and query stay. Undefined if it is no such address at all.
 */
export function pinToHost(uri: string, host: string, schemes: readonly string[]): string | undefined {
  const match = /^([a-z]+):\/\/(?:[^@/?#]*@)?(?:\[[^\]]*\]|[^:/?#]*)(?::(\d{1,5}))?([/?#].*)?$/i.exec(uri.trim());
  if (match === null || uri.length > 1_000) return undefined;
  const [, scheme = '', port, rest = ''] = match;
  if (!schemes.includes(scheme.toLowerCase()) || (port !== undefined && !(Number(port) > 0 && Number(port) < 65_536))) {
    return undefined;
  }

  const path = rest.replace(/[\u0000-\u0020\u007f]/g, (c) => encodeURIComponent(c));
  return `${scheme.toLowerCase()}://${hostInUrl(host)}${port === undefined ? '' : `:${port}`}${path}`;
}

function tryUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
