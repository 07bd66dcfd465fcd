import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { readNow } from '../../src/base/read-now.js';

test('what a paused socket holds is read at once, its end and its breaking are told', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const into = new Uint8Array(8);
  for (const end of ['end', 'resetAndDestroy'] as const) {
    const socket = connect({ port, host: '127.0.0.1', onread: { buffer: new Uint8Array(8), callback: () => true } });
    socket.on('error', () => undefined);
    const [peer] = (await once(server, 'connection')) as [Socket];
    await once(socket, 'connect');
    socket.pause();
    expect(readNow(socket, into)).toBeUndefined();
    peer.write('0123456789');
    expect(await eventually(() => readNow(socket, into))).toBe(8);
    expect(Buffer.from(into).toString()).toBe('01234567');
    expect(await eventually(() => readNow(socket, into))).toBe(2);
    peer[end]();
    if (end === 'end') expect(await eventually(() => readNow(socket, into))).toBe(0);
    else await expect(eventually(() => readNow(socket, into))).rejects.toMatchObject({ code: 'ECONNRESET' });
    socket.destroy();
    expect(() => readNow(socket, into)).toThrow('no descriptor');
  }
});

async function eventually(ask: () => number | undefined): Promise<number | undefined> {
  for (let i = 0; i < 1_000; i++) {
    const count = ask();
    if (count !== undefined) return count;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return undefined;
}
