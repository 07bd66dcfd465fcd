import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site } from '../../scripts/lib/site.js';
import type { Camera } from '../../src/contract/camera.js';
import { elementaryStream } from '../support/clips.js';
import { startGst, type GstServer } from '../support/gst.js';

const dir = mkdtempSync(join(tmpdir(), 'bluelight-gst-'));
const site = new Site({ dir, cameras: 0, settings: { motion: { enabled: false } } });
const login = { auth: 'digest' as const, user: 'admin', password: site.password };
const servers: GstServer[] = [];

async function serve(port = 0): Promise<GstServer> {
  const file = await elementaryStream();
  const server = await startGst({ ...login, port, mounts: [{ path: '/main', file, codec: 'h264', fps: 15 }] });
  servers.push(server);
  return server;
}

beforeAll(async () => {
  site.writeConfig();
  await site.startAgent();
});
afterAll(async () => {
  await site.close();
  for (const server of servers) await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** ms until bytes of every camera reach the disk again; undefined if that takes longer than 30 s. */
async function back(cameras: string[]): Promise<number | undefined> {
  const cured = performance.now();
  return until(async () => {
    const { streams } = await site.status();
    const alive = streams.filter((one) => one.state === 'recording' && one.ageMs !== null && one.ageMs < 1_500);
    return cameras.every((id) => alive.some((one) => one.camera === id)) ? performance.now() - cured : undefined;
  }, 30_000);
}

test('cameras of another maker, known by their stream alone, are back within 30 s after a freeze and a power cut', async () => {
  const [frozen, cut, bystander] = [await serve(), await serve(), await serve()];
  for (const server of [frozen, cut, bystander]) {
    await site.cli<{ cameras: Camera[] }>(['camera', 'add', server.uri('/main'), '--name', 'gst'], site.password);
  }
  expect(await site.recording(3, 30_000)).toBeDefined();
  frozen.freeze();
  await cut.kill();
  const seen = await until(async () => {
    const { streams } = await site.status();
    const gone = streams.filter((one) => one.state !== 'recording').map((one) => one.camera);
    return gone.includes('cam-1') && gone.includes('cam-2') ? gone : undefined;
  }, 30_000);
  expect(seen?.sort()).toEqual(['cam-1', 'cam-2']);
  frozen.thaw();
  await serve(cut.port);
  const ms = await back(['cam-1', 'cam-2']);
  console.info(`back after ${String(Math.round(ms ?? -1))} ms`);
  expect(ms).toBeLessThan(30_000);
  const { streams } = await site.status();
  expect(streams.map((one) => [one.camera, one.state])).toEqual(
    ['cam-1', 'cam-2', 'cam-3'].map((id) => [id, 'recording']),
  );
});
