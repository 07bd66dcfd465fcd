import { readFileSync } from 'node:fs';
import { createServer, Socket, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { bindToDevice } from '../../src/base/bind-device.js';

/** O_NONBLOCK of Linux, octal as in `/proc/self/fdinfo` (proc(5)). */
const NONBLOCK = 0o4000;

test('a socket that was tied to an interface never makes its thread wait', async () => {
  const server = createServer((peer) => peer.pause()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = new Socket();
  socket.connect({
    host: 'link.invalid',
    port: (server.address() as AddressInfo).port,
    autoSelectFamily: false,
    lookup: (_host, _options, done) => {
      bindToDevice(socket, 4, 'lo').then(
        () => done(null, '127.0.0.1', 4),
        (error: unknown) => done(error as Error, '127.0.0.1', 4),
      );
    },
  });
  await once(socket, 'connect');
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!;
  expect(parseInt(flags, 8) & NONBLOCK).toBe(NONBLOCK);
  socket.destroy();
  server.close();
});

test('an interface that is not there is refused', async () => {
  await expect(
    bindToDevice(
      new Socket().connect(9, '127.0.0.1').on('error', () => undefined),
      4,
      'no-such0',
    ),
  )
    .rejects // prettier-ignore
    .toMatchObject({ code: 'LINK_BIND' });
});
