import { expect, test } from 'vitest';
import { motionZones, type MotionZones, type Zone } from '../../src/contract/zones.js';
import { Detector } from '../../src/motion/detector.js';
import { Incidents, type Incident } from '../../src/motion/incidents.js';
import { isWithin } from '../../src/motion/schedule.js';
import { Scene } from './scene.js';

/** One walker from left to right at 10 s, in the lower half; another from right to left at 25 s, in the upper half. */
function incidents(config: Partial<MotionZones>, change?: (detector: Detector, s: number) => void): Incident[] {
  const detector = new Detector();
  detector.zones.set(motionZones.parse(config), 'UTC');
  const scene = new Scene({ noise: 3 });
  const assembly = new Incidents();
  const found: Incident[] = [];
  for (let t = 0; t <= 40_000; t += 200) {
    const s = t / 1000;
    const boxes = [
      ...(s >= 10 ? [{ x: (s - 10) * 40 - 20, y: 120, w: 20, h: 45, level: 60 }] : []),
      ...(s >= 25 ? [{ x: 320 - (s - 25) * 40, y: 20, w: 20, h: 45, level: 60 }] : []),
    ];
    change?.(detector, s);
    detector.zones.at(undefined);
    for (const note of assembly.observe(detector.step(scene.frame(boxes), t).tracks, t, t)) {
      if (note.phase === 'end') found.push(note.incident);
    }
  }
  for (const note of assembly.finish()) found.push(note.incident);
  return found;
}

const area = (x0: number, y0: number, x1: number, y1: number): [number, number][] => [
  [x0, y0],
  [x1, y0],
  [x1, y1],
  [x0, y1],
];
const zone = (kind: Zone['kind'], polygon: [number, number][]): Zone => ({ name: 'a', kind, polygon, hours: [] });
const starts = (list: Incident[]): number[] => list.map((one) => Math.round(one.start / 1000));

test('without zones everything is told', () => {
  expect(starts(incidents({}))).toEqual([10, 25]);
});

test('an include zone tells who comes into it, from then on', () => {
  const [first, ...rest] = incidents({ zones: [zone('include', area(500, 500, 1000, 1000))] });
  expect(rest).toEqual([]);
  // The right half is reached after 4 s.
  expect(first!.start).toBeGreaterThan(13_500);
  expect(first!.start).toBeLessThan(15_000);
});

test('what stays in an exclude zone is not told, what comes out of it is', () => {
  expect(starts(incidents({ zones: [zone('exclude', area(0, 0, 1000, 450))] }))).toEqual([10]);
  const leaving = incidents({ zones: [zone('exclude', area(600, 0, 1000, 450))] });
  expect(leaving).toHaveLength(2);
  expect(leaving[1]!.start).toBeGreaterThan(27_500);
});

test('nothing under a mask is looked at, and masks count at once', () => {
  expect(starts(incidents({ zones: [zone('mask', area(0, 500, 1000, 1000))] }))).toEqual([25]);
  const late = incidents({}, (detector, s) => {
    if (s !== 20) return;
    detector.zones.set(motionZones.parse({ zones: [zone('mask', area(0, 0, 1000, 500))] }), 'UTC');
  });
  expect(starts(late)).toEqual([10]);
});

test('what stays small is not told', () => {
  expect(incidents({ minimumSize: 40 })).toEqual([]);
  expect(incidents({ minimumSize: 5 })).toHaveLength(2);
});

test('hours count on the wall clock of the site, over midnight and over changes of the clock', () => {
  const night = [{ days: ['fri' as const], from: '22:00', to: '06:00' }];
  const at = (text: string): boolean => isWithin(night, Date.parse(text), 'America/Chicago');
  expect(at('2026-11-21T03:59:00Z')).toBe(false);
  expect(at('2026-11-21T04:01:00Z')).toBe(true);
  expect(at('2026-11-21T11:59:00Z')).toBe(true);
  expect(at('2026-11-21T12:01:00Z')).toBe(false);
  // Saturday night is another night; in summer the day is an hour off.
  expect(at('2026-11-22T04:30:00Z')).toBe(false);
  expect(at('2026-07-18T03:30:00Z')).toBe(true);
  expect(isWithin([], 0, 'UTC')).toBe(true);
});

test('zones that cannot be are refused', () => {
  for (const bad of [
    { zones: [zone('mask', [[0, 0], [1, 1]])] }, // prettier-ignore
    { zones: [zone('mask', area(0, 0, 1200, 5))] },
    { zones: [zone('mask', area(0, 0, 9, 9)), zone('include', area(0, 0, 9, 9))] },
    { minimumSize: -1 },
    { more: 1 },
  ]) {
    expect(motionZones.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
  }
});
