import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import { runToEnd } from '../../src/base/processes.js';
import { startVirtualCameras } from '../../src/sim/camera/index.js';
import { cacheDir, clock, ff, PASSWORD, processes, rtspUrl, SMALL } from './rig.js';

test('faults are switched over HTTP while the camera runs', async () => {
  const sim = await startVirtualCameras({
    ...{ clock, processes, log: silentLog, cacheDir, controlPort: 0, discovery: false },
    cameras: [
      { id: 'c', address: '127.0.0.24', onvifPort: 0, rtspPort: 0, username: 'admin', password: PASSWORD, ...SMALL },
    ],
  });
  const base = `http://127.0.0.1:${String(sim.controlPort)}/cameras`;
  const post = (path: string, body: object): Promise<Response> =>
    fetch(`${base}/${path}`, { method: 'POST', body: JSON.stringify(body) });
  try {
    const { cameras } = (await (await fetch(base)).json()) as { cameras: { id: string; truth: object }[] };
    expect(cameras).toMatchObject([{ id: 'c', address: '127.0.0.24', truth: { seed: 7 } }]);
    expect(JSON.stringify(cameras)).not.toContain(PASSWORD);
    expect((await post('c/faults', { password: 'other' })).status).toBe(200);
    await expect(ff('ffprobe', [rtspUrl(sim.cameras[0]!, 'sub')])).rejects.toThrow(/401/);
    expect((await post('c/faults', { freeze: 'sideways' })).status).toBe(400);
    expect((await post('c/faults', { colour: 1 })).status).toBe(400);
    expect((await post('d/stop', {})).status).toBe(404);
    expect((await post('c/stop', {})).status).toBe(200);
    await expect(ff('ffprobe', [rtspUrl(sim.cameras[0]!, 'sub', 'other')])).rejects.toThrow(/refused/);
    await post('c/start', {});
    await ff('ffprobe', [rtspUrl(sim.cameras[0]!, 'sub', 'other')]);
  } finally {
    await sim.close();
  }
});

test('a video file is served as main and sub of the usual sizes, over its loop point', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bluelight-sim-'));
  const path = join(directory, 'film.mp4');
  const filter = 'testsrc2=size=480x360:rate=25:duration=5';
  await runToEnd(processes, { command: 'ffmpeg', args: ['-v', 'error', '-f', 'lavfi', '-i', filter, path] });
  const sim = await startVirtualCameras({
    ...{ clock, processes, log: silentLog, cacheDir: directory, discovery: false },
    cameras: [
      {
        ...{ id: 'f', address: '127.0.0.25', onvifPort: 0, rtspPort: 0, username: 'admin', password: PASSWORD },
        source: { kind: 'file', path },
        main: { kbps: 8_000 },
      },
    ],
  });
  try {
    const camera = sim.cameras[0]!;
    expect(camera.truth).toBeUndefined();
    const show = ['-show_entries', 'stream=width,height', '-of', 'csv=p=0'];
    expect((await ff('ffprobe', [...show, rtspUrl(camera, 'main')])).trim()).toBe('1920,1080');
    const args = ['-v', 'warning', '-xerror', '-rtsp_transport', 'tcp', '-t', '5', '-i', rtspUrl(camera, 'sub')];
    const child = processes.start({ command: 'ffmpeg', args: [...args, '-f', 'null', '-'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    expect((await child.ended).code).toBe(0);
    expect(errors).toBe('');
  } finally {
    await sim.close();
    rmSync(directory, { recursive: true });
  }
});

test('a file that is not there is named, with what to do', async () => {
  const started = startVirtualCameras({
    ...{ clock, processes, log: silentLog, cacheDir, discovery: false },
    cameras: [
      { id: 'x', address: '127.0.0.26', username: 'a', password: 'b', source: { kind: 'file', path: '/nowhere.mp4' } },
    ],
  });
  await expect(started).rejects.toMatchObject({ code: 'SIM_SOURCE', fix: expect.any(String) });
});
