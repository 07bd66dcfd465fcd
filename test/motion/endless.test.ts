import { expect, test } from 'vitest';
import type { AccessUnit, VideoFormat } from '../../src/media/stream.js';
import { FRAME_HEIGHT, FRAME_WIDTH } from '../../src/motion/grid.js';
import type { Incident } from '../../src/motion/incidents.js';
import { Watcher, type Decoders } from '../../src/motion/watcher.js';
import { Scene } from '../../src/sim/scene/index.js';

const FPS = 10;
const LOOP_S = 10;
const SECONDS = 60;
const FORMAT: VideoFormat = { codec: 'h264', width: 640, height: 360, codecString: '', parameterSets: [] };

/**
 * Pictures as they were rendered: what an encoder makes of them differs from run to run, and here a few levels decide
 * whether the remains of a vehicle look like one.
 */
function showing(pictures: readonly Uint8Array[]): Decoders {
  const pictureOf = (unit: AccessUnit): Uint8Array => pictures[unit.data[0]!]!;
  return {
    key: (_format, unit, done) => done(pictureOf(unit)),
    open: (_format, onFrame) => ({
      feed(unit) {
        onFrame(unit, pictureOf(unit));
        return true;
      },
      close: () => undefined,
    }),
  };
}

/** The incidents, in seconds, of a minute of a looping street that begins at that second of the loop. */
function begunAt(street: Scene, second: number): Incident[] {
  const size = { width: FRAME_WIDTH, height: FRAME_HEIGHT, fps: FPS };
  const pictures = [...street.grayFrames(size)].map(({ gray }) => gray);
  const incidents: Incident[] = [];
  const watcher = new Watcher({
    ...{ decoders: showing(pictures), cadence: 'adaptive', wallTime: false },
    onIncident: ({ phase, incident }) => void (phase === 'end' && incidents.push(incident)),
  });
  watcher.runStart(FORMAT);
  for (let i = 0; i < SECONDS * FPS; i++) {
    const at = (second * FPS + i) % pictures.length;
    const time = { dts: i * 9_000, pts: i * 9_000, duration: 9_000, wallMs: 0, monoMs: 0 };
    watcher.accessUnit({ ...time, data: Uint8Array.of(at), key: at % FPS === 0 });
  }
  watcher.runEnd();
  return incidents.map((one) => ({ ...one, start: one.start / 1000, end: one.end / 1000 }));
}

test.each([
  [3, 4],
  [6, 4],
  [6, 5],
])('street %i, begun at second %i in the middle of a passage: each further one is told by itself', (seed, second) => {
  const street = new Scene({ seed, loopSeconds: LOOP_S, activity: 0.3 });
  const [passage] = street.truth().events;
  const incidents = begunAt(street, second);
  for (const { start, end } of incidents) expect(end - start).toBeLessThan(7);
  for (let loops = 1; loops < SECONDS / LOOP_S - 1; loops++) {
    const shift = loops * LOOP_S - second;
    const [from, to] = [passage!.start + shift, passage!.end + shift];
    expect(incidents.filter(({ start, end }) => start < to && end > from)).toHaveLength(1);
  }
});
