import { expect, test } from 'vitest';
import { candidates } from '../../src/cameras/follow.js';
import type { Device } from '../../src/contract/camera.js';

const device: Device = {
  ...{ id: 'dev-1', endpointReference: 'urn:uuid:AA', address: '10.0.0.5', xaddr: 'http://10.0.0.5/onvif' },
  ...{ make: 'm', model: 'm', firmware: '1', serial: '1', mac: '02:00:00:00:00:05' },
};
const ARP = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.9         0x1         0x2         02:00:00:00:00:05     *        eth1
10.0.0.10        0x1         0x2         02:00:00:00:00:06     *        eth1
`;

function found(address: string, endpointReference: string, scheme = 'http'): Parameters<typeof candidates>[1][number] {
  return {
    ...{ address, endpointReference, xaddrs: [`${scheme}://${address}/onvif`], name: '', hardware: '' },
    ...{ interface: 'eth1', reachable: true, heardBy: ['onvif'] },
  };
}

function places(of: Device, ...list: ReturnType<typeof found>[]): string[] {
  return candidates(of, list, ARP).map((one) => one.address);
}

test('a lost device is looked for by its EndpointReference, however it is written', () => {
  expect(places(device, found('10.0.0.8', 'uuid:aa'), found('10.0.0.9', 'urn:uuid:bb'))).toEqual(['10.0.0.8']);
});

test('with a reference of its own nothing else counts: hardware addresses are forged by the thousand', () => {
  expect(places(device, found('10.0.0.9', ''))).toEqual([]);
});

test('without one the neighbours tell who has its hardware address', () => {
  const plain = { ...device, endpointReference: '' };
  expect(places(plain, found('10.0.0.9', ''), found('10.0.0.10', ''), found('10.0.0.9', 'urn:uuid:cc'))).toEqual([
    '10.0.0.9',
  ]);
  expect(places({ ...plain, mac: '' }, found('10.0.0.9', ''))).toEqual([]);
});

test('a device that was spoken to over TLS is not followed to where there is none', () => {
  const secure = { ...device, certificate: 'AB:CD' };
  expect(places(secure, found('10.0.0.8', 'urn:uuid:aa'))).toEqual([]);
  expect(places(secure, found('10.0.0.8', 'urn:uuid:aa', 'https'))).toEqual(['10.0.0.8']);
});
