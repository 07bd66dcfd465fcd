import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSameStream, macOf, traitsOf } from '../../src/cameras/stream-traits.js';
import type { VirtualCamera, VirtualCameras } from '../../src/sim/camera/index.js';
import { PASSWORD, start } from '../sim-camera/rig.js';
import { box } from './rig.js';

const PORTS = { onvifPort: 18_081, rtspPort: 18_555 };
let sim: VirtualCameras;
let a: VirtualCamera;
let b: VirtualCamera;

beforeAll(async () => {
  sim = await start([
    { address: '127.0.0.71', id: 'bare-a', realm: 'IP Camera(47110)', ...PORTS },
    { address: '127.0.0.72', id: 'bare-b', realm: 'IP Camera(47111)', ...PORTS },
  ]);
  [a, b] = sim.cameras as [VirtualCamera, VirtualCamera];
});
afterAll(() => sim.close());

const uri = (camera: VirtualCamera): string => `rtsp://${camera.address}:${String(camera.rtspPort)}/main`;
const login = (camera: VirtualCamera) => ({ address: uri(camera), username: 'admin', password: PASSWORD });

test('two cameras known by their streams alone that swap addresses are not mistaken for each other', async () => {
  const mine = box();
  await mine.cameras.add(login(a));
  await mine.cameras.add(login(b));
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  const before = a.logins();
  await a.move('127.0.0.73');
  await b.move('127.0.0.71');
  await a.move('127.0.0.72');
  await mine.cameras.streaming(new Set());
  for (const id of ['cam-1', 'cam-2']) {
    expect(await mine.cameras.admit(id)).toMatchObject({ ok: false, other: true, detail: expect.stringContaining('add this one again') }); // prettier-ignore
  }
  // Neither of them saw the other's password.
  expect(a.logins()).toEqual(before);
  // A person who says that it is right so is believed; id and name stay with the address.
  await mine.cameras.add({ ...login(b), address: 'rtsp://127.0.0.71:18555/main' });
  expect([...mine.stored.keys()]).toEqual(['cam-1', 'cam-2']);
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  await b.move('127.0.0.73');
  await a.move('127.0.0.71');
  await b.move('127.0.0.72');
});

test('with the same words, the hardware address tells them apart; one adopted before that is learnt at the next meeting', async () => {
  const arp = (mac: string): string => `IP address  HW type  Flags  HW address  Mask  Device\n127.0.0.71  0x1  0x2  ${mac}  *  lan\n`;
  let table = arp('02:00:00:00:00:0A');
  const mine = box({ network: () => ({ host: {}, routes: '', arp: table }) });
  await mine.cameras.add(login(a));
  const known = mine.stored.get('cam-1')!;
  expect(known.device.stream?.mac).toBe('02:00:00:00:00:0a');
  const { stream: _stream, ...older } = known.device;
  mine.stored.set('cam-1', { ...known, device: older });
  expect(await mine.cameras.admit('cam-1')).toEqual({ ok: true });
  expect(mine.stored.get('cam-1')).toEqual(known);
  table = arp('02:00:00:00:00:0b');
  await mine.cameras.streaming(new Set());
  expect(await mine.cameras.admit('cam-1')).toMatchObject({ ok: false, other: true });
}); // prettier-ignore

test.each([
  ['the same', { mac: 'm', login: 'x' }, { mac: 'm', login: 'x' }, true],
  ['new firmware', { mac: 'm', login: 'x' }, { mac: 'm', login: 'y' }, true],
  ['another with the same words', { mac: 'm', login: 'x' }, { mac: 'n', login: 'x' }, false],
  ['behind a router, other words', { mac: '', login: 'x' }, { mac: '', login: 'y' }, false],
  ['behind a router now, other words', { mac: 'm', login: 'x' }, { mac: '', login: 'y' }, false],
  ['behind a router, no words', { mac: '', login: '' }, { mac: '', login: 'y' }, true],
])('%s', (_name, known, now, same) => {
  expect(isSameStream(known, now)).toBe(same);
});

test('what a camera says: realms and names, in any order, without what changes', () => {
  const answer = (status: number, challenges: string[], body = '') =>
    traitsOf({ status, headers: new Map([['www-authenticate', challenges]]), body: Buffer.from(body) });
  const realm = answer(401, ['Digest realm="A", nonce="1"', 'Basic realm="B"']);
  expect(realm).toBe(answer(401, ['Basic realm="B"', 'Digest realm="A", nonce="2"']));
  expect(realm).not.toBe(answer(401, ['Digest realm="C", nonce="1"']));
  expect(realm).not.toContain('A"');
  expect(answer(200, [], 'v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=Door\r\n')).toBe(answer(200, [], 'v=0\r\no=- 2 2 IN IP4 10.0.0.2\r\ns=Door\r\n'));
  expect(answer(200, [], 'v=0\r\ns=-\r\n')).toBe('');
  expect(macOf('10.0.0.1', 'head\n10.0.0.1 0x1 0x0 00:00:00:00:00:00 * lan\n')).toBe('');
}); // prettier-ignore
