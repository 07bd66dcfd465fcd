import { BlockList, isIP, isIPv6 } from 'node:net';
import { isLoopback, plainAddress } from './guard.js';

/** Of `os.networkInterfaces()`. */
interface Interface {
  address: string;
  /** `192.168.1.7/24`; null: not known. */
  cidr: string | null;
}

/** Whether this address is on the box itself or in a network to which one of its interfaces is connected. */
export function isNeighbour(address: string, interfaces: readonly (Interface | undefined)[]): boolean {
  if (isLoopback(address)) return true;
  const plain = plainAddress(address).replace(/%.*$/, '');
  if (isIP(plain) === 0) return false;
  const family = isIPv6(plain) ? 'ipv6' : 'ipv4';
  const near = new BlockList();
  near.addSubnet('fe80::', 10, 'ipv6');
  for (const one of interfaces) {
    const bits = Number(one?.cidr?.split('/')[1]);
    if (one !== undefined && Number.isInteger(bits)) near.addSubnet(one.address, bits, isIPv6(one.address) ? 'ipv6' : 'ipv4'); // prettier-ignore
  }
  return near.check(plain, family);
}
