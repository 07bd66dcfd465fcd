import { expect, test } from 'vitest';
import { Scene, boxAt } from '../../src/sim/scene/index.js';

test('the same seed gives the same pictures and the same truth, another seed others', () => {
  const picture = (seed: number): Buffer => {
    const scene = new Scene({ seed, loopSeconds: 30, activity: 0.5 });
    return Buffer.from(scene.renderer(320, 180).render(12.4).bytes);
  };
  expect(picture(5).equals(picture(5))).toBe(true);
  expect(picture(5).equals(picture(6))).toBe(false);
  const truth = (seed: number): string => JSON.stringify(new Scene({ seed, activity: 0.5 }).truth());
  expect(truth(5)).toBe(truth(5));
  expect(truth(5)).not.toBe(truth(6));
});

test.each([0, 0.1, 0.35, 0.5, 0.9])('activity %f is the share of time in which something moves', (activity) => {
  const loopSeconds = 200;
  const shares = Array.from({ length: 5 }, (_, seed) => {
    const { events } = new Scene({ seed, loopSeconds, activity }).truth();
    return events.reduce((sum, event) => sum + event.end - event.start, 0) / loopSeconds;
  });
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  expect(mean).toBeGreaterThan(activity - 0.07);
  expect(mean).toBeLessThan(activity + 0.03);
});

test('events last about 20 s and the loop point is quiet', () => {
  for (let seed = 0; seed < 5; seed++) {
    const { events, loopSeconds } = new Scene({ seed, loopSeconds: 200, activity: 0.3 }).truth();
    for (const { start, end } of events) {
      expect(start).toBeGreaterThanOrEqual(0.5);
      expect(end).toBeLessThan(loopSeconds);
      expect(end - start).toBeLessThan(25);
    }
  }
});

test('pictures change where and when the truth says that something moves, and nowhere else', () => {
  const scene = new Scene({ seed: 11, loopSeconds: 40, activity: 0.4 });
  const { events } = scene.truth();
  const width = 320;
  const height = 180;
  const frames = [...scene.grayFrames({ width, height, fps: 5 })];
  const empty = new Scene({ seed: 11, loopSeconds: 40, objects: [] }).renderer(width, height);
  let busy = 0;
  for (const { t, gray } of frames) {
    const still = empty.render(t).y;
    const moving = events.some((event) => t >= event.start && t <= event.end);
    const changed = countChanged(gray, still);
    // Shadows come and go a little before and after their objects.
    if (!moving && events.every((event) => t < event.start - 1 || t > event.end + 1)) expect(changed).toBe(0);
    if (moving) busy += changed > 0 ? 1 : -1;
  }
  expect(busy).toBeGreaterThan(50);
});

test('an object is drawn inside its box', () => {
  const car = { id: 'c', kind: 'car', colour: 'red', from: 'west', to: 'east', speed: 8, startS: 1 } as const;
  const options = { seed: 1, loopSeconds: 20 };
  const width = 640;
  const height = 360;
  const scene = new Scene({ ...options, objects: [car] });
  const [seen] = scene.truth().objects;
  const t = ((seen?.inS ?? 0) + (seen?.outS ?? 0)) / 2;
  const [x, y, w, h] = boxAt(car, t)!;
  const withCar = scene.renderer(width, height).render(t);
  const without = new Scene({ ...options, objects: [] }).renderer(width, height).render(t);
  let inside = 0;
  let outside = 0;
  for (let i = 0; i < width * height; i++) {
    if (withCar.y[i] === without.y[i]) continue;
    const px = (i % width) / width;
    const py = Math.floor(i / width) / height;
    if (px >= x - 0.02 && px <= x + w + 0.02 && py >= y - 0.02 && py <= y + h + 0.02) inside++;
    else outside++;
  }
  // The shadow may reach out a little.
  expect(inside).toBeGreaterThan(0.4 * w * h * width * height);
  expect(outside).toBeLessThan(inside * 0.1);
  const redness =
    withCar.v[Math.round(((y + h * 0.7) * height) / 2) * (width / 2) + Math.round(((x + w / 2) * width) / 2)]!;
  expect(redness).toBeGreaterThan(160);
});

function countChanged(a: Uint8Array, b: Uint8Array): number {
  let changed = 0;
  for (let i = 0; i < a.length; i++) if (Math.abs(a[i]! - b[i]!) > 12) changed++;
  return changed;
}
