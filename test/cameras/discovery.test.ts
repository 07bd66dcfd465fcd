import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readProbeMatches } from '../../src/cameras/probe-match.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { clock, PASSWORD, start } from '../sim-camera/rig.js';
import { box } from './rig.js';

let sim: VirtualCameras;

beforeAll(async () => {
  sim = await start(
    [51, 52, 53, 54].map((host) => ({ address: `127.0.0.${String(host)}`, id: `found-${String(host)}` })),
  );
});
afterAll(() => sim.close());

function match(options: { reference?: string; xaddrs?: string; types?: string; scopes?: string }): string {
  const { reference = 'urn:uuid:hostile', types = 'dn:NetworkVideoTransmitter' } = options;
  const part = (name: string, text: string | undefined): string =>
    text === undefined ? '' : `<d:${name}>${text}</d:${name}>`;
  return (
    '<d:ProbeMatch>' +
    (reference === '-' ? '' : `<a:EndpointReference><a:Address>${reference}</a:Address></a:EndpointReference>`) +
    part('Types', types) +
    part('Scopes', options.scopes ?? 'onvif://www.onvif.org/name/Hostile') +
    part('XAddrs', options.xaddrs) +
    '</d:ProbeMatch>'
  );
}

function envelope(matches: string): string {
  return (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="x" xmlns:d="y">' +
    `<s:Header/><s:Body><d:ProbeMatches>${matches}</d:ProbeMatches></s:Body></s:Envelope>`
  );
}

const OK = 'http://127.0.0.61/onvif/device_service';

/** Name, datagram, and the devices that are in it all the same. */
const SHAPES: [string, string, string[]][] = [
  ['empty datagram', '', []],
  ['no XML', 'hello', []],
  ['HTTP', 'HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n', []],
  ['binary', '\u0000\u0001\u0002\u00ff<', []],
  ['no SOAP', '<html><body>printer</body></html>', []],
  ['empty ProbeMatches', envelope(''), []],
  ['a fault', '<s:Envelope xmlns:s="x"><s:Body><s:Fault><s:Code/></s:Fault></s:Body></s:Envelope>', []],
  ['cut off', envelope(match({ xaddrs: OK })).slice(0, 200), []],
  ['missing XAddrs', envelope(match({ reference: 'urn:uuid:noxaddr' })), ['urn:uuid:noxaddr']],
  ['missing EndpointReference', envelope(match({ reference: '-', xaddrs: OK })), ['']],
  [
    'two in one message',
    envelope(match({ reference: 'urn:uuid:a', xaddrs: OK }) + match({ reference: 'urn:uuid:b', xaddrs: OK })),
    ['urn:uuid:a', 'urn:uuid:b'],
  ],
  ['double space', envelope(match({ reference: 'urn:uuid:c', xaddrs: `${OK}  ${OK}` })), ['urn:uuid:c']],
  ['trailing space', envelope(match({ reference: 'urn:uuid:d', xaddrs: `${OK} ` })), ['urn:uuid:d']],
  ['newlines', envelope(match({ reference: 'urn:uuid:e', xaddrs: `\n  ${OK}\n  ${OK}\n` })), ['urn:uuid:e']],
  [
    'zone id',
    envelope(match({ reference: 'urn:uuid:f', xaddrs: `http://[fe80::1%25eth0]/onvif/device_service ${OK}` })),
    ['urn:uuid:f'],
  ],
  [
    'address 0.0.0.0',
    envelope(match({ reference: 'urn:uuid:g', xaddrs: 'http://0.0.0.0/onvif/device_service' })),
    ['urn:uuid:g'],
  ],
  ['a printer', envelope(match({ types: 'wprt:PrintDeviceType', scopes: '', xaddrs: OK })), []],
  ['a monitor', envelope(match({ types: 'dn:NetworkVideoDisplay', xaddrs: OK })), []],
  [
    '__proto__',
    envelope('<__proto__><x/></__proto__>' + match({ reference: 'urn:uuid:h', xaddrs: OK })),
    ['urn:uuid:h'],
  ],
  ['deep nesting', '<a>'.repeat(15_000), []],
  [
    'an entity bomb',
    '<!DOCTYPE x [<!ENTITY a "&a;&a;">]>' + envelope(match({ reference: 'urn:uuid:i', xaddrs: OK })),
    ['urn:uuid:i'],
  ],
];

test.each(SHAPES)('answer with %s is read for what is in it', (_name, datagram, expected) => {
  const before = process.cpuUsage();
  expect(readProbeMatches(datagram).map((one) => one.endpointReference)).toEqual(expected);
  expect(process.cpuUsage(before).user).toBeLessThan(100_000);
});

/** Answers every probe with every hostile shape, from an address of its own. */
async function hostileResponder(address: string): Promise<{ close(): void }> {
  const group = await bound('239.255.255.250');
  const own = await bound(address);
  group.addMembership('239.255.255.250', '127.0.0.1');
  group.on('message', (message, from: RemoteInfo) => {
    if (!message.includes('Probe')) return;
    for (const [, datagram] of SHAPES) own.send(datagram, from.port, from.address);
  });
  return {
    close() {
      group.close();
      own.close();
    },
  };
}

async function bound(address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(3702, address);
  await once(socket, 'listening');
  return socket;
}

test('four cameras are found within 10 s by both packages, and adopted by what was found', async () => {
  const mine = box();
  const started = clock.monotonic();
  const found = await mine.cameras.discover();
  expect(clock.monotonic() - started).toBeLessThan(10_000);
  for (const camera of sim.cameras) {
    expect(found.find((one) => one.endpointReference === camera.endpointReference)).toMatchObject({
      address: camera.address,
      xaddrs: [camera.xaddr],
      name: camera.id,
      hardware: 'sim-camera',
      interface: 'lo',
      adopted: false,
      reachable: true,
      heardBy: ['onvif', 'node-onvif'],
    });
  }
  const [first, second] = sim.cameras as [VirtualCamera, VirtualCamera];
  // By reference, and by address without a port: discovery knows the port.
  const login = { username: 'admin', password: PASSWORD };
  await mine.cameras.add({ address: first.endpointReference, ...login });
  const { device } = await mine.cameras.add({ address: second.address, ...login });
  expect(device.endpointReference).toBe(second.endpointReference);
  const { devices } = await mine.cameras.discovered();
  expect(devices.filter((one) => one.adopted).map((one) => one.address)).toEqual([first.address, second.address]);
});

test('hostile answers end neither the process nor the search: all good cameras are found, and those hidden in odd answers', async () => {
  const hostile = await hostileResponder('127.0.0.61');
  try {
    const found = await box().cameras.discover();
    const references = found.map((one) => one.endpointReference);
    for (const camera of sim.cameras) expect(references).toContain(camera.endpointReference);
    for (const [, , expected] of SHAPES) for (const reference of expected) expect(references).toContain(reference);
    // Whatever the answers name, they lead to who sent them.
    for (const one of found.filter((device) => device.address === '127.0.0.61')) {
      for (const xaddr of one.xaddrs) expect(new URL(xaddr).hostname).toBe('127.0.0.61');
    }
  } finally {
    hostile.close();
  }
});

test('searches asked for at the same time are one search', async () => {
  const mine = box();
  const [a, b] = await Promise.all([mine.cameras.discover(), mine.cameras.discover()]);
  expect(a).toEqual(b);
});

test('without permission nothing on this machine is taken for a camera', async () => {
  const mine = box({ allowLoopback: false });
  expect(await mine.cameras.discover()).toEqual([]);
});
