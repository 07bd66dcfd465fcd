import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  cameraInterfaces,
  mayBeCamera,
  parseAddress,
  pinToHost,
  rankXaddrs,
  type HostInterfaces,
} from '../../src/cameras/addresses.js';

const HOST: HostInterfaces = {
  lo: [{ address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', internal: true }],
  wwan0: [{ address: '10.200.0.5', netmask: '255.255.255.252', family: 'IPv4', internal: false }],
  eth0: [
    { address: '192.168.1.2', netmask: '255.255.255.0', family: 'IPv4', internal: false },
    { address: 'fe80::1', netmask: 'ffff::', family: 'IPv6', internal: false },
  ],
  eth1: [{ address: '10.0.5.1', netmask: '255.255.0.0', family: 'IPv4', internal: false }],
};
const ROUTES =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n' +
  'wwan0\t00000000\t0500C80A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n' +
  'eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n';

test.each([
  ['all but the default route', HOST, ROUTES, [], false, ['eth0', 'eth1']],
  ['named by name', HOST, ROUTES, ['eth1'], false, ['eth1']],
  ['named by address', HOST, ROUTES, ['192.168.1.2'], false, ['eth0']],
  ['the uplink too, if it is named', HOST, ROUTES, ['wwan0', 'eth0'], false, ['wwan0', 'eth0']],
  ['a single interface serves both sides', { lo: HOST['lo'], wwan0: HOST['wwan0'] }, ROUTES, [], false, ['wwan0']],
  ['loopback needs permission', HOST, ROUTES, ['lo'], false, []],
  ['loopback with permission', HOST, ROUTES, ['lo'], true, ['lo']],
  ['loopback is never a default', HOST, ROUTES, [], true, ['eth0', 'eth1']],
  ['no routes at all', HOST, '', [], false, ['wwan0', 'eth0', 'eth1']],
])('camera side: %s', (_name, host, routes, wanted, allowLoopback, expected) => {
  expect(cameraInterfaces({ host, routes, wanted, allowLoopback }).map((one) => one.name)).toEqual(expected);
});

test.each([
  ['192.168.1.64', { host: '192.168.1.64', port: undefined, path: '/onvif/device_service', secure: false }],
  ['192.168.1.64:8000', { host: '192.168.1.64', port: 8000, path: '/onvif/device_service', secure: false }],
  ['http://10.0.0.5:80/onvif/x', { host: '10.0.0.5', port: 80, path: '/onvif/x', secure: false }],
  ['https://10.0.0.5', { host: '10.0.0.5', port: undefined, path: '/onvif/device_service', secure: true }],
  ['fd00::5', { host: 'fd00::5', port: undefined, path: '/onvif/device_service', secure: false }],
  ['http://[fd00::5]:8080/a', { host: 'fd00::5', port: 8080, path: '/a', secure: false }],
])('%s is understood', (text, expected) => {
  expect(parseAddress(text)).toEqual(expected);
});

test.each([
  ['rtsp://192.0.2.7:554/h264?a=1&b=2', 'rtsp://10.0.0.5:554/h264?a=1&b=2'],
  ['rtsp://admin:geheim@192.0.2.7/Streaming/Channels/101', 'rtsp://10.0.0.5/Streaming/Channels/101'],
  ['RTSP://[fe80::1]:8554/x y', 'rtsp://10.0.0.5:8554/x%20y'],
  ['rtsp://127.0.0.1:554', 'rtsp://10.0.0.5:554'],
  ['http://192.0.2.7/x', undefined],
  ['rtsp://x:99999/', undefined],
  ['file:///etc/passwd', undefined],
  ['', undefined],
])('stream address %s becomes %s', (uri, expected) => {
  expect(pinToHost(uri, '10.0.0.5', ['rtsp'])).toBe(expected);
});

test('whatever a camera names, the address leads to the camera or nowhere', () => {
  const seed = 20_261_123;
  console.info(`seed ${String(seed)}`);
  fc.assert(
    fc.property(fc.string(), fc.webUrl(), fc.ipV4(), (junk, url, ip) => {
      for (const uri of [
        junk,
        url,
        `rtsp://${junk}`,
        `rtsp://${ip}${junk}`,
        `rtsp://${junk}@${ip}/`,
        `rtsp://a:b@${junk}/`,
      ]) {
        const pinned = pinToHost(uri, '10.0.0.5', ['rtsp', 'http', 'https']);
        if (pinned === undefined) continue;
        expect(new URL(pinned).hostname).toBe('10.0.0.5');
        expect(new URL(pinned).username).toBe('');
        expect(pinned).not.toMatch(/[\s]/);
      }
    }),
    { seed, numRuns: 100 },
  );
});

test('service addresses: the one that answered first, all moved to it, junk left out', () => {
  const interfaces = [{ name: 'eth0', address: '192.168.1.2', netmask: '255.255.255.0' }];
  const xaddrs = [
    'http://169.254.68.137/onvif/services',
    'http://192.168.1.99/onvif/second',
    'http://192.168.1.64:8080/onvif/device_service',
    'ftp://192.168.1.64/x',
    'nonsense',
    'http://[fe80::1%eth0]/x',
  ];
  expect(rankXaddrs(xaddrs, '192.168.1.64', interfaces)).toEqual([
    'http://192.168.1.64:8080/onvif/device_service',
    'http://192.168.1.64:80/onvif/second',
    'http://192.168.1.64:80/onvif/services',
  ]);
  expect(rankXaddrs([], '192.168.1.64', interfaces)).toEqual(['http://192.168.1.64:80/onvif/device_service']);
});

test.each([
  ['192.168.1.64', true],
  ['8.8.8.8', true],
  ['127.0.0.1', false],
  ['0.0.0.0', false],
  ['169.254.169.254', false],
  ['239.255.255.250', false],
  ['255.255.255.255', false],
  ['::1', false],
  ['::', false],
  ['fe80::1', false],
  ['ff02::c', false],
  ['::ffff:127.0.0.1', false],
  ['fd00::5', true],
  ['localhost', false],
])('%s may be a camera: %s', (ip, expected) => {
  expect(mayBeCamera(ip, false)).toBe(expected);
});
