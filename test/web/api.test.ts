import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { RecordingsBody } from '../../src/contract/http.js';
import { BluelightError } from '../../src/base/errors.js';
import { toUtc } from '../../src/contract/primitives.js';
import { ROUTES } from '../../src/web/routes/table.js';
import { FakeBox, type FakeCamera } from './fake-box.js';
import { ask, bearer, startWeb, until, type Answer, type Running } from './harness.js';
import { makeLoop } from './media.js';

const HOUR = 3_600_000;
let box: FakeBox;
let running: Running;
let port: number;
let auth: Record<string, string>;

beforeAll(async () => {
  const loop = makeLoop({ width: 320, height: 180, seconds: 5 });
  const now = Date.now();
  const camera = (id: string): FakeCamera => ({
    id,
    name: id,
    main: loop,
    sub: loop,
    spans: [
      { fromMs: now - 2 * HOUR, toMs: now - HOUR },
      { fromMs: now - HOUR / 2, toMs: now },
    ],
    gapReason: 'camera_offline',
    motion: [
      {
        id: '01KB0000000000000000000001',
        camera: id,
        phase: 'end',
        start: toUtc(now - 600_000),
        decidedAt: toUtc(now - 599_000),
        end: toUtc(now - 590_000),
        score: 0.9,
        reason: 'something moved',
      },
    ],
    online: true,
  });
  box = new FakeBox([camera('front'), camera('back')]);
  running = await startWeb(box);
  port = running.port;
  auth = await bearer(port, box.code);
});

afterAll(async () => {
  box.stop();
  await running.stop();
});

const example = (path: string): string =>
  `/api/v1${path.replace('{id}', path.startsWith('/clips') ? '01KB0000000000000000000000' : 'front')}`;

test('every route but the public ones answers 401 without a session, whatever it is given', async () => {
  for (const route of ROUTES) {
    if (route.auth === 'public') continue;
    const answer = await ask({ port }, route.method, example(route.path), {
      headers: { authorization: 'Bearer nonsense' },
      ...(route.method === 'POST' ? { body: {} } : {}),
    });
    // From the box itself, liveness is open.
    const expected = route.auth === 'loopback' ? 200 : 401;
    expect(`${route.method} ${route.path} ${answer.status}`).toBe(`${route.method} ${route.path} ${expected}`);
    if (expected === 401) expect(answer.json()['code']).toBe('UNAUTHENTICATED');
  }
  expect(ROUTES.filter((route) => route.auth === 'public').map((route) => route.path)).toEqual(['/login']);
});

test('liveness is not open to the network', async () => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address !== undefined && address.family === 'IPv4' && !address.internal)?.address;
  if (outside === undefined) return;
  const wide = await startWeb(box, { host: '0.0.0.0' });
  try {
    expect((await ask({ port: wide.port }, 'GET', '/api/v1/health', { host: outside })).status).toBe(401);
    expect((await ask({ port: wide.port }, 'GET', '/api/v1/health')).status).toBe(200);
  } finally {
    await wide.stop();
  }
});

test('every route that shows footage asks the gate for its kind before it answers', async () => {
  const footage = ROUTES.filter((route) => route.access !== null);
  expect(footage.map((route) => `${route.path} ${route.access}`).sort()).toEqual([
    '/alarms/{id}/before.png still',
    '/alarms/{id}/now.png still',
    '/cameras/{id}/snapshot.jpg still',
    '/clips clip',
    '/clips timeline',
    '/clips/{id} timeline',
    '/clips/{id}/anchor clip',
    '/clips/{id}/file clip',
    '/clips/{id}/manifest clip',
    '/coverage timeline',
    '/events motion',
    '/export.mp4 export',
    '/holds timeline',
    '/live live',
    '/motion motion',
    '/playback playback',
    '/playback.m3u8 playback',
    '/playback.mp4 playback',
    '/queue timeline',
    '/recordings export',
    '/timeline timeline',
  ]);
  const now = Date.now();
  const range = `camera=front&from=${toUtc(now - 600_000)}&to=${toUtc(now - 590_000)}`;
  const paths = [
    '/timeline',
    '/coverage',
    '/recordings',
    '/playback',
    '/playback.m3u8',
    '/playback.mp4',
    '/export.mp4',
  ];
  for (const path of paths) {
    box.asked.length = 0;
    const answer = await ask({ port }, 'GET', `/api/v1${path}?${range}`, { headers: auth });
    expect(`${path} ${answer.status}`).toBe(`${path} 200`);
    expect(box.asked).toHaveLength(1);
    expect(box.asked[0]).toMatchObject({
      camera: 'front',
      door: 'http',
      kind: ROUTES.find((route) => route.path === path)!.access,
      party: { kind: 'local', role: 'owner', name: 'Store owner' },
      range: { fromMs: now - 600_000, toMs: now - 590_000 },
    });
  }
});

test('what the gate refuses is a 403 with its code, and lists leave it out', async () => {
  const now = Date.now();
  const range = `from=${toUtc(now - 3 * HOUR)}&to=${toUtc(now)}`;
  box.denied.add('back');
  try {
    for (const path of ['/timeline', '/coverage', '/recordings', '/playback', '/export.mp4', '/live']) {
      const answer = await ask({ port }, 'GET', `/api/v1${path}?camera=back&${range}`, { headers: auth });
      expect([path, answer.status, answer.json()]).toMatchObject([
        path,
        403,
        { code: 'POLICY_DENIED', fix: 'Ask the owner.' },
      ]);
      expect(answer.headers['content-type']).toBe('application/problem+json');
    }
    const made = await ask({ port }, 'POST', '/api/v1/clips', {
      headers: auth,
      body: { camera: 'back', from: toUtc(now - 60_000), to: toUtc(now), reason: 'test' },
    });
    expect(made.status).toBe(403);
    const motion = await ask({ port }, 'GET', `/api/v1/motion?${range}`, { headers: auth });
    expect(motion.json<{ events: { camera: string }[] }>().events.map((event) => event.camera)).toEqual(['front']);
  } finally {
    box.denied.clear();
  }
});

test('a foreign name in Host is turned away: DNS rebinding', async () => {
  const status = async (host: string): Promise<number> =>
    (await ask({ port }, 'GET', '/', { headers: { host } })).status;
  expect(await status('evil.example')).toBe(421);
  expect(await status(`evil.example:${port}`)).toBe(421);
  expect(await status('127.0.0.1.evil.example')).toBe(421);
  expect(await status('10.1.2.3')).toBe(421);
  expect(await status(`localhost:${port}`)).toBe(200);
  expect(await status(`127.0.0.1:${port}`)).toBe(200);
  expect(await status('box.example')).toBe(200);
});

async function cookieLogin(): Promise<{ cookie: string; csrf: string; raw: string }> {
  const answer = await ask({ port }, 'POST', '/api/v1/login', {
    headers: { origin: `https://127.0.0.1:${port}` },
    body: { code: box.code },
  });
  const raw = String(answer.headers['set-cookie']);
  return { raw, cookie: raw.split(';')[0]!, csrf: answer.json<{ csrf: string }>().csrf };
}

test('the cookie is for this host, TLS and no script; with it every change needs Origin and token', async () => {
  const { cookie, csrf, raw } = await cookieLogin();
  for (const part of ['__Host-', 'HttpOnly', 'Secure', 'SameSite=Strict', 'Path=/']) expect(raw).toContain(part);
  const origin = `https://127.0.0.1:${port}`;
  const scan = async (headers: Record<string, string>): Promise<[number, unknown]> => {
    const answer = await ask({ port }, 'POST', '/api/v1/discovery/scan', { headers: { cookie, ...headers } });
    return [answer.status, answer.json()['code']];
  };
  const before = box.scans;
  expect(await scan({})).toEqual([403, 'BAD_ORIGIN']);
  expect(await scan({ origin: 'https://evil.example', 'x-csrf-token': csrf })).toEqual([403, 'BAD_ORIGIN']);
  expect(await scan({ origin: 'null', 'x-csrf-token': csrf })).toEqual([403, 'BAD_ORIGIN']);
  expect(await scan({ origin: origin.replace('https', 'http'), 'x-csrf-token': csrf })).toEqual([403, 'BAD_ORIGIN']);
  expect(await scan({ origin })).toEqual([403, 'BAD_CSRF']);
  expect(await scan({ origin, 'x-csrf-token': `${csrf.slice(0, -1)}!` })).toEqual([403, 'BAD_CSRF']);
  expect(box.scans).toBe(before);
  expect((await scan({ origin, 'x-csrf-token': csrf }))[0]).toBe(202);
  expect(box.scans).toBe(before + 1);
});

test('who comes in, who goes and who is not let in is told with name, door and address', async () => {
  box.atTheDoor.length = 0;
  const wrong = await ask({ port }, 'POST', '/api/v1/login', { body: { code: 'nonsense' } });
  expect(wrong.status).toBe(401);
  const mine = await bearer(port, box.code);
  expect((await ask({ port }, 'GET', '/api/v1/audit')).status).toBe(401);
  expect((await ask({ port }, 'GET', '/api/v1/audit', { headers: { host: 'evil.example' } })).status).toBe(421);
  box.role = 'viewer';
  const viewer = await bearer(port, box.code);
  box.role = 'owner';
  expect((await ask({ port }, 'GET', '/api/v1/audit', { headers: viewer })).status).toBe(403);
  await ask({ port }, 'POST', '/api/v1/logout', { headers: mine });
  const owner = { kind: 'local', role: 'owner', name: 'Store owner' };
  expect(box.atTheDoor.map(({ action, outcome, who, code, door }) => [action, outcome, who, code, door])).toEqual([
    ['login', 'refused', null, 'BAD_LOGIN', 'page'],
    ['login', 'done', owner, null, 'page'],
    ['enter', 'refused', null, 'UNAUTHENTICATED', 'page'],
    ['enter', 'refused', null, 'BAD_HOST', 'page'],
    ['login', 'done', { ...owner, role: 'viewer' }, null, 'page'],
    ['enter', 'refused', { ...owner, role: 'viewer' }, 'FORBIDDEN', 'http'],
    ['logout', 'done', owner, null, 'http'],
  ]);
  expect(box.atTheDoor.every(({ remote }) => remote.includes('127.0.0.1'))).toBe(true);
});

test('after logout the token opens nothing and what streams under it ends', async () => {
  const token = await bearer(port, box.code);
  const live = new WebSocket(`wss://127.0.0.1:${port}/api/v1/live?camera=front`, {
    headers: token,
    rejectUnauthorized: false,
  });
  const closed = new Promise<number>((resolve) => live.on('close', resolve));
  await new Promise((resolve) => live.once('message', resolve));
  expect((await ask({ port }, 'POST', '/api/v1/logout', { headers: token })).status).toBe(204);
  expect(await closed).toBe(4401);
  expect((await ask({ port }, 'GET', '/api/v1/session', { headers: token })).status).toBe(401);
});

test('roles: a viewer may not add cameras or read the audit', async () => {
  box.role = 'viewer';
  const viewer = await bearer(port, box.code);
  box.role = 'owner';
  for (const [method, path] of [
    ['POST', '/discovery/scan'],
    ['GET', '/discovery/devices'],
    ['POST', '/devices'],
    ['POST', '/cameras/front/test'],
    ['DELETE', '/cameras/front'],
    ['GET', '/audit'],
  ] as const) {
    const answer = await ask({ port }, method, `/api/v1${path}`, {
      headers: viewer,
      ...(method === 'POST' ? { body: {} } : {}),
    });
    expect([path, answer.status, answer.json()['code']]).toEqual([path, 403, 'FORBIDDEN']);
  }
  expect(box.removed).toEqual([]);
  expect((await ask({ port }, 'GET', '/api/v1/status', { headers: viewer })).status).toBe(200);
});

test('bad input is told in words, with a stable code', async () => {
  const problem = async (answer: Promise<Answer>): Promise<unknown> => {
    const got = await answer;
    return { status: got.status, code: got.json()['code'] };
  };
  const now = toUtc(Date.now());
  const get = (path: string): Promise<Answer> => ask({ port }, 'GET', `/api/v1${path}`, { headers: auth });
  const bad = { status: 400, code: 'BAD_REQUEST' };
  expect(await problem(get(`/timeline?camera=../etc&from=${now}&to=${now}`))).toEqual(bad);
  expect(await problem(get(`/timeline?camera=front&from=yesterday&to=${now}`))).toEqual(bad);
  expect(await problem(get(`/timeline?camera=front&from=${now}&to=${now}`))).toEqual(bad);
  expect(await problem(get('/clips/..%2f..%2fetc'))).toEqual(bad);
  expect(await problem(get('/nowhere'))).toEqual({ status: 404, code: 'NOT_FOUND' });
  const post = (body: string | object, headers: Record<string, string> = {}): Promise<Answer> =>
    ask({ port }, 'POST', '/api/v1/devices', { headers: { ...auth, ...headers }, body });
  expect(await problem(post({ address: '' }))).toEqual(bad);
  expect(await problem(post('{"address":', { 'content-type': 'application/json' }))).toEqual(bad);
  expect(await problem(post('address=x', { 'content-type': 'application/x-www-form-urlencoded' }))).toEqual({
    status: 415,
    code: 'UNSUPPORTED_MEDIA_TYPE',
  });
  expect(await problem(post({ address: 'x'.repeat(100_000) }))).toEqual({ status: 413, code: 'TOO_LARGE' });
  const refused = await post({ address: '192.168.1.80', username: 'admin', password: 'wrong' });
  expect(refused.json()).toMatchObject({
    code: 'CAMERA_REFUSED',
    fix: expect.stringContaining('two wrong tries') as string,
  });
});

test('every JSON answer is what the description says', async () => {
  await ask({ port }, 'POST', '/api/v1/clips', {
    headers: auth,
    body: { camera: 'front', from: toUtc(Date.now() - 60_000), to: toUtc(Date.now()), reason: 'window broken' },
  });
  const range = `camera=front&year=2026&from=${toUtc(Date.now() - 2 * HOUR)}&to=${toUtc(Date.now())}`;
  let checked = 0;
  for (const route of ROUTES) {
    if (route.method !== 'GET' || route.response.type !== 'application/json' || route.response.status !== 200) continue;
    if (route.path.includes('manifest') || route.path.includes('anchor')) continue;
    const path = example(route.path).replace('01KB0000000000000000000000', box.clipList[0]!.id);
    const answer = await ask({ port }, 'GET', `${path}?${route.query === undefined ? '' : range}`, { headers: auth });
    const parsed = route.response.schema!.safeParse(answer.json());
    expect([route.path, answer.status, parsed.error?.message]).toEqual([route.path, 200, undefined]);
    checked++;
  }
  expect(checked).toBeGreaterThan(10);
});

test('an export is the init and the verbatim fragments of whole segments, and ffprobe reads it', async () => {
  const [, last] = box.cams[0]!.spans;
  const from = last!.fromMs + 12_000;
  const query = `camera=front&from=${toUtc(from)}&to=${toUtc(from + 15_000)}`;
  const answer = await ask({ port }, 'GET', `/api/v1/export.mp4?${query}`, { headers: auth });
  expect(answer.status).toBe(200);
  const { main } = box.cams[0]!;
  // 12 s to 27 s, rounded out to whole segments of 10 s: 10 s to 30 s, in fragments of half a second.
  const expected = Buffer.concat([main.init, ...Array.from({ length: 40 }, (_, i) => main.fragment(20 + i))]);
  expect(answer.bytes.equals(expected)).toBe(true);
  expect(Number(answer.headers['content-length'])).toBe(expected.length);
  const path = join(running.directory, 'export.mp4');
  writeFileSync(path, answer.bytes);
  const args = ['-v', 'error', '-count_frames', '-show_entries', 'stream=nb_read_frames,width', '-of', 'csv=p=0', path];
  expect(execFileSync('ffprobe', args).toString().trim()).toBe('320,200');
  // Once the last byte is on its way.
  await expect.poll(() => box.ends).toContainEqual({ grant: 'export', outcome: 'done', bytes: expected.length });
});

test('a range over a restart is several files: each is told and taken by its run', async () => {
  const [first, second] = box.cams[0]!.spans;
  const query = `camera=front&from=${toUtc(first!.toMs - 15_000)}&to=${toUtc(second!.fromMs + 15_000)}`;
  const refused = await ask({ port }, 'GET', `/api/v1/export.mp4?${query}`, { headers: auth });
  expect([refused.status, refused.json()['code']]).toEqual([409, 'SEVERAL_FILES']);
  const told = await ask({ port }, 'GET', `/api/v1/recordings?${query}`, { headers: auth });
  const { parts } = told.json<RecordingsBody>();
  expect(parts).toHaveLength(2);
  for (const { run, from, to, bytes } of parts) {
    const one = `camera=front&run=${run}&from=${from}&to=${to}`;
    const answer = await ask({ port }, 'GET', `/api/v1/export.mp4?${one}`, { headers: auth });
    expect([answer.status, answer.bytes.length]).toEqual([200, bytes + box.cams[0]!.main.init.length]);
  }
  const nothing = `camera=front&from=${toUtc(first!.toMs + 60_000)}&to=${toUtc(first!.toMs + 70_000)}`;
  const empty = await ask({ port }, 'GET', `/api/v1/export.mp4?${nothing}`, { headers: auth });
  expect([empty.status, empty.json()['code']]).toEqual([404, 'NO_COVERAGE']);
});

test('an export breaks off when the permission is withdrawn, and the audit is told how far it got', async () => {
  const [first] = box.cams[0]!.spans;
  const slow = box.footage.segment;
  let read = 0;
  box.footage.segment = async (...args) => {
    read++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return slow(...args);
  };
  try {
    const query = `camera=front&from=${toUtc(first!.fromMs)}&to=${toUtc(first!.toMs)}`;
    const taking = ask({ port }, 'GET', `/api/v1/export.mp4?${query}`, { headers: auth });
    const broken = expect(taking).rejects.toMatchObject({ code: 'ECONNRESET' });
    await until(() => read >= 3, 'the transfer being on its way');
    box.given.at(-1)!.abort.abort();
    await broken;
    await until(() => box.ends.at(-1)?.outcome === 'failed', 'the audit');
  } finally {
    box.footage.segment = slow;
  }
});

test('the same API answers on the Unix socket, to nobody but its user, as the local technician', async () => {
  const where = { socketPath: running.socket };
  expect(statSync(running.socket).mode & 0o777).toBe(0o600);
  const session = await ask(where, 'GET', '/api/v1/session');
  expect(session.json()).toMatchObject({ role: 'technician', name: 'socket' });
  box.asked.length = 0;
  const made = await ask(where, 'POST', '/api/v1/clips', {
    body: { camera: 'front', from: toUtc(Date.now() - 60_000), to: toUtc(Date.now()), reason: 'cli' },
  });
  expect(made.status).toBe(201);
  expect(box.asked[0]).toMatchObject({ door: 'socket', kind: 'clip', reason: 'cli', party: { role: 'technician' } });
  await expect(running.web.listenSocket(running.socket)).rejects.toMatchObject({ code: 'SOCKET_IN_USE' });
});

test('security headers stand on pages, answers and errors', async () => {
  for (const path of ['/', '/api/v1/status', '/nothing.js']) {
    const { headers } = await ask({ port }, 'GET', path);
    expect(headers['content-security-policy']).toContain("default-src 'self'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['x-frame-options']).toBe('DENY');
    expect(headers['strict-transport-security']).toBeUndefined();
  }
});

test('server-sent events carry status, and motion only of cameras that the gate allows', async () => {
  box.denied.add('back');
  const events: string[] = [];
  const stop = new AbortController();
  const before = box.listeners;
  const response = await fetchStream(`/api/v1/events`, stop.signal, (text) => events.push(text));
  box.denied.clear();
  expect(response).toBe('text/event-stream');
  await until(() => box.listeners === before + 1, 'subscription');
  const motion = box.cams[0]!.motion[0]!;
  box.emit({ type: 'motion', data: { ...motion, camera: 'back' } });
  box.emit({ type: 'motion', data: motion });
  box.emit({ type: 'status', data: box.status() });
  await until(() => events.join('').includes('event: status'), 'status event');
  expect(events.join('')).toContain('"camera":"front"');
  expect(events.join('').match(/event: motion/g)).toHaveLength(1);
  // Withdrawn: nothing more is told, and the client has to ask anew.
  box.given.filter((grant) => grant.request.kind === 'motion').forEach((grant) => grant.abort.abort());
  await until(() => box.listeners === before, 'the end of the subscription');
  stop.abort();
});

test('a closed page ends its subscription', async () => {
  const before = box.listeners;
  const stop = new AbortController();
  await fetchStream('/api/v1/events', stop.signal, () => undefined);
  await until(() => box.listeners === before + 1, 'subscription');
  stop.abort();
  await until(() => box.listeners === before, 'the end of the subscription');
});

async function fetchStream(path: string, signal: AbortSignal, take: (text: string) => void): Promise<string> {
  const { request } = await import('node:https');
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, headers: auth, rejectUnauthorized: false, agent: false },
      (response) => {
        response.on('data', (chunk: Buffer) => take(chunk.toString('utf8')));
        response.on('error', () => undefined);
        resolve(String(response.headers['content-type']));
      },
    );
    signal.addEventListener('abort', () => outgoing.destroy());
    outgoing.on('error', (error) => (signal.aborted ? undefined : reject(error)));
    outgoing.end();
  });
}

test('every route that takes a passphrase stands under the limit of the login', async () => {
  const document = { version: 1, authority: 'owner', timeZone: 'UTC', cameras: [] };
  const bodies: Record<string, object> = {
    '/owner': { name: 'Ms Lee' },
    '/owner/passphrase': { next: 'another one' },
    '/policy/accept': { document },
    '/resume': {},
    '/optout': {},
    '/approvals/{id}': { yes: false },
    '/technician': { until: null },
    '/logins/viewer': { name: 'Clerk', password: 'a long password' },
    '/logins/remove': { name: 'Clerk' },
  };
  const takes = ROUTES.filter((route) => 'passphrase' in ((route.body as { shape?: object } | undefined)?.shape ?? {}))
    // A new one for a new file: there is nothing to guess.
    .filter((route) => route.path !== '/backup');
  expect(takes.map((route) => route.path).sort()).toEqual(Object.keys(bodies).sort());
  const wrong = new Proxy({}, { get: () => () => Promise.reject(new BluelightError('PASSPHRASE_WRONG', 'wrong')) });
  const guarded = new FakeBox([]);
  Object.assign(guarded, { owner: wrong, logins: { ...guarded.logins, setViewer: (wrong as never)['x'], remove: (wrong as never)['x'] } }); // prettier-ignore
  for (const { path } of takes) {
    const one = await startWeb(guarded);
    try {
      const headers = await bearer(one.port, guarded.code);
      const statuses: number[] = [];
      for (let i = 0; i < 6; i++) {
        const body = { ...bodies[path], passphrase: `guess ${i}` };
        statuses.push((await ask({ port: one.port }, 'POST', example(path), { headers, body })).status);
      }
      expect(`${path} ${statuses.join(' ')}`).toBe(`${path} 422 422 422 422 422 429`);
      expect((await ask({ port: one.port }, 'POST', '/api/v1/login', { body: { code: guarded.code } })).status).toBe(
        429,
      );
    } finally {
      await one.stop();
    }
  }
});
