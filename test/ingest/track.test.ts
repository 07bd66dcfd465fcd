import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { Track } from '../../src/ingest/track.js';
import { accessUnitsOf } from '../../src/media/mp4.js';
import { joinNals } from '../../src/media/nal.js';
import { accessUnitsInFile, elementaryStream } from '../support/clips.js';
import { Recorder } from '../support/recorder.js';

interface Camera {
  clock: FakeClock;
  recorder: Recorder;
  track: Track;
  pictures: Uint8Array[];
}

/** A track with a camera of 15 pictures a second, a key frame a second. */
async function setUp(): Promise<Camera> {
  const pictures = accessUnitsInFile(await elementaryStream(), 'h264').map((nals) => joinNals(nals));
  const clock = new FakeClock();
  const recorder = new Recorder();
  const track = new Track({ stream: 'c.main', camera: 'c', role: 'main', clock, sink: recorder });
  track.begin('native');
  return { clock, recorder, track, pictures };
}

const STEP = 6_000;

/** Sends pictures `from` to `to` of the loop; `shift` is added to their times. */
async function play(camera: Camera, from: number, to: number, shift = 0): Promise<void> {
  for (let i = from; i < to; i++) {
    await camera.clock.advance(1000 / 15);
    const dts = i * STEP + shift;
    const data = camera.pictures[i % camera.pictures.length]!;
    camera.track.picture({ data, dts, pts: dts, arrivedMs: camera.clock.monotonic() });
  }
}

test('a run starts at a key frame, its times count from there, and nothing is lost at its end', async () => {
  const camera = await setUp();
  await play(camera, 5, 40, 1_000_000);
  camera.track.end('agent_stopped', '');
  const { runs, units } = camera.recorder;
  expect(runs.length).toBe(1);
  // The first key frame after picture 5 is picture 15.
  expect(units.length).toBe(40 - 15);
  expect(units.map((one) => one.unit.dts)).toEqual(Array.from({ length: 25 }, (_, index) => index * STEP));
  expect(units.every((one) => one.unit.duration === STEP)).toBe(true);
  const inFragments = runs[0]!.fragments.flatMap((one) => accessUnitsOf(one.bytes));
  expect(inFragments.map((one) => one.dts)).toEqual(units.map((one) => one.unit.dts));
  expect(runs[0]!.fragments[0]!.key).toBe(true);
});

test('a hiccup of the clock becomes a short picture, a jump a new run', async () => {
  const camera = await setUp();
  await play(camera, 0, 10);
  await play(camera, 10, 20, -2 * STEP);
  expect(camera.recorder.runs.length).toBe(1);
  await play(camera, 20, 50, 90_000 * 3600);
  camera.track.end('agent_stopped', '');
  const { runs, units } = camera.recorder;
  expect(runs.length).toBe(2);
  expect(runs[0]!.end).toMatchObject({ reason: 'stream_invalid' });
  for (const run of runs) {
    const own = run.fragments.flatMap((one) => accessUnitsOf(one.bytes));
    let next = 0;
    for (const unit of own) {
      expect(unit.dts).toBe(next);
      expect(unit.duration).toBeGreaterThan(0);
      next += unit.duration;
    }
  }
  expect(units.length).toBe(20 + (50 - 30));
});

test('a pause of an encoder with variable rate stays one run, with the time as it was', async () => {
  const camera = await setUp();
  await play(camera, 0, 20);
  await camera.clock.advance(3_000);
  await play(camera, 20, 40, 3 * 90_000);
  expect(camera.recorder.runs.length).toBe(1);
  const long = camera.recorder.units.find((one) => one.unit.duration > STEP);
  expect(long?.unit.duration).toBe(STEP + 3 * 90_000);
});

test('lost packets end the run; it goes on at the next key frame as a new one', async () => {
  const camera = await setUp();
  await play(camera, 0, 20);
  camera.track.lost('3 packets of the camera are missing');
  await play(camera, 20, 50);
  camera.track.end('agent_stopped', '');
  const { runs, units } = camera.recorder;
  expect(runs.map((run) => run.end?.reason)).toEqual(['stream_lost_packets', 'agent_stopped']);
  expect(units.length).toBe(20 + (50 - 30));
});

test('a burst of old pictures at the start does not shift the time', async () => {
  const camera = await setUp();
  const begin = camera.clock.now();
  for (let i = 0; i < 30; i++) {
    const data = camera.pictures[i]!;
    camera.track.picture({ data, dts: i * STEP, pts: i * STEP, arrivedMs: camera.clock.monotonic() });
  }
  await play(camera, 30, 60);
  const [first] = camera.recorder.units;
  // Picture 30 came 1/15 s after the burst, so picture 0 is two seconds older than the begin.
  expect(first!.unit.wallMs).toBeCloseTo(begin - 29 * (1000 / 15), 0);
});

test('a clock that is set starts a new run at a key frame, without losing a picture', async () => {
  const camera = await setUp();
  await play(camera, 0, 20);
  camera.clock.stepWall(3_600_000);
  await play(camera, 20, 40);
  camera.track.end('agent_stopped', '');
  const { runs, units } = camera.recorder;
  expect(runs.length).toBe(2);
  expect(units.length).toBe(40);
  expect(runs[1]!.start.wallMs - runs[0]!.start.wallMs).toBeCloseTo(3_600_000 + 2_000, -1);
});

test('a small correction of the clock is followed slowly inside the run', async () => {
  const camera = await setUp();
  await play(camera, 0, 20);
  camera.clock.stepWall(500);
  await play(camera, 20, 120);
  expect(camera.recorder.runs.length).toBe(1);
  const walls = camera.recorder.units.map((one) => one.unit.wallMs);
  for (let i = 1; i < walls.length; i++) {
    const step = walls[i]! - walls[i - 1]!;
    expect(Math.abs(step - 1000 / 15)).toBeLessThan((1000 / 15) * 0.0011);
  }
});

test('the reason of a gap is told once, and again when it changes', async () => {
  const { track, recorder } = await setUp();
  track.end('starting', '');
  track.end('camera_offline', 'a');
  track.end('camera_offline', 'b');
  track.end('camera_refused', 'c');
  expect(recorder.gaps.map((gap) => gap.reason)).toEqual(['starting', 'camera_offline', 'camera_refused']);
});

test('key frames without parameter sets start nothing and say why', async () => {
  const camera = await setUp();
  camera.pictures = camera.pictures.map((data) => {
    const nals = accessUnitsWithoutSets(data);
    return joinNals(nals);
  });
  await play(camera, 0, 40);
  expect(camera.recorder.runs).toEqual([]);
  expect(camera.track.keyProblem).toContain('parameter sets');
});

function accessUnitsWithoutSets(data: Uint8Array): Uint8Array[] {
  const nals: Uint8Array[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at < data.length;) {
    const length = view.getUint32(at);
    const nal = data.subarray(at + 4, at + 4 + length);
    if (![7, 8].includes(nal[0]! & 0x1f)) nals.push(nal);
    at += 4 + length;
  }
  return nals;
}

test('damaged pictures of any kind are taken without an error, and what is recorded stays readable', async () => {
  const camera = await setUp();
  const whole = camera.pictures;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ picture: fc.nat(59), at: fc.nat(), value: fc.nat(255), cut: fc.nat(3), shift: fc.integer() }),
      ),
      async (faults) => {
        camera.pictures = whole.map((data) => data.slice());
        camera.track.begin('native');
        for (const { picture, at, value, cut } of faults) {
          const data = camera.pictures[picture]!;
          data[at % data.length] = value;
          if (cut === 0) camera.pictures[picture] = data.subarray(0, at % data.length);
        }
        await play(camera, 0, 60, faults[0]?.shift ?? 0);
        camera.track.end('unknown', '');
      },
    ),
    { numRuns: 100 },
  );
  for (const run of camera.recorder.runs) {
    const times = run.fragments.flatMap((one) => accessUnitsOf(one.bytes)).map((unit) => unit.dts);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(run.end).toBeDefined();
  }
});

test('a clock that is set changes what time it is, not when a picture came after the one before', async () => {
  const camera = await setUp();
  const { clock, track, recorder, pictures } = camera;
  // A loaded box: pictures arrive up to 0.4 s late; the camera knows when it took them.
  const begin = clock.monotonic();
  const arrivals = [...pictures, ...pictures].slice(0, 150).map((data, i) => {
    const taken = begin + (i + 1) * (1000 / 15);
    return { data, dts: i * STEP, taken, late: taken + 150 + ((i * 7919) % 251) };
  });
  const cameraMinusMono = clock.now() - clock.monotonic();
  for (const [i, { data, dts, taken, late }] of arrivals.entries()) {
    await clock.advance(Math.max(0, late - clock.monotonic()));
    if (i === 50) clock.stepWall(86_400_000);
    if (i === 100) clock.stepWall(-86_400_000);
    track.picture({ data, dts, pts: dts, arrivedMs: clock.monotonic(), cameraWallMs: taken + cameraMinusMono });
  }
  track.end('agent_stopped', '');
  expect(recorder.runs).toHaveLength(3);
  const units = recorder.units.map((one) => one.unit);
  for (let i = 1; i < units.length; i++) {
    const step = units[i]!.monoMs - units[i - 1]!.monoMs;
    expect(Math.abs(step - 1000 / 15), `picture ${i}`).toBeLessThan(0.1);
  }
  for (const [i, unit] of units.entries()) {
    const day = i >= 60 && i < 105 ? 86_400_000 : 0;
    expect(Math.abs(unit.wallMs - unit.monoMs - cameraMinusMono - day)).toBeLessThan(2);
    expect(Math.abs(unit.monoMs - arrivals[i]!.taken)).toBeLessThan(20);
  }
});
