import { expect, test } from 'vitest';
import { FRAME_BYTES, FRAME_HEIGHT, FRAME_WIDTH, CELLS, shrink } from '../../src/motion/grid.js';
import { CameraTruth, type TruthNote } from '../../src/motion/truth.js';
import { randomFrom, Scene } from './scene.js';

const STEP = 2_000;

/** Runs `draw(seconds)` every 2 s, as key frames come. */
function run(truth: CameraTruth, fromS: number, toS: number, draw: (s: number) => Uint8Array): TruthNote[] {
  const cells = new Float32Array(CELLS);
  const notes: TruthNote[] = [];
  for (let t = fromS * 1000; t < toS * 1000; t += STEP) {
    const gray = draw(t / 1000);
    shrink(gray, cells);
    notes.push(...truth.observe(gray, cells, t));
  }
  return notes;
}

/** A place with blocks of its own in every corner, so that it does not look like itself when it is shifted. */
function place(seed = 3): Scene {
  const scene = new Scene({ noise: 2 });
  const random = randomFrom(seed);
  for (let y = 0; y < FRAME_HEIGHT; y += 6) {
    for (let x = 0; x < FRAME_WIDTH; x += 8) {
      const level = 40 + 160 * random();
      for (let dy = 0; dy < 6; dy++)
        scene.ground.fill(level, (y + dy) * FRAME_WIDTH + x, (y + dy) * FRAME_WIDTH + x + 8);
    }
  }
  return scene;
}

function blurred(gray: Uint8Array): Uint8Array {
  const out = new Uint8Array(FRAME_BYTES);
  for (let y = 0; y < FRAME_HEIGHT; y++) {
    for (let x = 0; x < FRAME_WIDTH; x++) {
      let sum = 0;
      let count = 0;
      for (let dy = -6; dy <= 6; dy += 2) {
        for (let dx = -6; dx <= 6; dx += 2) {
          const at = (y + dy) * FRAME_WIDTH + x + dx;
          if (y + dy < 0 || y + dy >= FRAME_HEIGHT || x + dx < 0 || x + dx >= FRAME_WIDTH) continue;
          sum += gray[at]!;
          count++;
        }
      }
      out[y * FRAME_WIDTH + x] = sum / count;
    }
  }
  return out;
}

function shifted(gray: Uint8Array): Uint8Array {
  return gray.map((_, i) => gray[(i + 20 * FRAME_WIDTH + 60) % FRAME_BYTES]!);
}

const scene = place();
const random = randomFrom(11);
const still = scene.frame();
const faults: [string, number, (gray: Uint8Array) => Uint8Array][] = [
  ['dark', 60, (gray) => gray.map(() => 3 + 2 * random())],
  ['overexposed', 60, (gray) => gray.map(() => 255)],
  ['covered', 60, (gray) => gray.map((_, i) => 90 + (i % FRAME_WIDTH) / 16 + 3 * random())],
  ['blurred', 60, blurred],
  ['moved', 60, shifted],
  ['frozen', 20, () => still],
];

test.each(faults)(
  '%s is raised within %i s, with pictures from before and now, and clears by itself',
  (kind, within, spoil) => {
    const truth = new CameraTruth();
    expect(run(truth, 0, 120, () => scene.frame())).toEqual([]);
    const raised = run(truth, 120, 240, () => spoil(scene.frame()));
    expect(raised.map((note) => [note.kind, note.state])).toEqual([[kind, 'raised']]);
    expect(raised[0]!.tMs / 1000 - 120).toBeLessThanOrEqual(within);
    expect(raised[0]!.since).toBeLessThanOrEqual(140_000);
    expect(Math.abs(raised[0]!.before[5_000]! - still[5_000]!)).toBeLessThan(20);
    const cleared = run(truth, 240, 300, () => scene.frame());
    expect(cleared.map((note) => [note.kind, note.state])).toEqual([[kind, 'cleared']]);
  },
);

test('night, lightning, a truck that fills the view and snow are no faults', () => {
  const truth = new CameraTruth();
  run(truth, 0, 120, () => scene.frame());
  const notes = run(truth, 120, 900, (s) => {
    if (s > 150 && s < 400) return scene.frame([], () => 0.25);
    if (s > 420 && s < 424) return new Uint8Array(FRAME_BYTES).fill(255);
    if (s > 460 && s < 484) return scene.frame([{ x: 5, y: 5, w: 310, h: 170, level: 130 }]);
    if (s > 600) {
      const flakes = Array.from({ length: 60 }, () => ({
        x: random() * 320,
        y: random() * 180,
        w: 4,
        h: 4,
        level: 230,
      }));
      return scene.frame(flakes);
    }
    return scene.frame();
  });
  expect(notes).toEqual([]);
});

test('a scene without noise may stand still', () => {
  const truth = new CameraTruth();
  expect(run(truth, 0, 300, () => still)).toEqual([]);
});

test('after somebody accepted a new view it is the one to be kept', () => {
  const truth = new CameraTruth();
  const other = place(77);
  run(truth, 0, 120, () => scene.frame());
  expect(run(truth, 120, 240, () => other.frame()).map((note) => note.kind)).toEqual(['moved']);
  truth.accept();
  run(truth, 240, 360, () => other.frame());
  expect(truth.raised).toEqual([]);
  expect(run(truth, 360, 480, () => scene.frame()).map((note) => [note.kind, note.state])).toEqual([
    ['moved', 'raised'],
  ]);
});

test('a camera that is turned soon after it was put up is told as well: the turn itself is not learned', () => {
  const truth = new CameraTruth();
  run(truth, 0, 44, () => scene.frame());
  const notes = run(truth, 44, 124, () => shifted(scene.frame()));
  expect(notes.map((note) => [note.kind, note.state])).toEqual([['moved', 'raised']]);
  expect(notes[0]!.tMs / 1000 - 44).toBeLessThanOrEqual(60);
});
