import { createHash } from 'node:crypto';
import type { Device } from '../contract/camera.js';
import { parseChallenges } from '../media/rtsp-auth.js';
import type { RtspResponse } from '../media/rtsp.js';
import type { LoginDeps } from './ports.js';
import { askWithoutLogin } from './rtsp-check.js';

/** What tells one camera from another where only its stream is known, without a login. Empty where nothing does. */
export type StreamTraits = NonNullable<Device['stream']>;

export interface TraitDeps extends LoginDeps {
  /** Content of `/proc/net/arp`. */
  arp: () => string;
}

/** Errors: CAMERA_UNREACHABLE, CAMERA_INVALID. */
export async function readTraits(deps: TraitDeps, uri: string, address: string): Promise<StreamTraits> {
  const login = traitsOf(await askWithoutLogin(deps, uri));
  // Whom one has just talked to stands in the table, if he is in the same network.
  return { mac: macOf(address, deps.arp()), login };
}

/**
 * What a camera says before any login. The realm carries the serial or a name on most makes; versions of programs are
 * left out, because new firmware is the same camera.
 */
export function traitsOf(response: Pick<RtspResponse, 'status' | 'headers' | 'body'>): string {
  const realms = parseChallenges(response.headers.get('www-authenticate') ?? [])
    .map((one) => one.parameters.get('realm') ?? '')
    .filter((realm) => realm !== '');
  const lines = response.status === 200 ? Buffer.from(response.body).toString('utf8').split(/\r?\n/) : [];
  const named = lines.filter((line) => /^[si]=./.test(line) && line.trim() !== 's=-');
  const all = [...new Set([...realms, ...named])].sort();
  return all.length === 0 ? '' : createHash('sha256').update(all.join('\n')).digest('base64');
}

/** The hardware address of an IP address (proc(5), `/proc/net/arp`); '' if it is not in the network of the box. */
export function macOf(address: string, arp: string): string {
  for (const line of arp.split('\n').slice(1)) {
    const [ip, , flags, mac = ''] = line.trim().split(/\s+/);
    if (ip === address && flags !== '0x0' && mac !== '00:00:00:00:00:00') return mac.toLowerCase();
  }
  return '';
}

/**
 * Whether it can be the same camera. The hardware address decides where both are known: new firmware and other
 * settings change what it says.
 */
export function isSameStream(known: StreamTraits, now: StreamTraits): boolean {
  if (known.mac !== '' && now.mac !== '') return known.mac === now.mac;
  return known.login === '' || now.login === '' || known.login === now.login;
}
