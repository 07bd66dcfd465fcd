import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import { fetchFile } from '../../../src/cameras/http-digest.js';
import { describeStream } from '../../../src/cameras/rtsp-check.js';
import { until } from '../../support/recorder.js';
import { PASSWORD, test, USER } from './rig.js';

const clock = systemClock();
const login = { username: USER, password: PASSWORD };
/** ffmpeg keeps at most so many letters of it. */
const SHORT = { user: USER, password: 'S3cret-Pw', basicOnly: true };

test.concurrent.for(['native', 'ffmpeg'] as const)(
  'a camera that knows only Basic gets no password by %s, unless its address is allowed to',
  async (engine, { rig }) => {
    const camera = await rig.camera({ auth: SHORT });
    const logins = () => camera.requests.filter((one) => one.headers.has('authorization')).length;
    const refused = rig.ingest(camera.uri, { basicLogin: ['10.0.0.9'] }, SHORT.password, engine);
    await until('it is said', 10, () => refused.ingest.status()[0]?.state === 'invalid');
    expect(refused.ingest.status()[0]!.detail).toMatch(/clear text.*cameras\.basic_login.*read the password/);
    expect(logins()).toBe(0);
    await refused.ingest.stop();
    const allowed = rig.ingest(camera.uri, { basicLogin: ['127.0.0.1'] }, SHORT.password, engine);
    await until('pictures', 15, () => allowed.recorder.seconds('door.main') > 1);
    expect(logins()).toBeGreaterThan(0);
  },
);

test.concurrent('a stream is described by Basic only where that is allowed', async ({ rig }) => {
  const camera = await rig.camera({ auth: { user: USER, password: PASSWORD, basicOnly: true } });
  const no = describeStream({ clock }, camera.uri, login);
  await expect(no).rejects.toMatchObject({ code: 'CAMERA_INVALID', fix: expect.stringContaining('basic_login') });
  expect(camera.requests.some((one) => one.headers.has('authorization'))).toBe(false);
  expect(await describeStream({ clock, basicLogin: ['127.0.0.1'] }, camera.uri, login)).toContain('m=video');
});

test.concurrent('a snapshot is fetched by Basic only where that is allowed', async () => {
  const right = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
  const given: (string | undefined)[] = [];
  const camera = createServer((request, response) => {
    given.push(request.headers.authorization);
    if (request.headers.authorization === right) response.writeHead(200, { 'Content-Type': 'image/jpeg' }).end('jpeg');
    else response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="cam"' }).end();
  }).listen(0, '127.0.0.1');
  await once(camera, 'listening');
  const url = `http://127.0.0.1:${String((camera.address() as AddressInfo).port)}/snapshot`;
  try {
    await expect(fetchFile({ clock }, url, login, 1_000)).rejects.toMatchObject({ code: 'CAMERA_INVALID' });
    expect(given).toEqual([undefined]);
    const { bytes } = await fetchFile({ clock, basicLogin: ['127.0.0.1'] }, url, login, 1_000);
    expect(bytes.toString()).toBe('jpeg');
  } finally {
    camera.close();
  }
});
