import { expect, test } from 'vitest';
import { Detector } from '../../src/motion/detector.js';
import { FRAME_BYTES } from '../../src/motion/grid.js';
import { Incidents, type Incident } from '../../src/motion/incidents.js';
import { randomFrom, Scene, type Box } from './scene.js';

const STEP = 200;

/** Runs frames drawn by `draw(seconds)` through a detector at 5 a second; gives the incidents, in seconds. */
function run(
  seconds: number,
  draw: (s: number) => Uint8Array,
  detector = new Detector(),
  fromMs = 0,
): { incidents: Incident[]; detector: Detector } {
  const incidents: Incident[] = [];
  const assembly = new Incidents();
  const keep = (notes: ReturnType<Incidents['finish']>): void => {
    for (const note of notes) if (note.phase === 'end') incidents.push(note.incident);
  };
  for (let t = 0; t <= seconds * 1000; t += STEP) {
    const at = fromMs + t;
    keep(assembly.observe(detector.step(draw(t / 1000), at).tracks, at, at));
  }
  keep(assembly.finish());
  return { incidents, detector };
}

const walker = (s: number, from: number, speed = 40): Box => ({
  x: (s - from) * speed - 20,
  y: 80,
  w: 20,
  h: 50,
  level: 60,
});

test('a walker on a noisy ground is one event from where it came in to where it left', () => {
  const scene = new Scene({ noise: 4 });
  const { incidents } = run(25, (s) => scene.frame(s >= 10 ? [walker(s, 10)] : []));
  expect(incidents).toHaveLength(1);
  const [event] = incidents;
  expect(event!.start).toBeGreaterThanOrEqual(10_000);
  expect(event!.start).toBeLessThanOrEqual(10_800);
  expect(event!.decidedAt).toBeLessThanOrEqual(11_600);
  expect(event!.end).toBeGreaterThan(17_500);
  expect(event!.end).toBeLessThan(19_500);
  expect(event!.reason).toContain('from the left to the right');
});

test('a walker at night, dark and noisy, is found', () => {
  const scene = new Scene({ noise: 7, level: 30 });
  const { incidents } = run(25, (s) => scene.frame(s >= 10 ? [{ ...walker(s, 10), level: 70 }] : []));
  expect(incidents).toHaveLength(1);
});

test('a walker in low contrast is found', () => {
  const scene = new Scene({ noise: 1.5, level: 120 });
  scene.ground.fill(120);
  const { incidents } = run(25, (s) => scene.frame(s >= 10 ? [{ ...walker(s, 10), level: 138 }] : []));
  expect(incidents).toHaveLength(1);
});

test('nothing but noise is no event', () => {
  for (const noise of [1, 4, 10]) {
    const scene = new Scene({ noise });
    expect(run(30, () => scene.frame()).incidents).toEqual([]);
  }
});

test('light switched off and on, and a camera that halves its exposure, are no events', () => {
  const scene = new Scene();
  const switched = run(40, (s) => scene.frame([], () => (s > 12 && s < 24 ? 0.3 : 1)));
  expect(switched.incidents).toEqual([]);
  const pumping = run(40, (s) => scene.frame([], () => 0.75 + 0.25 * Math.cos(s)));
  expect(pumping.incidents).toEqual([]);
});

test('a person who enters while the light changes is found', () => {
  const scene = new Scene();
  const { incidents } = run(30, (s) => scene.frame(s >= 10 ? [walker(s, 10)] : [], () => (s > 10.5 ? 0.5 : 1)));
  expect(incidents).toHaveLength(1);
});

test('a person who stands still is held, and remains one event', () => {
  const scene = new Scene({ noise: 3 });
  const { incidents } = run(70, (s) => {
    if (s < 10) return scene.frame();
    const walked = s < 13 ? s - 10 : s < 60 ? 3 : s - 57;
    // A person who stands sways a little.
    const sway = s >= 13 && s < 60 ? 2 * Math.sin(s * 1.3) : 0;
    return scene.frame([{ x: walked * 50 - 20 + sway, y: 70, w: 24, h: 70, level: 50 }]);
  });
  expect(incidents).toHaveLength(1);
  expect(incidents[0]!.end).toBeGreaterThan(60_000);
});

test('a parked car becomes part of the picture, and what it hid is no event when it leaves', () => {
  const scene = new Scene({ noise: 3 });
  const car = (x: number): Box => ({ x, y: 90, w: 60, h: 35, level: 190 });
  const { incidents } = run(180, (s) => {
    if (s < 10) return scene.frame();
    if (s < 14) return scene.frame([car((s - 10) * 40 - 60)]);
    if (s < 150) return scene.frame([car(100)]);
    return scene.frame([car(100 + (s - 150) * 60)]);
  });
  // Arrival and departure; in between it is furniture.
  expect(incidents).toHaveLength(2);
  expect(incidents[0]!.end).toBeLessThan(115_000);
  expect(incidents[1]!.start).toBeGreaterThan(148_000);
  expect(incidents[1]!.end).toBeLessThan(158_000);
});

test('who stops beside a busy road is let go after a minute and a half, however much passes before him', () => {
  const scene = new Scene({ noise: 2 });
  // From 5 s on he walks in, from 9 s on he stands; from 12 s on something wide passes before him every nine seconds.
  const stander = (s: number): Box => ({ x: Math.min(160, -20 + (s - 5) * 45), y: 70, w: 24, h: 50, level: 45 });
  const passing = (s: number): Box => ({ x: (s - 12) * 110 - 60, y: 64, w: 60, h: 60, level: 200 });
  const drawn = Array.from({ length: 21 * 5 }, (_, i) =>
    scene.frame([...(i >= 25 ? [stander(i / 5)] : []), ...(i >= 60 ? [passing(i / 5)] : [])]),
  );
  const { incidents } = run(150, (s) => drawn[s < 12 ? Math.round(s * 5) : 60 + (Math.round((s - 12) * 5) % 45)]!);
  expect(incidents[0]!.end).toBeGreaterThan(60_000);
  expect(incidents[0]!.end).toBeLessThan(125_000);
  // From then on each that passes is told by itself.
  const later = incidents.slice(1).filter(({ start }) => start < 140_000);
  expect(later.length).toBeGreaterThanOrEqual(2);
  for (const { start, end } of later) expect(end - start).toBeLessThan(7_000);
});

test('a camera that freezes with somebody in its picture has no event that lasts', () => {
  const scene = new Scene({ noise: 3 });
  let last = scene.frame();
  const { incidents } = run(130, (s) => (s < 14 ? (last = scene.frame(s >= 10 ? [walker(s, 10)] : [])) : last));
  expect(incidents).toHaveLength(1);
  expect(incidents[0]!.end).toBeLessThan(110_000);
});

test('a sweep of headlights over the ground, soft or hard-edged, is no event', () => {
  for (const edge of [30, 3]) {
    const scene = new Scene({ noise: 4, level: 50 });
    const { incidents } = run(40, (s) =>
      scene.frame([], (x, y) => {
        const centre = ((s - 15) / 3) * 400 - 40;
        const distance = Math.hypot(x - centre, (y - 120) * 1.5) - 50;
        return 1 + 1.2 / (1 + Math.exp((distance / edge) * 4));
      }),
    );
    expect(incidents, `edge ${edge} px`).toEqual([]);
  }
});

test('black, white, flicker and garbage leave no NaN, and the next walker is found', () => {
  const detector = new Detector();
  const scene = new Scene();
  const random = randomFrom(7);
  const black = new Uint8Array(FRAME_BYTES);
  const white = new Uint8Array(FRAME_BYTES).fill(255);
  run(10, (s) => (Math.round(s * 5) % 2 === 0 ? black : white), detector);
  run(5, () => black, detector, 20_000);
  run(5, () => white, detector, 30_000);
  run(5, () => Uint8Array.from({ length: FRAME_BYTES }, () => random() * 255), detector, 40_000);
  run(20, () => scene.frame(), detector, 50_000);
  for (const array of [detector.background.level, detector.background.deviation, detector.background.diff]) {
    expect(array.every((value) => Number.isFinite(value))).toBe(true);
  }
  const { incidents } = run(20, (s) => scene.frame(s >= 5 ? [walker(s, 5)] : []), detector, 80_000);
  expect(incidents).toHaveLength(1);
});

test('after a cut in the stream the model learns anew and tells nothing of what changed', () => {
  const detector = new Detector();
  const before = new Scene({ seed: 1 });
  const after = new Scene({ seed: 2, level: 60 });
  run(20, () => before.frame(), detector);
  detector.reset();
  const { incidents } = run(20, () => after.frame([{ x: 100, y: 60, w: 60, h: 60, level: 200 }]), detector, 60_000);
  expect(incidents).toEqual([]);
  const next = run(20, (s) => after.frame(s >= 5 ? [walker(s, 5)] : []), detector, 100_000);
  expect(next.incidents).toHaveLength(1);
});

test('looking at a frame changes nothing that was learned', () => {
  const detector = new Detector();
  const scene = new Scene();
  run(10, () => scene.frame(), detector);
  const level = detector.background.level.slice();
  expect(detector.look(scene.frame([{ x: 100, y: 60, w: 40, h: 60, level: 20 }]), 12_000)).toBe(true);
  expect(detector.look(scene.frame(), 12_200)).toBe(false);
  expect(detector.background.level).toEqual(level);
});
