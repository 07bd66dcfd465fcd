import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { Party } from '../../src/contract/policy.js';
import { Gate } from '../../src/policy/gate.js';
import { startVirtualCenter } from '../../src/sim/center/index.js';
import { box, newSigner, store, tempDir } from '../center/rig.js';
import { until } from '../center/mosquitto.js';
import { clipRoom, clock, fakeGate, fakeRing } from '../clips/rig.js';

const owner: Party = { kind: 'local', role: 'owner', name: 'Ms Lee' };
const TERMS = JSON.stringify({ version: 1, authority: 'owner', cameras: [{ camera: 'north', mode: 'clips' }] });

/** An uplink of so many bytes per second that counts what goes up, and can be cut without a word. */
async function slowUplink(targetPort: number, bytesPerSecond: number) {
  const link = { port: 0, sent: 0, dead: false };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: targetPort });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.on('data', (chunk: Buffer) => void (link.dead || client.write(chunk)));
    client.on('data', (chunk: Buffer) => {
      link.sent += chunk.length;
      client.pause();
      setTimeout(() => client.resume(), (chunk.length / bytesPerSecond) * 1000);
      if (!link.dead) upstream.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  link.port = (server.address() as AddressInfo).port;
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return link;
}

async function uploading(bytesPerSecond: number) {
  const center = await startVirtualCenter({ clock, log: silentLog, dir: tempDir() });
  const claim = center.claimFile('main-st', 'box-1');
  const link = await slowUplink(Number(new URL(claim.center.upload).port), bytesPerSecond);
  const upload = new URL(claim.center.upload);
  upload.port = String(link.port);
  claim.center.upload = upload.href;
  const state = store();
  const signer = newSigner();
  // The center takes clips of boxes that it has heard of.
  const agent = box(claim, state.calls, signer);
  agent.start();
  await until(() => center.boxes().some((known) => known.key === signer.keyId));
  const gate = await Gate.open({
    tables: state.calls,
    readPolicyFile: async () => TERMS,
    clockTrusted: () => true,
    clock,
    log: silentLog,
  });
  const ring = fakeRing(clock.now() - 60_000);
  const parts = { calls: state.calls, signer, ring, gate: fakeGate() };
  const room = clipRoom(claim, parts, { gate, chunkBytes: 64 * 1024 });
  await room.clips.start();
  onTestFinished(async () => {
    await room.stop();
    gate.close();
    await agent.stop('shutdown');
    await center.close();
    state.close();
  });
  const clip = (await room.clips.request({
    camera: 'north',
    fromMs: ring.startMs,
    toMs: ring.startMs + 8_000,
    rendition: 'original',
    priority: 'routine',
    party: { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' },
    door: 'mqtt',
    reason: 'robbery',
    send: true,
  }))!;
  await expect.poll(() => link.sent, { timeout: 20_000 }).toBeGreaterThan(200_000);
  return { gate, link, state, clip, room };
}

for (const uplink of ['present', 'absent'] as const) {
  test(`uplink ${uplink}: no byte of a running upload leaves 2 s after the owner's pause`, async () => {
    const { gate, link, state, clip } = await uploading(150_000);
    if (uplink === 'absent') link.dead = true;
    const before = link.sent;
    const started = clock.monotonic();
    await gate.pause(null, owner, 'private party');
    expect(clock.monotonic() - started).toBeLessThan(1_000);
    await clock.sleep(2_000);
    const after = link.sent;
    await clock.sleep(3_000);
    expect(link.sent).toBe(after);
    console.log(`uplink ${uplink}: ${before} bytes up at the pause, ${after - before} more within 2 s, 0 after`);
    await expect.poll(async () => (await state.calls.clips.get(clip.id))?.state).toBe('withheld');
    const rows = await state.calls.audit.list({ limit: 20, kind: 'access' });
    expect(rows.some((row) => row.outcome === 'failed' && row.bytes !== null)).toBe(true);
  }, 60_000);
}
