import Database from 'better-sqlite3';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ulid } from '../../src/base/ids.js';
import { buildInit } from '../../src/media/mp4.js';
import type { Fragment } from '../../src/media/stream.js';
import type { Protection } from '../../src/ring/types.js';
import { randomOf } from './support/campaign.js';
import { footage } from './support/media.js';
import { limits, Rig } from './support/rig.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FRAGMENT_MS = 4 * HOUR;
const QUOTA = 60e6;
const SEGMENT_MS = 2 * FRAGMENT_MS;
const FLOOR_MS = 24 * HOUR;

/** A camera of the simulation: hours for seconds, kilobytes for megabytes. */
class Camera {
  readonly name: string;
  #run = '';
  #index = 0;
  #startWall = 0;
  #startMono = 0;
  recording = false;

  constructor(name: string) {
    this.name = name;
  }

  get streams(): string[] {
    return [`${this.name}.main`, `${this.name}.sub`];
  }

  begin(rig: Rig): void {
    this.recording = true;
    this.#run = ulid(rig.clock.wall);
    this.#index = 0;
    this.#startWall = rig.clock.wall;
    this.#startMono = rig.clock.mono;
    for (const stream of this.streams) {
      const role = stream.endsWith('sub') ? 'sub' : 'main';
      const at = { wallMs: this.#startWall, monoMs: this.#startMono };
      const init = buildInit(footage().format);
      const run = `${this.#run.slice(0, 25)}${role === 'sub' ? 'S' : 'M'}`;
      rig.ring.beginRun({
        stream,
        camera: this.name,
        role,
        run,
        engine: 'native',
        format: footage().format,
        init,
        ...at,
      });
    }
  }

  /** The fragment that ends now. */
  feed(rig: Rig, random: () => number): void {
    if (!this.recording) return;
    const index = this.#index++;
    for (const stream of this.streams) {
      const main = stream.endsWith('main');
      const fragment: Fragment = {
        index,
        key: true,
        decodeTime: index * FRAGMENT_MS * 90,
        duration: FRAGMENT_MS * 90,
        frames: 1,
        wallMs: this.#startWall + index * FRAGMENT_MS,
        monoMs: this.#startMono + index * FRAGMENT_MS,
        bytes: new Uint8Array(Math.round((main ? 48_000 : 6_000) * (0.5 + random()))),
      };
      rig.ring.appendFragment(stream, `${this.#run.slice(0, 25)}${main ? 'M' : 'S'}`, fragment);
    }
  }

  end(rig: Rig, reason: 'camera_offline' | 'paused'): void {
    if (!this.recording) return;
    this.recording = false;
    for (const stream of this.streams) rig.ring.endRun(stream, undefined, reason);
  }
}

test('40 days, 16 cameras: quota, floors, holds, tiers, bounded rows and files, exact coverage, no drift', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const rules = limits({ quotaBytes: QUOTA, floorMs: FLOOR_MS, originalsMs: 7 * DAY, keepMs: 20 * DAY });
  const rig = new Rig({ limits: rules, segmentMs: SEGMENT_MS, journalFileBytes: 100_000 }).open();
  const start = rig.clock.wall;
  const cameras = Array.from({ length: 16 }, (_, i) => new Camera(`cam-${i}`));
  let holds: Protection[] = [];
  const held = new Map<string, number[]>();
  rig.ring.setProtections(holds);
  for (const camera of cameras) camera.begin(rig);
  for (let day = 0; day < 40; day++) {
    for (let step = 0; step < 6; step++) {
      rig.clock.pass(FRAGMENT_MS);
      for (const camera of cameras) camera.feed(rig, random);
      rig.ring.tick();
      rig.clock.pass(0);
      rig.ring.tick();
      expect(rig.ring.status().usedBytes).toBeLessThanOrEqual(QUOTA);
      const camera = cameras[Math.floor(random() * cameras.length)]!;
      const dice = random();
      if (dice < 0.1) camera.end(rig, dice < 0.05 ? 'camera_offline' : 'paused');
      else if (dice < 0.3 && !camera.recording) camera.begin(rig);
      if (random() < 0.3) rig.ring.markMotion(camera.name, rig.clock.wall - 6 * HOUR, rig.clock.wall - 2 * HOUR);
    }
    if (random() < 0.3) {
      const fromMs = rig.clock.wall - Math.floor(random() * 3) * DAY;
      const { name } = cameras[Math.floor(random() * cameras.length)]!;
      holds = [...holds, { id: `h${day}`, kind: 'hold', camera: name, fromMs, toMs: fromMs + 12 * HOUR }];
    }
    if (random() < 0.1) holds = holds.slice(1);
    rig.ring.setProtections(holds);
    if (day % 10 === 9) {
      for (const camera of cameras) camera.end(rig, 'paused');
      rig.restart();
      rig.ring.setProtections(holds);
      for (const camera of cameras) camera.begin(rig);
    }
    inspect(rig, cameras, holds, held, start);
  }
  bounded(rig);
  rig.remove();
}, 120_000);

/** @param held by hold and role: the segments that it has kept so far, which it must go on keeping */
function inspect(
  rig: Rig,
  cameras: Camera[],
  holds: readonly Protection[],
  held: Map<string, number[]>,
  start: number,
): void {
  const status = rig.ring.status();
  expect(status.state).toBe('ok');
  const kept = status.streams.reduce((sum, s) => sum + s.segments, 0);
  expect(rig.files().length - kept).toBeLessThanOrEqual(cameras.length * 2);
  for (const stream of status.streams) {
    const now = rig.clock.wall;
    const { spans, gaps } = rig.ring.coverage(stream.stream, start, now);
    const told = [...spans, ...gaps].reduce((sum, x) => sum + x.toMs - x.fromMs, 0);
    // What is being written and not synced yet is told later.
    expect(now - start - told).toBeLessThanOrEqual(FRAGMENT_MS);
    expect(gaps.filter((gap) => gap.reason === 'unknown')).toEqual([]);
    for (const span of spans) expect((span.fromMs - start) % FRAGMENT_MS, 'drift').toBe(0);
    const duration = spans.reduce((sum, span) => sum + span.toMs - span.fromMs, 0);
    // Age may take what space may not: only a camera that records all the time has its floor from space alone.
    const lately = gaps.filter((gap) => gap.reason !== 'overwritten' && gap.toMs > now - 7 * DAY);
    if (lately.length === 0 && duration < now - start - SEGMENT_MS) {
      expect(duration).toBeGreaterThanOrEqual(FLOOR_MS * status.floorShare - SEGMENT_MS);
    }
  }
  for (const hold of holds) {
    for (const role of ['main', 'sub']) {
      const key = `${hold.id} ${role}`;
      const now = rig.ring.plan(`${hold.camera}.${role}`, hold.fromMs, hold.toMs).files.flatMap((f) => f.segments);
      const seqs = now.map((segment) => segment.seq);
      for (const seq of held.get(key) ?? []) expect(seqs, `${key} keeps segment ${seq}`).toContain(seq);
      held.set(key, seqs);
    }
  }
}

function bounded(rig: Rig): void {
  rig.ring.close();
  const db = new Database(join(rig.directory, 'ring.db'));
  const count = (table: string): number => Number(db.prepare(`select count(*) from ${table}`).pluck().get());
  const segments = count('segments');
  expect(count('fragments')).toBe(segments);
  expect(count('runs')).toBeLessThan(segments);
  expect(count('inits')).toBe(1);
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  db.close();
  expect(rig.journal().numbers().length).toBeLessThan(40);
}
