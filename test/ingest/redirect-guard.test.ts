import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { RedirectGuard } from '../../src/ingest/redirect-guard.js';

/** What a client gets of an answer that a camera sends in these pieces, and whether the guard saw through it. */
async function through(...pieces: string[]): Promise<{ got: string; led: boolean }> {
  const camera = createServer((socket) => {
    socket.setNoDelay(true);
    const send = async (): Promise<void> => {
      for (const piece of pieces) {
        socket.write(piece, 'latin1');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      socket.end();
    };
    void send();
  }).listen(0, '127.0.0.1');
  await once(camera, 'listening');
  const guard = await RedirectGuard.open({ host: '127.0.0.1', port: (camera.address() as AddressInfo).port });
  const client = connect(guard.port, '127.0.0.1');
  let got = '';
  client.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  await once(client, 'close');
  guard.close();
  camera.close();
  return { got, led: guard.led };
}

const LEADS: [string, string[]][] = [
  ['a redirect', ['RTSP/1.0 302 Moved\r\nLocation: rtsp://10.0.0.9/\r\n\r\n']],
  ['a redirect cut in two', ['RTSP/1.0 3', '01 Moved\r\nLocation: rtsp://10.0.0.9/\r\n\r\n']],
  ['a redirect behind much else', ['x'.repeat(5_000) + 'RTSP/1.0  +302 Moved\r\n\r\n']],
  [
    'a source of UDP elsewhere',
    ['RTSP/1.0 200 OK\r\nTransport: RTP/AVP;unicast;server_port=1-2;source=10.0.0.9\r\n\r\n'],
  ],
];

test.each(LEADS)('%s does not reach the client', async (_name, pieces) => {
  const { got, led } = await through(...pieces);
  expect(led).toBe(true);
  expect(got).not.toMatch(/Location|source=/);
});

test.each([
  ['an answer', 'RTSP/1.0 200 OK\r\nCSeq: 302\r\n\r\n'],
  [
    'a source that is the camera',
    'RTSP/1.0 200 OK\r\nTransport: RTP/AVP;unicast;source=127.0.0.1;server_port=1-2\r\n\r\n',
  ],
  ['another source where TCP carries it all', 'RTSP/1.0 200 OK\r\nTransport: RTP/AVP/TCP;source=10.0.0.9\r\n\r\n'],
])('%s goes through as it is', async (_name, answer) => {
  const video = String.fromCharCode(...Array.from({ length: 3_000 }, (_, i) => i % 256));
  expect(await through(answer, video)).toEqual({ got: answer + video, led: false });
});

test.each([
  ['a login that is refused', ['401 Unauthorized', '401 Unauthorized'], true],
  ['a login that is forbidden', ['401 Unauthorized', '403 Forbidden'], true],
  ['a login that is accepted', ['401 Unauthorized', '200 OK'], false],
  ['a login that is not even tried', ['401 Unauthorized'], false],
])('%s is known: %j', async (_name, answers, refused) => {
  const left = [...answers];
  const camera = createServer((socket) => {
    socket.on('data', () => void socket.write(`RTSP/1.0 ${left.shift() ?? '500 Error'}\r\nCSeq: 1\r\n\r\n`));
  }).listen(0, '127.0.0.1');
  await once(camera, 'listening');
  const guard = await RedirectGuard.open({ host: '127.0.0.1', port: (camera.address() as AddressInfo).port });
  const client = connect(guard.port, '127.0.0.1');
  for (const [i] of answers.entries()) {
    client.write(`DESCRIBE / RTSP/1.0\r\n${i === 0 ? '' : 'Authorization: Digest username="a"\r\n'}\r\n`);
    await once(client, 'data');
  }
  expect(guard.refused).toBe(refused);
  client.destroy();
  guard.close();
  camera.close();
});

test.each([
  [['RTSP/1.0 200 OK\r\nTransport: RTP/AVP;unicast;server_port=1-2\r\n\r\n']],
  [['RTSP/1.0 200 OK\r\nTran', 'sport: RTP/AVP;unicast;server_', 'port=1-2\r\n\r\n']],
  [['RTSP/1.0 200 OK\r\nTransport: RTP/AVP;unicast;source=127.0.0.1;server_port=1-2\r\n\r\n']],
])('a client that asks for UDP is told whom to listen to: %j', async (pieces) => {
  const camera = createServer((socket) => {
    socket.setNoDelay(true);
    const send = async (): Promise<void> => {
      for (const piece of pieces) {
        socket.write(piece, 'latin1');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      socket.end();
    };
    socket.once('data', () => void send());
  }).listen(0, '127.0.0.1');
  await once(camera, 'listening');
  const guard = await RedirectGuard.open({ host: '127.0.0.1', port: (camera.address() as AddressInfo).port });
  const client = connect(guard.port, '127.0.0.1');
  client.write('SETUP / RTSP/1.0\r\nTransport: RTP/AVP/UDP;unicast;client_port=5-6\r\n\r\n');
  let got = '';
  client.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  await once(client, 'close');
  guard.close();
  camera.close();
  expect(got.split('source=').length).toBe(2);
  expect(got).toMatch(/^RTSP\/1\.0 200 OK\r\nTransport: RTP\/AVP;unicast;[^\r]*source=127\.0\.0\.1[^\r]*\r\n\r\n$/);
});
