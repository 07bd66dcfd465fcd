import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { must, start, until } from '../../scripts/lib/program.js';
import type { Camera, Discovered } from '../../src/contract/camera.js';
import type { StatusBody } from '../../src/contract/http.js';
import { segmentFiles } from './site.js';
import { kept } from '../support/kept.js';

/** The box: cameras on one interface, its default route on another, as behind a cellular router. */
const BOX = 'bl-rec-box';
const CAMERAS = 'bl-rec-cams';
const PASSWORD = 'Blue-Light-9';

function ip(line: string): void {
  const result = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
}

function removeSpaces(): void {
  for (const space of [BOX, CAMERAS]) spawnSync('ip', ['netns', 'del', space]);
}

beforeAll(() => {
  removeSpaces();
  for (const space of [BOX, CAMERAS]) {
    ip(`netns add ${space}`);
    ip(`-n ${space} link set lo up`);
  }
  ip(`-n ${BOX} link add cam0 type veth peer name cam0 netns ${CAMERAS}`);
  ip(`-n ${BOX} link add up0 type veth peer name up0 netns ${CAMERAS}`);
  ip(`-n ${BOX} addr add 10.81.0.1/24 dev cam0`);
  ip(`-n ${CAMERAS} addr add 10.81.0.11/24 dev cam0`);
  ip(`-n ${BOX} addr add 10.82.0.2/24 dev up0`);
  ip(`-n ${CAMERAS} addr add 10.82.0.1/24 dev up0`);
  for (const space of [BOX, CAMERAS]) for (const dev of ['cam0', 'up0']) ip(`-n ${space} link set ${dev} up`);
  ip(`-n ${BOX} route add default via 10.82.0.1`);
});
afterAll(removeSpaces);

test('a digest-only camera with its profiles sub-first, away from the default route, is found and recorded whole', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-netns-'));
  const config = join(dir, 'bluelight.toml');
  const ring = join(dir, 'ring');
  // Interfaces are left to the default: every one but that of the default route.
  writeFileSync(
    config,
    `state_dir = ${JSON.stringify(join(dir, 'state'))}
[recording]
dir = ${JSON.stringify(ring)}
create = true
quota = "1GB"
[policy]
file = ${JSON.stringify(join(dir, 'policy.json'))}
[web]
port = 0
`,
  );
  const cameras = start(
    [
      'sim',
      'camera',
      '--address',
      '10.81.0.11',
      '--onvif-port',
      '80',
      '--rtsp-port',
      '554',
      '--order',
      'sub-first',
    ].concat(['--auth', 'digest', '--loop', '20', '--cache', kept('bluelight-test-footage'), '--password-stdin']),
    { namespace: CAMERAS, input: PASSWORD },
  );
  await cameras.ready;
  const agent = start(['run', '--config', config], { namespace: BOX });
  await agent.ready;
  const cli = <T>(args: string[], input?: string): Promise<T> => must<T>(['--config', config, ...args], { input });
  try {
    const found = await cli<Discovered[]>(['discover']);
    expect(found.map((one) => [one.address, one.interface])).toEqual([['10.81.0.11', 'cam0']]);
    const added = await cli<{ cameras: Camera[] }>(['camera', 'add', '10.81.0.11', '--username', 'admin'], PASSWORD);
    expect([added.cameras[0]!.main.width, added.cameras[0]!.sub!.width]).toEqual([1920, 640]);
    const long = await until(async () => {
      const { streams } = await cli<StatusBody>(['status']);
      return streams.length === 2 && streams.every((s) => s.state === 'recording' && s.ageMs !== null)
        ? true
        : undefined;
    }, 30_000);
    expect(long, agent.log()).toBe(true);
    // A segment is closed after about ten seconds: two files of the main stream mean that one is whole.
    expect(await until(async () => (segmentFiles(ring, 'cam-1.main').length > 1 ? true : undefined), 30_000)).toBe(
      true,
    );
  } finally {
    await agent.stop();
    await cameras.stop();
  }
  for (const [stream, width, height, fps] of [
    ['cam-1.main', 1920, 1080, 15],
    ['cam-1.sub', 640, 360, 10],
  ] as const) {
    const file = segmentFiles(ring, stream)[0]!;
    const probe = probed(file);
    expect(probe.streams).toHaveLength(1);
    expect(probe.streams[0]).toMatchObject({ codec_name: 'h264', width, height });
    expect(Number(probe.streams[0]!.nb_read_packets)).toBeGreaterThan(9 * fps);
    expect(spawnSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-'], { encoding: 'utf8' }).stderr).toBe('');
  }
  rmSync(dir, { recursive: true, force: true });
});

interface Probe {
  streams: { codec_name: string; width: number; height: number; nb_read_packets: string }[];
}

function probed(file: string): Probe {
  const args = ['-v', 'error', '-count_packets', '-show_streams', '-of', 'json', file];
  return JSON.parse(spawnSync('ffprobe', args, { encoding: 'utf8' }).stdout) as Probe;
}
