import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test as base } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { createLog, Redactor } from '../../src/base/log.js';
import { loginPrint } from '../../src/base/login-print.js';
import { systemProcesses, type Processes } from '../../src/base/processes.js';
import { createIngest, type Ingest, type IngestDeps } from '../../src/ingest/ingest.js';
import type { EngineName } from '../../src/ingest/ports.js';
import { splitNals } from '../../src/media/nal.js';
import { accessUnitsInFile, elementaryStream, inspect } from '../support/clips.js';
import { startGst, type GstOptions, type GstServer } from '../support/gst.js';
import { Recorder, saveRun, until } from '../support/recorder.js';

const PASSWORD = 'S3cret Pw!/@:%&';
const USER = 'admin';

/** A server, an ingest and what it recorded; all of it gone at the end of the test. */
class Rig {
  readonly #open: (() => Promise<void>)[] = [];

  async serve(options: GstOptions): Promise<GstServer> {
    const server = await startGst(options);
    this.#open.push(() => server.kill());
    return server;
  }

  ingest(more: Partial<IngestDeps> = {}): { ingest: Ingest; recorder: Recorder; log: string[] } {
    const recorder = new Recorder();
    const lines: string[] = [];
    const redactor = new Redactor();
    const clock = systemClock();
    const log = createLog({ redactor, level: 'debug', write: (line) => void lines.push(line) });
    const ingest = createIngest({ clock, processes: systemProcesses(clock), log, redactor, sink: recorder, ...more });
    this.#open.push(() => ingest.stop());
    return { ingest, recorder, log: lines };
  }

  async close(): Promise<void> {
    for (const close of this.#open.reverse()) await close();
  }
}

const test = base.extend<{ rig: Rig }>({
  rig: async ({ task: _task }, use) => {
    const rig = new Rig();
    await use(rig);
    await rig.close();
  },
});

function camera(engine: EngineName, server: GstServer, paths: { main: string; sub?: string }, password = PASSWORD) {
  const streams = Object.entries(paths).map(([role, path]) => ({
    role: role as 'main' | 'sub',
    uri: server.uri(path),
    engine,
  }));
  return { id: 'door', username: USER, password, streams };
}

/** Whether a text stands in the arguments of any process. */
function inAnyArgv(texts: readonly string[]): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return texts.some((text) => argv.includes(text));
      } catch (error) {
        // The process ended while we looked.
        return (error as NodeJS.ErrnoException).code === undefined;
      }
    });
}

const CASES = [
  { name: 'a plain H.264 camera', codec: 'h264', auth: 'none' },
  { name: 'a camera with G.711 audio', codec: 'h264', auth: 'none', audio: 'pcmu' },
  { name: 'a digest-only camera', codec: 'h264', auth: 'digest' },
  { name: 'an H.265 camera', codec: 'h265', auth: 'none' },
] as const;

describe.for(['native', 'ffmpeg'] as const)('by the %s engine', (engine) => {
  test.concurrent.for(CASES)(
    '$name is recorded: it plays, decodes and has every NAL unit as sent',
    async (what, { rig }) => {
      const file = await elementaryStream({ codec: what.codec, fps: 15, gop: 15, seconds: 4 });
      const mount = {
        path: '/main',
        file,
        codec: what.codec,
        fps: 15,
        audio: 'audio' in what ? what.audio : undefined,
      };
      const server = await rig.serve({ mounts: [mount], auth: what.auth, user: USER, password: PASSWORD });
      const { ingest, recorder, log } = rig.ingest();
      ingest.setCameras([camera(engine, server, { main: '/main' })]);
      let leaked = false;
      let nextLook = 0;
      await until('5 s are recorded', 15, () => {
        if (performance.now() > nextLook) {
          leaked ||= inAnyArgv([PASSWORD, encodeURIComponent(PASSWORD), 'S3cret']);
          nextLook = performance.now() + 300;
        }
        return recorder.seconds('door.main') > 5.2;
      });
      expect(leaked).toBe(false);
      expect(ingest.status()).toMatchObject([
        { stream: 'door.main', state: 'recording', engine, width: 320, height: 180 },
      ]);
      await ingest.stop();

      expect(recorder.runs.length).toBe(1);
      const run = recorder.runs[0]!;
      expect(run.end).toEqual({ reason: 'agent_stopped', detail: '' });
      expect(run.fragments.reduce((sum, one) => sum + one.frames, 0)).toBe(recorder.units.length);
      const seen = await inspect(saveRun(run));
      expect(seen.errors).toBe('');
      expect(seen.streams.length).toBe(1);
      expect(seen.frames).toBe(recorder.units.length);

      // GStreamer may leave a zero behind a unit, which is no part of it.
      const trimmed = (nals: Uint8Array[]): string[] =>
        nals.map((nal) =>
          Buffer.from(nal)
            .toString('hex')
            .replace(/(00)+$/, ''),
        );
      const sent = new Set(accessUnitsInFile(file, what.codec).map((nals) => trimmed(nals).join(' ')));
      for (const unit of recorder.unitsOf('door.main'))
        expect(sent.has(trimmed(splitNals(unit.data)).join(' '))).toBe(true);

      expect(log.join('')).not.toContain('S3cret');
    },
  );

  test.concurrent('a wrong password is tried once, by one stream, and never again by itself', async ({ rig }) => {
    const file = await elementaryStream();
    const mounts = ['/main', '/sub'].map((path) => ({ path, file, codec: 'h264' as const, fps: 15 }));
    const server = await rig.serve({ mounts, auth: 'digest', user: USER, password: PASSWORD });
    const refused: string[][] = [];
    const { ingest, recorder, log } = rig.ingest({ onRefused: (...what) => void refused.push(what) });
    const wrong = camera(engine, server, { main: '/main', sub: '/sub' }, 'Wr0ng-Password');
    ingest.setCameras([wrong]);
    await until('both streams say that the password is wrong', 10, () =>
      ingest.status().every((one) => one.state === 'auth_failed'),
    );
    expect(
      ingest
        .status()
        .map((one) => one.detail)
        .join(),
    ).toContain('user name or password');
    expect(
      recorder.gaps
        .filter((gap) => gap.reason === 'camera_refused')
        .map((gap) => gap.stream)
        .sort(),
    ).toEqual(['door.main', 'door.sub']);
    // Several backoffs pass; the only connection is the one that was refused.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(server.count('connected'), log.join('')).toBe(1);
    expect(refused).toEqual([['door', loginPrint(wrong)]]);
    expect(log.join('')).not.toContain('Wr0ng');

    ingest.setCameras([camera(engine, server, { main: '/main', sub: '/sub' })]);
    // Somebody else's word of the old one comes late.
    ingest.refuse('door', loginPrint(wrong));
    await until('the right password is used at once', 15, () =>
      ingest.status().every((one) => one.state === 'recording'),
    );
    expect(server.count('connected'), log.join('')).toBe(3);
  });

  test.concurrent('a frozen camera is seen as stalled, and recording goes on when it thaws', async ({ rig }) => {
    const file = await elementaryStream();
    const server = await rig.serve({ mounts: [{ path: '/main', file, codec: 'h264', fps: 15 }] });
    const { ingest, recorder } = rig.ingest({ limits: { stallMs: 3_000, firstPictureMs: 6_000 } });
    ingest.setCameras([camera(engine, server, { main: '/main' })]);
    await until('recording', 10, () => ingest.status()[0]?.state === 'recording');
    server.freeze();
    const frozenAt = performance.now();
    await until('stalled', 10, () => ingest.status()[0]?.state === 'stalled');
    expect(performance.now() - frozenAt).toBeLessThan(6_000);
    expect(recorder.runs[0]?.end?.reason).toBe('stream_stalled');
    server.thaw();
    await until('recording again', 20, () => recorder.runs.length > 1 && recorder.runs[1]!.fragments.length > 2);
    expect((await inspect(saveRun(recorder.runs[1]!))).errors).toBe('');
  });

  test.concurrent(
    'a camera that was switched off and comes back on the same address is recorded again',
    async ({ rig }) => {
      const file = await elementaryStream();
      const mounts = [{ path: '/main', file, codec: 'h264' as const, fps: 15 }];
      const server = await rig.serve({ mounts });
      const { ingest, recorder } = rig.ingest();
      ingest.setCameras([camera(engine, server, { main: '/main' })]);
      await until('recording', 10, () => ingest.status()[0]?.state === 'recording');
      await server.kill();
      await until('offline', 5, () => ingest.status()[0]?.state === 'offline');
      expect(recorder.runs[0]?.end?.reason).toBe('camera_offline');
      await rig.serve({ mounts, port: server.port });
      await until('recording again', 20, () => recorder.runs.length > 1);
      const [first, second] = recorder.runs;
      const last = first!.fragments.at(-1)!;
      expect(second!.start.wallMs).toBeGreaterThanOrEqual(last.wallMs + last.duration / 90);
    },
  );

  test.concurrent('new video settings end the run and start another without losing the key frame', async ({ rig }) => {
    const small = await elementaryStream({ width: 320, height: 180 });
    const large = await elementaryStream({ width: 640, height: 360 });
    const server = await rig.serve({ mounts: [{ path: '/main', file: small, codec: 'h264', fps: 15 }] });
    const { ingest, recorder } = rig.ingest();
    ingest.setCameras([camera(engine, server, { main: '/main' })]);
    await until('recording', 10, () => recorder.seconds('door.main') > 1);
    server.switchFile('/main', large);
    await until('second run', 10, () => (recorder.runs[1]?.fragments.length ?? 0) > 3);
    await ingest.stop();
    expect(recorder.runs.map((run) => run.start.format.width)).toEqual([320, 640]);
    expect(recorder.runs[0]!.end?.reason).toBe('format_changed');
    for (const run of recorder.runs) expect((await inspect(saveRun(run))).errors).toBe('');
    const [first, second] = recorder.runs;
    const last = first!.fragments.at(-1)!;
    expect(Math.abs(second!.start.wallMs - last.wallMs - last.duration / 90)).toBeLessThan(200);
  });
});

test.concurrent('a killed ffmpeg is started again within a second, and none is left behind', async ({ rig }) => {
  const file = await elementaryStream();
  const server = await rig.serve({ mounts: [{ path: '/main', file, codec: 'h264', fps: 15 }] });
  const pids: number[] = [];
  const real = systemProcesses(systemClock());
  const processes: Processes = {
    start(spec) {
      const process = real.start(spec);
      pids.push(process.pid);
      return process;
    },
  };
  const { ingest, recorder } = rig.ingest({ processes });
  ingest.setCameras([camera('ffmpeg', server, { main: '/main' })]);
  await until('recording', 10, () => recorder.seconds('door.main') > 0.5);
  process.kill(pids[0]!, 'SIGKILL');
  const killedAt = performance.now();
  await until('started again', 3, () => pids.length === 2);
  expect(performance.now() - killedAt).toBeLessThan(1_000);
  await until('recording again', 10, () => recorder.runs.length === 2);
  await ingest.stop();
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
});

test.concurrent(
  'a refusal is known from what the camera answers, also if ffmpeg ends without a word',
  async ({ rig }) => {
    const file = await elementaryStream();
    const mounts = [{ path: '/main', file, codec: 'h264' as const, fps: 15 }];
    const server = await rig.serve({ mounts, auth: 'digest', user: USER, password: PASSWORD });
    const real = systemProcesses(systemClock());
    const processes: Processes = {
      start: (spec) => real.start({ ...spec, args: spec.args.map((arg) => (arg === 'warning' ? 'quiet' : arg)) }),
    };
    const { ingest, log } = rig.ingest({ processes });
    ingest.setCameras([camera('ffmpeg', server, { main: '/main' }, 'Wr0ng-Password')]);
    await until('the password is said to be wrong', 10, () => ingest.status()[0]?.state === 'auth_failed');
    expect(server.count('connected'), log.join('')).toBe(1);
  },
);

test.concurrent('a camera that speaks only UDP is recorded by ffmpeg, and the status says so', async ({ rig }) => {
  const file = await elementaryStream();
  const mounts = [{ path: '/main', file, codec: 'h264' as const, fps: 15, transport: 'udp' as const }];
  const server = await rig.serve({ mounts });
  const { ingest, recorder } = rig.ingest();
  ingest.setCameras([
    { ...camera('native', server, { main: '/main' }), streams: [{ role: 'main', uri: server.uri('/main') }] },
  ]);
  await until('recording', 15, () => recorder.seconds('door.main') > 2);
  expect(ingest.status()).toMatchObject([
    { state: 'recording', engine: 'ffmpeg', detail: 'recorded by ffmpeg: the camera does not send video over TCP' },
  ]);
});
