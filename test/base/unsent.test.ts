import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { FirstHops } from '../../src/base/first-hop.js';
import { silentLog } from '../../src/base/log.js';
import { AbruptSocket, Connections } from '../../src/base/unsent.js';
import { makeCertificate } from '../web/harness.js';

/** Connections that the kernel still has, of this port: whatever the process thinks. */
function kernelHas(port: number): string[] {
  const { stdout } = spawnSync('ss', ['-Htn', 'state', 'all', `( sport = :${port} )`], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('LISTEN'));
}

/** Bytes that the kernel has taken and not brought to the other end (ss(8), Send-Q). */
function unsent(peerPort: number): number {
  const { stdout } = spawnSync('ss', ['-Htn', `( dport = :${peerPort} )`], { encoding: 'utf8' });
  return Number(stdout.trim().split(/\s+/)[2] ?? 0);
}

/** Until the kernel takes no more. */
async function fill(socket: Socket): Promise<void> {
  socket.write(Buffer.alloc(32 << 20));
  await expect.poll(() => unsent(socket.remotePort!)).toBeGreaterThan(0);
}

function certificate(): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-unsent-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return makeCertificate(dir);
}

test('a viewer that takes nothing is cut, and the kernel keeps nothing to send it later', async () => {
  const connections = new Connections(new FirstHops(systemClock(), silentLog), systemClock());
  const server = createTlsServer(certificate());
  server.on('connection', (raw: Socket) => connections.opened(raw));
  const secured = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  client.pause();
  client.on('error', () => undefined);
  onTestFinished(() => void (client.destroy(), server.close()));
  const [socket] = await secured;
  connections.secured(socket);
  socket.on('error', () => undefined);
  await fill(socket);
  expect(kernelHas(port)).toHaveLength(1);
  connections.cut(socket);
  await expect.poll(() => socket.closed).toBe(true);
  await expect.poll(() => kernelHas(port)).toEqual([]);
});

test('a connection that is over is closed when the viewer has everything, and can be cut until then', async () => {
  const connections = new Connections(new FirstHops(systemClock(), silentLog), systemClock());
  const server = createTlsServer(certificate());
  server.on('connection', (raw: Socket) => connections.opened(raw));
  server.on('secureConnection', (socket) => connections.secured(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const visit = async (): Promise<{ client: TLSSocket; socket: TLSSocket }> => {
    const secured = once(server, 'secureConnection') as Promise<[TLSSocket]>;
    const client = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false }).pause();
    client.on('error', () => undefined);
    onTestFinished(() => void client.destroy());
    const [socket] = await secured;
    socket.on('error', () => undefined);
    await fill(socket);
    return { client, socket };
  };
  const patient = await visit();
  patient.socket.destroySoon();
  connections.retire(patient.socket);
  const withdrawn = await visit();
  withdrawn.socket.destroySoon();
  connections.retire(withdrawn.socket);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect([patient.socket.destroyed, withdrawn.socket.destroyed]).toEqual([false, false]);
  connections.cut(withdrawn.socket);
  let bytes = 0;
  patient.client.on('data', (data: Buffer) => (bytes += data.length));
  patient.client.resume();
  await once(patient.client, 'end');
  expect(bytes).toBe(32 << 20);
  patient.client.end();
  await expect.poll(() => kernelHas(port).filter((line) => !line.startsWith('TIME-WAIT'))).toEqual([]);
});

test.each(['plain', 'TLS'])('an upload over %s that is given up leaves nothing in the kernel', async (kind) => {
  const server = kind === 'TLS' ? createTlsServer(certificate()) : createTcpServer();
  const peers: Socket[] = [];
  server.on(kind === 'TLS' ? 'secureConnection' : 'connection', (peer: Socket) => {
    peers.push(peer.pause());
    peer.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const raw = new AbruptSocket(new FirstHops(systemClock(), silentLog), null);
  raw.connect({ port, host: '127.0.0.1' });
  await once(raw, 'connect');
  const own = raw.localPort!;
  const socket = kind === 'TLS' ? tlsConnect({ socket: raw, rejectUnauthorized: false }) : raw;
  if (kind === 'TLS') await once(socket, 'secureConnect');
  onTestFinished(() => {
    for (const peer of peers) peer.destroy();
    server.close();
  });
  await fill(socket);
  const told: Error[] = [];
  socket.on('error', (error) => told.push(error));
  socket.destroy(new Error('withdrawn'));
  await expect.poll(() => socket.closed).toBe(true);
  await expect.poll(() => told.map(({ message }) => message)).toEqual(['withdrawn']);
  await expect.poll(() => kernelHas(own)).toEqual([]);
});
