import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { silentLog } from '../../src/base/log.js';
import { onvifDriver } from '../../src/cameras/onvif-driver.js';
import { readProbeMatches } from '../../src/cameras/probe-match.js';
import { DEVICE_ANSWERS, MEDIA2_ANSWERS, type DeviceFacts } from '../../src/sim/camera/onvif-answers.js';
import { probeMatch } from '../../src/sim/camera/discovery.js';
import { readSoap, soapAnswer } from '../../src/sim/camera/soap.js';
import { Random } from '../../src/sim/scene/random.js';
import { clock, SMALL } from '../sim-camera/rig.js';

const SEED = 20_261_123;
const random = new Random(SEED);

/** Cuts, doubles, swaps and scribbles over parts of a text. */
function mutate(text: string): string {
  let out = text;
  for (let i = 0; i < 1 + random.next() * 4; i++) {
    const at = Math.floor(random.next() * out.length);
    const length = Math.floor(random.next() ** 3 * 200);
    const junk = random.pick([
      '<',
      '>',
      '/>',
      '"',
      '&',
      ']]>',
      '<!--',
      '\0',
      '1e9',
      '-1',
      '</',
      '\ud800',
      'é',
      '<x/>',
      '{}',
    ]);
    const part = out.slice(at, at + length);
    out = random.pick([
      out.slice(0, at) + out.slice(at + length),
      out.slice(0, at) + part + part + out.slice(at),
      out.slice(0, at) + junk + out.slice(at + 1),
      out.slice(0, at),
      out.slice(0, at) + part.replace(/\w+/g, junk) + out.slice(at + length),
      out.replace(/token="[^"]*"/, 'token=""'),
      out.replaceAll(/<(\w+):Resolution>.*?<\/\1:Resolution>/g, ''),
    ]);
  }
  return out;
}

const facts: DeviceFacts = {
  ...{ id: 'fuzz', address: () => '127.0.0.1', manufacturer: 'm', model: 'm', firmware: '1.10', serial: '001' },
  mac: '02:00:00:00:00:01',
  base: () => 'http://127.0.0.1',
  nowMs: () => clock.now(),
  ...{ setClock: () => undefined, relays: [false], inputs: 1, relayService: 'deviceio', events: true },
  setRelay: () => undefined,
  profiles: (['main', 'sub'] as const).map((role) => ({
    ...{ token: role, channel: 1, role, encoding: SMALL[role], change: () => Promise.resolve() },
    streamUri: () => `rtsp://127.0.0.1/${role}`,
    snapshotUri: () => 'http://127.0.0.1/snapshot',
  })),
};

/** One answer in three is damaged, so that conversations get far enough to reach every reader. */
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => void reply());
  const reply = async (): Promise<void> => {
    const soap = readSoap(body);
    const answers = soap?.namespace.includes('ver20/media') === true ? MEDIA2_ANSWERS : DEVICE_ANSWERS;
    const good = soapAnswer((await answers[soap?.action ?? '']?.(facts, (name) => soap?.field(name))) ?? '');
    if (random.next() < 0.02) return void request.socket.destroy();
    response.statusCode = random.next() < 0.05 ? random.pick([200, 204, 302, 400, 401, 500, 503]) : 200;
    if (random.next() < 0.05)
      response.setHeader(
        'WWW-Authenticate',
        random.pick(['Digest', 'Digest x', 'Basic realm="a"', 'Digest nonce="a", algorithm=FOO', ',,,']),
      );
    if (random.next() < 0.05) response.setHeader('Location', 'http://127.0.0.2/');
    response.end(random.next() < 0.33 ? mutate(good) : good);
  };
});

beforeAll(async () => {
  console.info(`seed ${String(SEED)}`);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test('damaged answers of a camera end in a plain error or in usable data, never in a crash', async () => {
  const { port } = server.address() as AddressInfo;
  const endpoint = { host: '127.0.0.1', port, path: '/onvif/device_service', secure: false };
  const driver = onvifDriver(clock, silentLog);
  let good = 0;
  let bad = 0;
  for (let i = 0; i < 120; i++) {
    try {
      const device = await driver.connect(endpoint, { username: 'admin', password: 'x'.repeat(8) });
      good++;
      for (const { offers } of device.channels) {
        for (const offer of offers) expect(new URL(offer.uri).hostname).toBe('127.0.0.1');
      }
    } catch (error) {
      bad++;
      expect(error).toBeInstanceOf(BluelightError);
      expect((error as BluelightError).code).toMatch(/^CAMERA_(INVALID|REFUSED|UNREACHABLE)$/);
    }
  }
  expect(good).toBeGreaterThan(10);
  expect(bad).toBeGreaterThan(10);
}, 60_000);

test('damaged discovery answers are read in time and without a crash', () => {
  const device = {
    ...{ address: '127.0.0.1', endpointReference: 'urn:uuid:1', xaddr: 'http://127.0.0.1/onvif/device_service' },
    ...{ scopes: ['onvif://www.onvif.org/name/a%zz'], awake: () => true, discoveryLossShare: () => 0 },
    hostileDiscovery: () => false,
  };
  const good = probeMatch(device, 'urn:uuid:2');
  let found = 0;
  // CPU time, because other programs may hold up a clock.
  const before = process.cpuUsage();
  for (let i = 0; i < 5_000; i++) {
    found += readProbeMatches(mutate(good)).length;
  }
  expect(found).toBeGreaterThan(500);
  const { user } = process.cpuUsage(before);
  expect(user / 5_000).toBeLessThan(1_000);
});
