import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { BluelightError } from '../../src/base/errors.js';
import { FakeClock } from '../../src/base/fake-clock.js';
import { Redactor, silentLog } from '../../src/base/log.js';
import { systemProcesses, type Processes, type ProcessSpec, type RunningProcess } from '../../src/base/processes.js';
import { planStill, type FragmentTimes } from '../../src/clips/still-plan.js';
import { decodeStill } from '../../src/clips/still.js';
import { Stills } from '../../src/clips/stills.js';
import { createIngest } from '../../src/ingest/ingest.js';
import { LiveFan } from '../../src/ingest/live.js';
import { accessUnitsOf, listFragments, parseFile } from '../../src/media/mp4.js';
import { concatBytes } from '../../src/media/nal.js';
import { readFrameStamp } from '../../src/media/sei.js';
import { startVirtualCameras } from '../../src/sim/camera/index.js';
import { elementaryStream } from '../support/clips.js';
import { Recorder, until, type RecordedRun } from '../support/recorder.js';
import { luma, reordered, segmentsOf, shownAt, someGrant, whichPicture, type Segments } from './still-rig.js';
import { kept } from '../support/kept.js';

const clock = systemClock();
const SIZE = { width: 640, height: 360 };
const SMALL = { width: 320, height: 180 };
const never = new AbortController().signal;

/** Real children, each noted; `instead` starts something else in ffmpeg's place. */
function children(instead?: ProcessSpec): { processes: Processes; started: RunningProcess[]; specs: ProcessSpec[] } {
  const real = systemProcesses(clock);
  const started: RunningProcess[] = [];
  const specs: ProcessSpec[] = [];
  const start = (spec: ProcessSpec): RunningProcess => {
    specs.push(spec);
    const child = real.start(instead ?? spec);
    started.push(child);
    return child;
  };
  return { processes: { start }, started, specs };
}

const silent = { subscribe: () => () => undefined };

function stillsOf(footage: Segments, more: Partial<ConstructorParameters<typeof Stills>[0]> = {}): Stills {
  return new Stills({ clock, processes: systemProcesses(clock), footage, live: silent, ...more });
}

/** What the virtual camera sent over RTSP in a few seconds, as ingest recorded it. */
async function recorded(seconds: number): Promise<RecordedRun> {
  const source = await elementaryStream({ seconds: 6 });
  const encoding = { fps: 15, gopSeconds: 1, kbps: 900 };
  const cameras = await startVirtualCameras({
    clock,
    processes: systemProcesses(clock),
    log: silentLog,
    cacheDir: kept('bluelight-test-clips'),
    discovery: false,
    cameras: [
      {
        id: 'gate',
        address: '127.0.0.91',
        onvifPort: 0,
        rtspPort: 0,
        username: 'admin',
        password: 'Blue-Light-1',
        source: { kind: 'file', path: source, maxSeconds: 6 },
        main: { ...SIZE, ...encoding },
        sub: false,
      },
    ],
  });
  const recorder = new Recorder();
  const ingest = createIngest({
    clock,
    processes: systemProcesses(clock),
    log: silentLog,
    redactor: new Redactor(),
    sink: recorder,
  });
  try {
    const streams = cameras.cameras[0]!.streams.map(({ role, uri }) => ({ role, uri, engine: 'native' as const }));
    ingest.setCameras([{ id: 'gate', username: 'admin', password: 'Blue-Light-1', streams }]);
    await until(`${seconds} s of footage`, 20, () => recorder.seconds('gate.main') > seconds);
  } finally {
    await ingest.stop();
    await cameras.close();
  }
  return recorder.runsOf('gate.main')[0]!;
}

interface Picture {
  /** Number that the camera gave it. */
  frame: number;
  wallMs: number;
}

function picturesOf(run: RecordedRun): Picture[] {
  return run.fragments.flatMap((fragment) =>
    accessUnitsOf(fragment.bytes, fragment).map((unit) => {
      const stamp = readFrameStamp('h264', unit.data);
      expect(stamp?.camera).toBe('gate.main');
      return { frame: stamp!.frame, wallMs: unit.wallMs };
    }),
  );
}

test('of a virtual camera: the picture of a moment is the one whose stamp says so, to the frame', async () => {
  const run = await recorded(4.2);
  const file = concatBytes([run.start.init, ...run.fragments.map((one) => one.bytes)]);
  const pictures = picturesOf(run);
  expect(pictures.map((one) => one.frame)).toEqual(pictures.map((_, i) => pictures[0]!.frame + i));
  const decoded = luma(file, SIZE);
  expect(decoded).toHaveLength(pictures.length);
  const stills = stillsOf(segmentsOf(file, run.start.wallMs, 2));
  const { grant } = someGrant();
  // First and last of a group, of a fragment, of all, and some between; a little off to either side.
  for (const [index, offMs] of [0, 7, 14, 15, 33, 60].map((i, n) => [i, ((n % 3) - 1) * 25] as const)) {
    const wanted = pictures[index]!;
    const at = Math.max(wanted.wallMs + offMs, pictures[0]!.wallMs);
    const still = await stills.take(grant, 'main', at, never);
    const shown = whichPicture(still.jpeg, decoded, SIZE);
    expect(pictures[shown.index]!.frame).toBe(wanted.frame);
    expect(shown.db).toBeGreaterThan(38);
    expect(shown.db).toBeGreaterThan(shown.nextDb + 3);
    expect(Math.abs(still.atMs - wanted.wallMs)).toBeLessThan(34);
  }
}, 60_000);

test.each([
  ['h264', false],
  ['h264', true],
  ['h265', false],
  ['h265', true],
] as const)(
  '%s with pictures out of order (open groups: %s) is exact too',
  async (codec, openGop) => {
    const file = reordered(codec, openGop);
    const decoded = luma(file, SMALL);
    const times = shownAt(file);
    expect(decoded).toHaveLength(times.length);
    const zeroMs = 1_000_000;
    const { init, fragments } = whole(file);
    for (const index of [0, 13, 14, 15, 31, 59]) {
      const plan = planStill(
        fragments.map((one) => one.times),
        times[index]! + 900,
      )!;
      expect(plan.pts).toBe(times[index]);
      const bytes = fragments.slice(plan.first, plan.last + 1).map((one) => one.bytes);
      const options = { clock, processes: systemProcesses(clock), signal: never };
      const shown = whichPicture(await decodeStill({ init, fragments: bytes, pts: plan.pts }, options), decoded, SMALL);
      expect(shown.index).toBe(index);
      expect(shown.db).toBeGreaterThan(33);
    }
    // Out of segments, the wall clock counts from the first picture that is shown.
    const { grant } = someGrant();
    const still = await stillsOf(segmentsOf(file, zeroMs, 9)).take(grant, 'main', zeroMs + 2_000, never);
    expect(whichPicture(still.jpeg, decoded, SMALL).index).toBe(30);
    expect(still.atMs).toBe(zeroMs + 2_000);
  },
  60_000,
);

function whole(file: Buffer): { init: Uint8Array; fragments: { times: FragmentTimes; bytes: Uint8Array }[] } {
  const { initBytes, fragments } = parseFile(file);
  return {
    init: file.subarray(0, initBytes),
    fragments: fragments.map((times) => ({ times, bytes: file.subarray(times.offset, times.offset + times.bytes) })),
  };
}

test('only what the picture needs is decoded: from the key frame before it', () => {
  const fragment = (decodeTime: number, key: boolean, offsets = [0, 0]): FragmentTimes => ({
    decodeTime,
    key,
    samples: offsets.map((compositionOffset, i) => ({ size: 1, duration: 10, compositionOffset, key: key && i === 0 })),
  });
  const run = [fragment(0, true), fragment(20, false), fragment(40, true), fragment(60, false), fragment(80, true)];
  expect(planStill(run, 31)).toEqual({ first: 0, last: 1, pts: 30 });
  expect(planStill(run, 44)).toEqual({ first: 2, last: 2, pts: 40 });
  expect(planStill(run, 45)).toEqual({ first: 2, last: 2, pts: 40 });
  expect(planStill(run, 46)).toEqual({ first: 2, last: 2, pts: 50 });
  expect(planStill(run, 'newest')).toEqual({ first: 4, last: 4, pts: 90 });
  expect(planStill(run, -500)).toEqual({ first: 0, last: 0, pts: 0 });
  expect(planStill(run, 1e9)).toEqual({ first: 4, last: 4, pts: 90 });
  // Sent behind the key frame of 60, shown before it: leans on the group before.
  const open = [fragment(0, true), fragment(20, false), fragment(40, true, [20, -10]), fragment(60, false)];
  expect(planStill(open, 40)).toEqual({ first: 0, last: 2, pts: 40 });
  expect(planStill(run.slice(1, 2), 20)).toBeNull();
  expect(planStill([], 'newest')).toBeNull();
});

function sample(): { init: Uint8Array; fragments: Uint8Array[]; pts: number } {
  const { init, fragments } = whole(reordered('h264', false));
  const first = fragments.slice(0, 2);
  return { init, fragments: first.map((one) => one.bytes), pts: first[1]!.times.decodeTime + 90_000 / 15 };
}

test('the child gets fixed words and one number; the footage comes through its stdin', async () => {
  const { processes, specs, started } = children();
  const job = sample();
  const jpeg = await decodeStill(job, { clock, processes, signal: never });
  expect(jpeg.subarray(0, 2).toString('hex')).toBe('ffd8');
  expect(specs).toHaveLength(1);
  expect(specs[0]!.args).toMatchInlineSnapshot(`
    [
      "-n",
      "10",
      "ffmpeg",
      "-hide_banner",
      "-nostdin",
      "-v",
      "error",
      "-protocol_whitelist",
      "pipe",
      "-threads",
      "2",
      "-max_pixels",
      "67108864",
      "-copyts",
      "-ignore_editlist",
      "1",
      "-f",
      "mp4",
      "-i",
      "pipe:0",
      "-vframes",
      "1",
      "-vcodec",
      "mjpeg",
      "-filter:v",
      "select=gte(pts\\,54000)",
      "-map",
      "0:v:0",
      "-fps_mode",
      "passthrough",
      "-q:v",
      "3",
      "-f",
      "mjpeg",
      "pipe:1",
    ]
  `);
  expect((await started[0]!.ended).code).toBe(0);
});

test('when nobody waits any more, or it takes too long, the child is gone', async () => {
  const sleeper = { command: 'sleep', args: ['60'] };
  const abort = new AbortController();
  const one = children(sleeper);
  const stopped = decodeStill(sample(), { clock, processes: one.processes, signal: abort.signal });
  await until('the child runs', 5, () => one.started.length === 1);
  abort.abort(new BluelightError('PAUSED_BY_OWNER', 'paused'));
  await expect(stopped).rejects.toMatchObject({ code: 'PAUSED_BY_OWNER' });
  expect(() => process.kill(one.started[0]!.pid, 0)).toThrow('ESRCH');

  const two = children(sleeper);
  const late = decodeStill(sample(), { clock, processes: two.processes, signal: never, deadlineMs: 100 });
  await expect(late).rejects.toMatchObject({ code: 'STILL_TIMEOUT', retryable: true });
  expect(() => process.kill(two.started[0]!.pid, 0)).toThrow('ESRCH');

  const three = children(sleeper);
  const before = decodeStill(sample(), { clock, processes: three.processes, signal: AbortSignal.abort() });
  await expect(before).rejects.toMatchObject({ name: 'AbortError' });
  expect(three.started).toHaveLength(0);
});

test('what cannot be decoded or started is an error of its own, and never more than that', async () => {
  const { processes } = children();
  const job = sample();
  const make = (more: Partial<typeof job>, options = {}): Promise<unknown> =>
    decodeStill({ ...job, ...more }, { clock, processes, signal: never, ...options });
  await expect(make({ init: new Uint8Array(800) })).rejects.toMatchObject({ code: 'STILL_FAILED' });
  await expect(make({ fragments: [Buffer.alloc(50_000, 7)] })).rejects.toMatchObject({ code: 'STILL_FAILED' });
  await expect(make({ pts: 1e12 })).rejects.toMatchObject({ code: 'STILL_FAILED', message: /no picture/ });
  await expect(make({ pts: Number.NaN })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  await expect(make({}, { maxBytes: 1_000 })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  const missing = children({ command: 'there-is-no-such-program', args: [] });
  await expect(make({}, missing)).rejects.toMatchObject({ code: 'STILL_FAILED' });
  const none: Processes = {
    start() {
      throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' });
    },
  };
  await expect(make({}, { processes: none })).rejects.toThrow('spawn ENOMEM');
});

test('one is decoded at a time, and a crowd is turned away', async () => {
  const real = systemProcesses(clock);
  let running = 0;
  let most = 0;
  const processes: Processes = {
    start(spec) {
      most = Math.max(most, ++running);
      const child = real.start(spec);
      void child.ended.then(() => running--);
      return child;
    },
  };
  const stills = stillsOf(segmentsOf(reordered('h264', false), 0), { processes });
  const { grant } = someGrant();
  const all = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => stills.take(grant, 'main', i * 100, never)),
  );
  expect(most).toBe(1);
  expect(all.filter((one) => one.status === 'fulfilled')).toHaveLength(16);
  for (const one of all)
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'BUSY', retryable: true });
  await expect(stills.take(grant, 'main', 900, never)).resolves.toBeDefined();
}, 40_000);

test('the gate is asked for the whole segment, which is waited for while it is being written', async () => {
  const fake = new FakeClock(1_000_000);
  const footage = segmentsOf(reordered('h264', false), 1_000_000 - 4_000);
  const stills = stillsOf(footage, { clock: fake });
  const { grant } = someGrant();
  const segment = footage.segments[3]!;
  const at = segment.startMs + 300;
  const past = footage.segments[1]!;
  const { startMs, endMs } = past;
  expect(await stills.range('gate', 'main', startMs + 10, never)).toEqual({ fromMs: startMs, toMs: endMs });
  expect(await stills.range('gate', 'main', 500_000, never)).toEqual({ fromMs: 500_000, toMs: 500_001 });
  await expect(stills.take(grant, 'main', 500_000, never)).rejects.toMatchObject({ code: 'NO_COVERAGE' });

  footage.openFromMs = segment.startMs;
  let known: unknown;
  void stills.range('gate', 'main', at, never).then((range) => (known = range));
  await fake.advance(3_000);
  expect(known).toBeUndefined();
  footage.openFromMs = Infinity;
  await fake.advance(500);
  expect(known).toEqual({ fromMs: segment.startMs, toMs: segment.endMs });

  footage.openFromMs = 0;
  const stuck = expect(stills.range('gate', 'main', at, never)).rejects.toMatchObject({ code: 'NOT_YET' });
  const abort = new AbortController();
  const gone = expect(stills.range('gate', 'main', at, abort.signal)).rejects.toMatchObject({ name: 'AbortError' });
  await fake.advance(700);
  abort.abort();
  await gone;
  await fake.advance(31_000);
  await stuck;
});

test('now: the newest picture of the stream that is recorded, not older than the question', async () => {
  const file = reordered('h264', false);
  const { init, fragments } = whole(file);
  const decoded = luma(file, SMALL);
  const times = shownAt(file);
  const fake = new FakeClock(1_000_000);
  const fan = new LiveFan();
  const live = {
    subscribe: (_grant: unknown, role: string, listener: Parameters<LiveFan['subscribe']>[1]) =>
      fan.subscribe(`gate.${role}`, listener),
  };
  const { grant, abort } = someGrant();
  const stills = stillsOf(segmentsOf(file, 0), { clock: fake, live });
  const zeroMs = 1_000_000 - 1_200;
  const tell = (index: number): void => {
    const { times: t, bytes } = fragments[index]!;
    fan.take({ stream: 'gate.main', kind: 'fragment', fragment: { key: t.key, bytes } });
  };
  fan.take({
    stream: 'gate.main',
    kind: 'run',
    run: { run: 'r', codec: '', width: 320, height: 180, zeroMs, init },
  });
  tell(0);
  tell(1);
  const next = fragments.findIndex((one) => one.times.decodeTime / 90 > 1_200);
  const still = stills.take(grant, 'main', null, never);
  for (let i = 2; i <= next; i++) tell(i);
  const shown = await still;
  const newest = times.filter((pts) => pts <= Math.max(...shownAtOf(fragments.slice(0, next + 1)))).length - 1;
  expect(whichPicture(shown.jpeg, decoded, SMALL).index).toBe(newest);
  expect(shown.atMs).toBeGreaterThanOrEqual(1_000_000);
  expect(fan.watched('gate.main')).toBe(0);

  // A camera that sends late: what there is after a while.
  await fake.advance(60_000);
  const late = stills.take(grant, 'main', null, never);
  await fake.advance(4_000);
  expect((await late).atMs).toBe(shown.atMs);

  const revoked = expect(stills.take(grant, 'main', null, never)).rejects.toMatchObject({ name: 'AbortError' });
  abort.abort();
  await revoked;
  fan.take({ stream: 'gate.main', kind: 'paused', reason: 'camera_offline', detail: 'it does not answer' });
  const other = someGrant().grant;
  await expect(stills.take(other, 'main', null, never)).rejects.toMatchObject({
    code: 'CAMERA_OFFLINE',
    message: /it does not answer/,
  });
  const unknown = expect(stills.take(other, 'sub', null, never)).rejects.toMatchObject({ code: 'CAMERA_OFFLINE' });
  await fake.advance(4_000);
  await unknown;
  expect(fan.watched('gate.main') + fan.watched('gate.sub')).toBe(0);
}, 30_000);

function shownAtOf(fragments: { bytes: Uint8Array }[]): number[] {
  return fragments.flatMap(({ bytes }) => accessUnitsOf(bytes).map((unit) => unit.pts));
}

test('what is cut off is told from what is whole', async () => {
  const file = reordered('h264', false);
  const footage = segmentsOf(file, 0);
  // A body that ends in the middle of its last fragment: the fragments before it are good.
  const body = footage.segments[1]!.body;
  footage.segments[1]!.body = body.subarray(0, body.length - 100);
  const left = listFragments(footage.segments[1]!.body).length;
  expect(left).toBe(listFragments(body).length - 1);
  const { grant } = someGrant();
  const still = await stillsOf(footage).take(grant, 'main', footage.segments[1]!.startMs + 100, never);
  expect(still.jpeg.length).toBeGreaterThan(1_000);
  footage.segments[2]!.body = Buffer.alloc(500);
  const damaged = stillsOf(footage).take(grant, 'main', footage.segments[2]!.startMs + 100, never);
  await expect(damaged).rejects.toMatchObject({ code: 'NO_COVERAGE' });
});
