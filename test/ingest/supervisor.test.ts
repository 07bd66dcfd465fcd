import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { FakeClock } from '../../src/base/fake-clock.js';
import { createLog, Redactor, silentLog } from '../../src/base/log.js';
import { systemProcesses, type Processes } from '../../src/base/processes.js';
import { createIngest, type IngestStatus } from '../../src/ingest/ingest.js';
import { CameraLogins } from '../../src/ingest/logins.js';
import { DEFAULT_LIMITS } from '../../src/ingest/ports.js';
import type { Admission, Engine, EngineEnd, EngineEvents, IngestLimits } from '../../src/ingest/ports.js';
import { parseSource } from '../../src/ingest/source.js';
import { StreamSupervisor } from '../../src/ingest/supervisor.js';
import { Track } from '../../src/ingest/track.js';
import { joinNals } from '../../src/media/nal.js';
import { accessUnitsInFile, elementaryStream } from '../support/clips.js';
import { Recorder, until } from '../support/recorder.js';

/** An engine whose sessions a test plays by hand. */
class HandEngine implements Engine {
  readonly sessions: { events: EngineEvents; end: (end: EngineEnd) => void; at: number }[] = [];

  constructor(
    readonly name: 'native' | 'ffmpeg',
    private readonly clock: FakeClock,
  ) {}

  open(_source: unknown, events: EngineEvents) {
    let end: (end: EngineEnd) => void = () => undefined;
    const ended = new Promise<EngineEnd>((resolve) => (end = resolve));
    this.sessions.push({ events, end, at: this.clock.monotonic() });
    return { ended, stop: () => end({ cause: 'stopped', detail: '' }) };
  }

  get last() {
    return this.sessions.at(-1)!;
  }
}

function setUp(limits: Partial<IngestLimits> = {}, admit?: () => Promise<Admission>) {
  const clock = new FakeClock();
  const recorder = new Recorder();
  const native = new HandEngine('native', clock);
  const ffmpeg = new HandEngine('ffmpeg', clock);
  const seen: IngestStatus[] = [];
  let refusals = 0;
  const id = { stream: 'c.main', camera: 'c', role: 'main' as const };
  const supervisor = new StreamSupervisor({
    status: id,
    source: { stream: id.stream, url: parseSource('rtsp://10.0.0.5/x'), username: 'u', password: 'p' },
    engines: [native, ffmpeg],
    logins: new CameraLogins(clock),
    track: new Track({ ...id, clock, sink: recorder }),
    clock,
    log: silentLog,
    limits: { ...DEFAULT_LIMITS, ...limits },
    random: () => 1,
    admit,
    onStatus: (status) => void seen.push(status),
    onRefused: () => refusals++,
  });
  return { clock, recorder, native, ffmpeg, supervisor, seen, refusals: () => refusals };
}

/** Lets time pass after everything that is due now has happened. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  await clock.advance(0);
  await clock.advance(ms);
}

const OFFLINE: EngineEnd = { cause: 'offline', detail: 'the camera does not answer' };

test('retries wait longer and longer, and no longer than 15 s for a camera that is away', async () => {
  const { clock, native, supervisor } = setUp();
  supervisor.start();
  await pass(clock, 0);
  for (let i = 0; i < 10; i++) {
    native.last.end(OFFLINE);
    await pass(clock, 15_000);
  }
  const starts = native.sessions.map((one) => one.at);
  expect(starts.length).toBe(11);
  // Each try follows its wait to the millisecond (random is 1: the whole wait).
  expect(starts.map((at, index) => (index === 0 ? 0 : at - (index - 1) * 15_000))).toEqual([
    0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000, 15_000,
  ]);
  await supervisor.stop('agent_stopped', '');
});

test('what is broken waits up to a minute; a minute of good pictures forgets the failures', async () => {
  const { clock, native, supervisor, recorder } = setUp();
  const pictures = accessUnitsInFile(await elementaryStream(), 'h264').map((nals) => joinNals(nals));
  supervisor.start();
  await pass(clock, 0);
  const broken: EngineEnd = { cause: 'broken', detail: 'x' };
  for (let i = 0; i < 9; i++) {
    native.last.end(broken);
    await pass(clock, 60_000);
  }
  const tries = native.sessions.length;
  native.last.end(broken);
  await pass(clock, 59_000);
  expect(native.sessions.length).toBe(tries);
  await pass(clock, 1_000);
  expect(native.sessions.length).toBe(tries + 1);
  native.last.events.accepted();
  for (let i = 0; i < 15 * 61; i++) {
    await clock.advance(1000 / 15);
    native.last.events.picture({ data: pictures[i % 60]!, dts: i * 6000, pts: i * 6000, arrivedMs: clock.monotonic() });
  }
  expect(recorder.runs.length).toBe(1);
  expect(supervisor.status).toMatchObject({ state: 'recording', engine: 'native', width: 320, height: 180, fps: 15 });
  native.last.end(broken);
  await pass(clock, 500);
  expect(native.sessions.length).toBe(tries + 2);
  await supervisor.stop('agent_stopped', '');
});

test('a hundred times of what a stream usually sends is cut off, and so it is after the next login', async () => {
  const { clock, native, supervisor, recorder } = setUp();
  const pictures = accessUnitsInFile(await elementaryStream(), 'h264').map((nals) => joinNals(nals));
  supervisor.start();
  await pass(clock, 0);
  native.last.events.accepted();
  let sent = 0;
  const send = async (seconds: number, bytes: number): Promise<void> => {
    for (let i = 0; i < 15 * seconds; i++, sent++) {
      await clock.advance(1000 / 15);
      const { events } = native.last;
      events.received(bytes);
      events.picture({ data: pictures[sent % 60]!, dts: sent * 6000, pts: sent * 6000, arrivedMs: clock.monotonic() });
    }
  };
  // 0.36 Mbit/s, with a burst of ten times; a hundred times that are 36 Mbit/s, which a large stream may have.
  await send(60, 3_000);
  await send(10, 30_000);
  expect(supervisor.status.state).toBe('recording');
  for (let s = 0; s < 5 && supervisor.status.state !== 'invalid'; s += 0.2) await send(0.2, 300_000);
  expect(supervisor.status).toMatchObject({
    state: 'invalid',
    detail: expect.stringContaining('than it usually does'),
  });
  expect(recorder.gaps.at(-1)?.reason).toBe('stream_invalid');
  await pass(clock, 1_000);
  expect(native.sessions.length).toBe(2);
  native.last.events.accepted();
  await send(1, 300_000);
  expect(supervisor.status.state).toBe('recording');
  for (let s = 0; s < 5 && supervisor.status.state !== 'invalid'; s += 0.2) await send(0.2, 300_000);
  expect(supervisor.status.state).toBe('invalid');
  await supervisor.stop('agent_stopped', '');
});

test('where the first engine cannot speak to a camera the second does, and says so', async () => {
  const { clock, native, ffmpeg, supervisor } = setUp();
  supervisor.start();
  await pass(clock, 0);
  native.last.end({ cause: 'unsupported', detail: 'the camera does not send video over TCP' });
  await pass(clock, 0);
  expect(ffmpeg.sessions.length).toBe(1);
  ffmpeg.last.end(OFFLINE);
  await pass(clock, 1_000);
  expect([native.sessions.length, ffmpeg.sessions.length]).toEqual([1, 2]);
  await supervisor.stop('agent_stopped', '');
});

test.each(['native', 'ffmpeg'] as const)('video of a kind that is not recorded (told by %s) is said once, no other engine or loop, and looked at again', async (by) => {
  const { clock, native, ffmpeg, supervisor, seen } = setUp();
  supervisor.start();
  await pass(clock, 0);
  if (by === 'ffmpeg') native.last.end({ cause: 'unsupported', detail: 'x' });
  await pass(clock, 0);
  (by === 'native' ? native : ffmpeg).last.end({ cause: 'unfit', detail: 'the camera sends JPEG; set it to H.264' });
  await pass(clock, 299_000);
  expect([native.sessions.length, ffmpeg.sessions.length]).toEqual([1, by === 'ffmpeg' ? 1 : 0]);
  expect(seen.at(-1)).toMatchObject({ state: 'invalid', detail: 'the camera sends JPEG; set it to H.264' });
  await pass(clock, 1_000);
  expect(native.sessions.length).toBe(2);
  await supervisor.stop('agent_stopped', '');
}); // prettier-ignore

test('a refusal is reported once, stays for 35 minutes and is followed by one try', async () => {
  const { clock, native, supervisor, refusals, recorder } = setUp();
  supervisor.start();
  await pass(clock, 0);
  native.last.end({ cause: 'refused', detail: 'the camera refuses the user name or password' });
  await pass(clock, 34 * 60_000);
  expect([native.sessions.length, refusals()]).toEqual([1, 1]);
  expect(supervisor.status.state).toBe('auth_failed');
  expect(recorder.gaps.at(-1)?.reason).toBe('camera_refused');
  await pass(clock, 60_001);
  expect(native.sessions.length).toBe(2);
  await supervisor.stop('agent_stopped', '');
});

test('while the box holds its logins back none is tried, however long; when it no longer does one is, soon', async () => {
  let admission: Admission = { ok: false, held: true, detail: 'it refused its password' };
  const { clock, native, supervisor, recorder } = setUp({}, () => Promise.resolve(admission));
  supervisor.start();
  await pass(clock, 3 * 3_600_000);
  expect(native.sessions.length).toBe(0);
  expect(supervisor.status).toMatchObject({ state: 'auth_failed', detail: 'it refused its password' });
  expect(recorder.gaps.map((gap) => gap.reason)).toEqual(['starting', 'camera_refused']);
  admission = { ok: true };
  await pass(clock, 15_000);
  expect(native.sessions.length).toBe(1);
  await supervisor.stop('agent_stopped', '');
});

test('a camera that says nothing, or too much, is cut off', async () => {
  const { clock, native, supervisor, seen } = setUp();
  supervisor.start();
  await pass(clock, 16_000);
  expect(seen.at(-1)).toMatchObject({ state: 'stalled', detail: 'connected, but no picture came' });
  await pass(clock, 1_000);
  const session = native.last;
  for (let i = 0; i < 4; i++) {
    session.events.received(30_000_000);
    await pass(clock, 500);
  }
  expect(seen.at(-1)).toMatchObject({ state: 'invalid' });
  expect(seen.at(-1)?.detail).toContain('more data');
  await pass(clock, 2_000);
  native.last.events.picture({ data: new Uint8Array(9 * 1024 * 1024), dts: 0, pts: 0, arrivedMs: 0 });
  await pass(clock, 0);
  expect(seen.at(-1)?.detail).toContain('larger');
  await supervisor.stop('agent_stopped', '');
});

test('an engine that does not end when told to is left behind, and what it says later is not heard', async () => {
  const { clock, native, supervisor, recorder } = setUp();
  const deaf = new Promise<EngineEnd>(() => undefined);
  const events: EngineEvents[] = [];
  native.open = (_source, own) => {
    events.push(own);
    return { ended: deaf, stop: () => ({ cause: 'stopped', detail: '' }) as never };
  };
  const pictures = accessUnitsInFile(await elementaryStream(), 'h264').map((nals) => joinNals(nals));
  supervisor.start();
  await pass(clock, 0);
  await pass(clock, 16_000);
  await pass(clock, 6_000);
  expect(events.length).toBeGreaterThan(1);
  for (let i = 0; i < 30; i++) {
    events[0]!.picture({ data: pictures[i]!, dts: i * 6000, pts: i * 6000, arrivedMs: clock.monotonic() });
    await pass(clock, 66);
  }
  expect(recorder.runs).toEqual([]);
  const stopping = supervisor.stop('agent_stopped', '');
  await pass(clock, 6_000);
  await stopping;
});

/** Starts a stand-in instead of ffmpeg. */
function standIn(script: string, pids: number[]): Processes {
  const real = systemProcesses(systemClock());
  return {
    start(spec) {
      const process_ = real.start({ ...spec, command: process.execPath, args: ['-e', script] });
      pids.push(process_.pid);
      return process_;
    },
  };
}

const CAMERA = {
  id: 'c',
  username: 'u',
  password: 'Canary-9',
  streams: [{ role: 'main' as const, uri: 'rtsp://127.0.0.1:9/x', engine: 'ffmpeg' as const }],
};

test('an ffmpeg that ignores TERM and floods its log is killed, and the log stays small', async () => {
  const lines: string[] = [];
  const pids: number[] = [];
  const redactor = new Redactor();
  const log = createLog({ redactor, level: 'debug', write: (line) => void lines.push(line) });
  const flood =
    "process.on('SIGTERM',()=>{}); setInterval(()=>process.stderr.write('rtsp://u:Canary-9@host went wrong\\n'.repeat(1000)),1)";
  const ingest = createIngest({
    clock: systemClock(),
    processes: standIn(flood, pids),
    log,
    redactor,
    sink: new Recorder(),
    limits: { firstPictureMs: 1_500 },
  });
  onTestFinished(() => ingest.stop());
  ingest.setCameras([CAMERA]);
  await until('cut off', 10, () => ingest.status()[0]?.state === 'stalled');
  expect(() => process.kill(pids[0]!, 0)).toThrow();
  expect(lines.length).toBeLessThan(30);
  expect(lines.join('')).toContain('went wrong');
  expect(lines.join('')).not.toContain('Canary');
  await ingest.stop();
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
});

test('an ffmpeg that ends at once, again and again, is not started in a loop', async () => {
  const pids: number[] = [];
  const ingest = createIngest({
    clock: systemClock(),
    processes: standIn('0', pids),
    log: silentLog,
    redactor: new Redactor(),
    sink: new Recorder(),
  });
  onTestFinished(() => ingest.stop());
  ingest.setCameras([CAMERA]);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(pids.length).toBeGreaterThan(1);
  expect(pids.length).toBeLessThan(6);
});

test('an ffmpeg that writes garbage is cut off as invalid', async () => {
  const ingest = createIngest({
    clock: systemClock(),
    processes: standIn("process.stdout.write(require('crypto').randomBytes(1e6)); setInterval(()=>{},1000)", []),
    log: silentLog,
    redactor: new Redactor(),
    sink: new Recorder(),
  });
  onTestFinished(() => ingest.stop());
  ingest.setCameras([CAMERA]);
  await until('cut off', 5, () => ingest.status()[0]?.state === 'invalid');
});

test('an address that is none is shown as invalid with the fix, and the other stream runs', async () => {
  const recorder = new Recorder();
  const ingest = createIngest({
    clock: systemClock(),
    processes: standIn('setInterval(()=>{},1000)', []),
    log: silentLog,
    redactor: new Redactor(),
    sink: recorder,
  });
  onTestFinished(() => ingest.stop());
  const bad = { role: 'sub' as const, uri: 'http://10.0.0.5/x' };
  ingest.setCameras([{ ...CAMERA, streams: [...CAMERA.streams, bad] }]);
  const states = new Map(ingest.status().map((one) => [one.stream, one]));
  expect(states.get('c.sub')).toMatchObject({ state: 'invalid' });
  expect(states.get('c.sub')?.detail).toContain('only rtsp:// is supported');
  expect(states.get('c.main')?.state).toBe('starting');
  expect(recorder.gaps).toContainEqual(expect.objectContaining({ stream: 'c.sub', reason: 'stream_invalid' }));
});
