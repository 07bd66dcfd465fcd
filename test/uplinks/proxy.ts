import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy that can cut: connections break once so many bytes went up through it since the last cut. */
export interface FaultProxy {
  port: number;
  /** Bytes from client to server so far. */
  sent: number;
  cuts: number;
  /** Cut after these numbers of further bytes, one after the other. */
  cutAfter: number[];
  close(): Promise<void>;
}

export async function faultProxy(targetPort: number, cutAfter: number[] = []): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  let sinceCut = 0;
  const proxy: FaultProxy = {
    port: 0,
    sent: 0,
    cuts: 0,
    cutAfter,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: targetPort });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.pipe(client);
    client.on('data', (chunk: Buffer) => {
      proxy.sent += chunk.length;
      sinceCut += chunk.length;
      const limit = proxy.cutAfter[0];
      if (limit !== undefined && sinceCut >= limit) {
        proxy.cutAfter.shift();
        proxy.cuts++;
        sinceCut = 0;
        upstream.write(chunk.subarray(0, Math.max(0, chunk.length - 100)), () => client.resetAndDestroy());
        return;
      }
      if (!upstream.write(chunk)) {
        client.pause();
        upstream.once('drain', () => client.resume());
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.port = (server.address() as AddressInfo).port;
  return proxy;
}
