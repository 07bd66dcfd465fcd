import Database from 'better-sqlite3';
import { join } from 'node:path';
import type { GapReason } from '../../../../src/media/stream.js';
import { FRAGMENT_MS } from './camera.js';
import { overlaps } from './model.js';
import { World, type DaysOptions } from './world.js';

export type { DaysOptions } from './world.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const REASONS: readonly GapReason[] = ['camera_offline', 'paused', 'stream_stalled', 'camera_refused'];

export interface DaysResult {
  problems: string[];
  /** Ranges that were asked for and held against the model. */
  asked: number;
  /** Kept segments that were proved by a checkpoint. */
  proved: number;
  files: number;
  evicted: number;
}

/**
 * Days of a box on a hand clock: cameras come and go, the agent is stopped, killed and rebooted, the index is lost, the
 * clock jumps, footage is held and released, others fill the disk. After every step each file that is gone must have
 * been allowed to go, and what the ring says of random ranges must be what the model says.
 */
export function simulateDays(options: DaysOptions): DaysResult {
  const world = new World(options);
  try {
    for (const camera of world.cameras) world.begin(camera);
    const until = world.startMs + options.days * DAY;
    while (world.nowMs < until && world.problems.length < 20) {
      world.rig.clock.pass(Math.round(FRAGMENT_MS * (0.2 + world.random())));
      world.feed();
      world.look();
      happen(world);
      world.step();
      bounds(world);
      world.inspect(6);
    }
    for (const camera of world.cameras) world.end(camera, 'paused');
    world.setClock(0);
    world.rig.clock.pass(HOUR);
    world.step();
    finish(world);
    const files = [...world.models.values()].reduce((sum, model) => sum + model.files.length, 0);
    const { problems, asked, proved, evicted } = world;
    return { problems, asked, proved, files, evicted };
  } finally {
    world.rig.remove();
  }
}

function happen(world: World): void {
  const camera = world.pick(world.cameras);
  if (world.chance(0.15)) world.end(camera, world.pick(REASONS));
  else if (world.chance(0.5))
    for (const one of world.cameras) if (!one.recording && world.chance(0.3)) world.begin(one);
  if (world.chance(0.3)) motion(world);
  if (world.chance(0.08)) holdSomething(world);
  if (world.chance(0.05)) world.protect(world.protections.slice(1));
  if (world.chance(0.1)) fillDisk(world);
  else if (world.chance(0.3)) world.disk.foreignBytes = 0;
  if (world.jumpMs !== 0) {
    if (world.chance(0.5)) world.setClock(0);
  } else if (world.chance(0.03)) {
    world.setClock(world.pick([-2, -1, -0.1, 0.1, 1, 2]) * DAY);
  } else if (world.chance(0.05)) {
    world.restart(world.pick(['stop', 'kill', 'reboot']));
  } else if (world.chance(0.02)) {
    world.rebuild();
  }
  if (world.jumpMs === 0 && world.chance(0.5)) {
    world.checkpoint();
  }
}

function motion(world: World): void {
  if (world.jumpMs !== 0) return;
  const camera = world.pick(world.cameras);
  const fromMs = world.nowMs - Math.round(world.random() * 12 * HOUR);
  const toMs = fromMs + Math.round(world.random() * 4 * HOUR);
  world.rig.ring.markMotion(camera.name, fromMs, toMs);
  for (const model of world.modelsOf(camera)) {
    for (const file of model.kept) {
      if (file.open ? file.fromMs < toMs : overlaps(file, { fromMs, toMs })) file.motion = true;
    }
  }
}

function holdSomething(world: World): void {
  const fromMs = world.nowMs + Math.round((world.random() - 0.7) * 6 * DAY);
  const item = {
    id: `h${world.nowMs}`,
    kind: world.pick(['hold', 'lease'] as const),
    camera: world.pick(world.cameras).name,
    fromMs,
    toMs: fromMs + Math.round(world.random() * DAY),
    ...(world.chance(0.3) ? { role: world.pick(['main', 'sub'] as const) } : {}),
  };
  world.protect([...world.protections, item]);
}

/** From a little pressure to more than the ring can give way to. */
function fillDisk(world: World): void {
  const { disk, limits } = world;
  const most = disk.freeBytes() + disk.foreignBytes + disk.ownBytes - limits.reserveBytes;
  disk.foreignBytes = Math.round(most * world.pick([0.5, 0.7, 0.9, 1.1]));
}

function bounds(world: World): void {
  const { rig, limits } = world;
  const status = rig.ring.status();
  if (status.usedBytes > limits.quotaBytes) world.problem(`${status.usedBytes} bytes are used, more than the quota`);
  if (status.state !== 'ok' && status.state !== 'full') world.problem(`the ring is ${status.state}: ${status.problem}`);
}

/** Every stream as a whole, then all files against their hashes and all rows against their files. */
function finish(world: World): void {
  world.inspect(20);
  for (const [name, model] of world.models) {
    world.compare(name, model, { fromMs: world.startMs - DAY, toMs: world.nowMs + DAY });
  }
  const check = world.rig.ring.check('hash');
  while (check.step(1_000));
  for (const { message } of check.progress.findings) world.problem(message);
  rows(world);
}

/** As many rows as there is footage, holes and reasons, however many days it took. */
function rows(world: World): void {
  const { rig, models } = world;
  rig.ring.close();
  const db = new Database(join(rig.directory, 'ring.db'));
  const count = (of: string): number => Number(db.prepare(`select count(*) from ${of}`).pluck().get());
  const kept = [...models.values()].reduce((sum, model) => sum + model.kept.length, 0);
  const holes = [...models.values()].reduce((sum, model) => sum + model.holes, 0);
  const gaps = [...models.values()].reduce((sum, model) => sum + model.gaps.length + model.lateGaps + 1, 0);
  const wanted = { segments: kept, inits: Math.min(1, kept), pruned: holes };
  for (const [table, n] of Object.entries(wanted)) {
    if (count(table) !== n) world.problem(`${count(table)} rows in ${table} and not ${n}`);
  }
  if (count('fragments') > kept) world.problem(`${count('fragments')} rows in fragments for ${kept} segments`);
  if (count('gaps') > gaps + 2 * models.size) world.problem(`${count('gaps')} rows in gaps for ${gaps} gaps`);
  if (count('runs') > kept + models.size) world.problem(`${count('runs')} rows in runs for ${kept} segments`);
  if (db.pragma('integrity_check', { simple: true }) !== 'ok') world.problem('the index is not whole');
  db.close();
  const journals = rig.journal().numbers().length;
  if (journals > 40) world.problem(`${journals} files of the journal`);
}
