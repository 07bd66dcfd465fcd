import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect } from 'vitest';
import { until } from '../../support/recorder.js';
import type { FakeCamera } from './camera.js';
import { ok, PASSWORD, status, test, USER } from './rig.js';

test.concurrent.for([
  ['MD5', {}],
  ['without qop, as in RFC 2069', { qop: false }],
  ['MD5-sess', { algorithm: 'MD5-sess' }],
  ['SHA-256', { algorithm: 'SHA-256' }],
  ['a nonce that is good for two requests', { nonceUses: 2 }],
  ['a nonce that is good for two requests, not called stale', { nonceUses: 2, stale: 'never' }],
] as const)('digest login: %s', async ([, how], { rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, ...how }, sessionTimeout: 2 });
  const session = rig.session(camera.uri, { username: USER, password: PASSWORD });
  await until(
    'pictures and two keep-alives',
    10,
    () => camera.methods().filter((one) => one === 'GET_PARAMETER').length > 2,
  );
  expect({ accepted: session.accepted, refusals: camera.refusals, losses: session.losses }).toEqual({
    accepted: 1,
    refusals: 0,
    losses: [],
  });
  session.stop();
  expect(await session.ended).toEqual({ cause: 'stopped', detail: '' });
  expect(camera.methods().at(-1)).toBe('TEARDOWN');
  for (const { headers } of camera.requests) expect(headers.get('authorization') ?? 'Digest').toMatch(/^Digest/);
});

test.concurrent('a wrong password is sent once', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD } });
  const session = rig.session(camera.uri, { username: USER, password: 'wrong' });
  expect(await session.ended).toMatchObject({ cause: 'refused' });
  expect(camera.refusals).toBe(1);
  const none = rig.session(camera.uri);
  expect(await none.ended).toMatchObject({ cause: 'refused' });
  expect(camera.refusals).toBe(1);
});

test.concurrent('a camera that calls every nonce stale is given up after a few', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, stale: 'always' } });
  const session = rig.session(camera.uri, { username: USER, password: PASSWORD });
  expect(await session.ended).toMatchObject({ cause: 'refused' });
  expect(camera.requests.length).toBeLessThan(8);
});

test.concurrent('the password is never sent in clear text, unless that is allowed', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, basicOnly: true } });
  const login = { username: USER, password: PASSWORD };
  const refused = await rig.session(camera.uri, login).ended;
  expect(refused.cause).toBe('unfit');
  expect(refused.detail).toContain('clear text');
  expect(camera.requests.some((one) => one.headers.has('authorization'))).toBe(false);
  const allowed = rig.session(camera.uri, { ...login, allowBasic: true });
  await until('pictures', 5, () => allowed.pictures.length > 2);
});

test.concurrent('OPTIONS that is not supported does no harm', async ({ rig }) => {
  const camera = await rig.camera({
    answer: (request) => (request.method === 'OPTIONS' ? status('501 Not Implemented') : undefined),
    sessionTimeout: 2,
  });
  const session = rig.session(camera.uri);
  await until('keep-alives by OPTIONS', 6, () => camera.methods().filter((one) => one === 'OPTIONS').length > 2);
  expect(session.losses).toEqual([]);
});

test.concurrent('no request ever goes to a host that the camera names', async ({ rig }) => {
  let connections = 0;
  const elsewhere = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  elsewhere.listen(0, '127.0.0.2');
  await once(elsewhere, 'listening');
  rig.later(() => void elsewhere.close());
  const trap = `rtsp://127.0.0.2:${(elsewhere.address() as { port: number }).port}`;

  const redirecting = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE' ? `RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\nLocation: ${trap}/x\r\n\r\n` : undefined,
  });
  expect(await rig.session(redirecting.uri).ended).toMatchObject({ cause: 'invalid' });

  const sdp = (control: string): string =>
    `v=0\na=control:${trap}/all\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:${control}\n`;
  const lying = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE' ? ok(`Content-Base: ${trap}/base/\r\n`, sdp(`${trap}/live/track1?x=1`)) : undefined,
  });
  const session = rig.session(lying.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const { origin } = new URL(lying.uri.replace('rtsp', 'http'));
  for (const { uri } of lying.requests) expect(uri.replace('rtsp', 'http').startsWith(`${origin}/`)).toBe(true);
  expect(lying.requests.find((one) => one.method === 'SETUP')!.uri).toMatch(/\/live\/track1\?x=1$/);
  expect(connections).toBe(0);
});

test.concurrent('a redirect on the camera itself is followed, a circle is not', async ({ rig }) => {
  const target = await rig.camera();
  const camera = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE'
        ? `RTSP/1.0 301 Moved\r\nCSeq: {cseq}\r\nLocation: ${target.uri}\r\n\r\n`
        : undefined,
  });
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const circle: FakeCamera = await rig.camera({
    answer: (request) =>
      request.method === 'DESCRIBE'
        ? `RTSP/1.0 301 Moved\r\nCSeq: {cseq}\r\nLocation: ${circle.uri}\r\n\r\n`
        : undefined,
  });
  expect(await rig.session(circle.uri).ended).toMatchObject({ cause: 'invalid' });
  expect(circle.connections).toBeLessThan(6);
});

test.concurrent('a track address behind a query is joined as cameras expect it', async ({ rig }) => {
  const camera = await rig.camera();
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const uriOf = (method: string): string | undefined => camera.requests.find((one) => one.method === method)?.uri;
  expect(uriOf('SETUP')).toBe(`${camera.uri}/track1`);
  expect(uriOf('PLAY')).toBe(`${camera.uri}/`);
});

test.concurrent('questions of the camera in between are answered', async ({ rig }) => {
  const camera = await rig.camera();
  const session = rig.session(camera.uri);
  await until('pictures', 5, () => session.pictures.length > 2);
  const count = session.pictures.length;
  camera.shout(
    Buffer.from(
      'OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 77\r\n\r\nANNOUNCE rtsp://x/ RTSP/1.0\r\nCSeq: 78\r\nContent-Length: 3\r\n\r\nv=0',
    ),
  );
  await until('both answers', 5, () => camera.answers.length === 2);
  expect(camera.answers.map((one) => one.split('\r\n').slice(0, 2))).toEqual([
    ['RTSP/1.0 200 OK', 'CSeq: 77'],
    ['RTSP/1.0 501 Not Implemented', 'CSeq: 78'],
  ]);
  await until('pictures go on', 5, () => session.pictures.length > count + 2);
});
