import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import { loginPrint } from '../../src/base/login-print.js';
import { LoginLedger } from '../../src/cameras/logins.js';
import { onvifDriver } from '../../src/cameras/onvif-driver.js';
import { clock } from '../sim-camera/rig.js';

const OURS = { username: 'admin', password: 'ours' };
const OTHER = { username: 'admin', password: 'other' };
const HOURS = 3_600_000;

type Happens = 'refused' | 'refused elsewhere' | 'other refused' | 'accepted' | '36 min' | '10 h' | 'restart';

test.each<[Happens[], { agent: boolean; person: boolean }]>([
  [[], { agent: true, person: true }],
  [['refused'], { agent: false, person: true }],
  [['refused', '36 min'], { agent: true, person: true }],
  [['refused', '36 min', 'refused'], { agent: false, person: true }],
  [['refused', '36 min', 'refused', '10 h'], { agent: false, person: true }],
  [['refused', '36 min', 'refused elsewhere', '10 h'], { agent: false, person: true }],
  [['refused elsewhere', 'refused elsewhere', '36 min'], { agent: true, person: true }],
  [['refused', '36 min', 'accepted', 'refused', '36 min'], { agent: true, person: true }],
  [['refused', '36 min', 'refused', '36 min', 'other refused', '10 h'], { agent: false, person: true }],
  [['other refused', '36 min', 'other refused', '36 min'], { agent: true, person: true }],
  [['refused', 'restart'], { agent: false, person: true }],
  [['refused', 'restart', '36 min'], { agent: true, person: true }],
  [['refused', '36 min', 'refused', 'restart', '10 h'], { agent: false, person: true }],
  [['refused', '36 min', 'refused', 'accepted'], { agent: true, person: true }],
])('after %j: who may log in', async (story, may) => {
  const fake = new FakeClock();
  let held: { device: string; refusals: number }[] = [];
  const make = (): LoginLedger => new LoginLedger(fake, (now) => (held = now));
  let ledger = make();
  ledger.uses('door', OURS);
  for (const what of story) {
    if (what === 'refused') ledger.refused('door', OURS);
    if (what === 'refused elsewhere') ledger.refusedElsewhere('door', loginPrint(OURS));
    if (what === 'other refused') ledger.refused('door', OTHER);
    if (what === 'accepted') ledger.accepted('door');
    if (what === '36 min') await fake.advance(36 * 60_000);
    if (what === '10 h') await fake.advance(10 * HOURS);
    if (what === 'restart') {
      const kept = held;
      ledger = make();
      ledger.uses('door', OURS);
      for (const { device, refusals } of kept) ledger.restore(device, OURS, refusals);
    }
  }
  const mayLogIn = (by: 'agent' | 'person'): boolean => {
    try {
      ledger.check('door', OURS, by);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'CAMERA_LOGIN_HELD', fix: expect.stringContaining('password') });
      return false;
    }
  };
  expect({ agent: mayLogIn('agent'), person: mayLogIn('person') }).toEqual(may);
  expect(ledger.isHeld('door')).toBe(!may.agent);
});

test('HTTP 403 to SOAP is a refusal, as 401 is', async () => {
  const clockBody =
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><GetSystemDateAndTimeResponse><SystemDateAndTime>' +
    '<UTCDateTime><Time><Hour>1</Hour><Minute>2</Minute><Second>3</Second></Time>' +
    '<Date><Year>2026</Year><Month>1</Month><Day>2</Day></Date></UTCDateTime>' +
    '</SystemDateAndTime></GetSystemDateAndTimeResponse></s:Body></s:Envelope>';
  const camera = createServer((request, response) => {
    let asked = '';
    request.on('data', (chunk: Buffer) => (asked += chunk.toString('latin1')));
    request.on('end', () => {
      if (asked.includes('GetSystemDateAndTime')) response.writeHead(200).end(clockBody);
      else response.writeHead(403, { 'Content-Type': 'text/html' }).end('<html><body>Not for you</body></html>');
    });
  }).listen(0, '127.0.0.1');
  await once(camera, 'listening');
  const { port } = camera.address() as AddressInfo;
  const endpoint = { host: '127.0.0.1', port, path: '/onvif/device_service', secure: false };
  try {
    await expect(onvifDriver(clock, silentLog).identify(endpoint, OURS)).rejects.toMatchObject({ code: 'CAMERA_REFUSED' });
  } finally {
    camera.close();
  }
}); // prettier-ignore
