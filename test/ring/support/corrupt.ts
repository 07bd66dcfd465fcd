import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../../src/base/errors.js';
import { randomOf } from './campaign.js';
import { limits, Rig, tempDir } from './rig.js';

const STREAMS = ['a.main', 'a.sub'];

interface Truth {
  directory: string;
  wall: number;
  heads: unknown;
  segments: Map<string, string>;
}

/** A ring of a few minutes, closed cleanly or left as by a crash; what it holds is the truth to compare with. */
function makeTruth(clean: boolean): Truth {
  const rig = new Rig({ journalFileBytes: 12_000, limits: limits({ quotaBytes: 12e6 }) }).open();
  rig.ring.setProtections([]);
  for (const stream of STREAMS) rig.begin(stream);
  rig.record(300);
  for (const stream of STREAMS) rig.end(stream);
  const truth = { directory: rig.directory, wall: rig.clock.wall, heads: rig.ring.heads(), segments: linksOf(rig) };
  if (clean) {
    rig.ring.close();
    return truth;
  }
  // As it lies there while it runs: the newest rows are in the WAL only.
  const copy = tempDir();
  cpSync(rig.directory, copy, { recursive: true });
  rig.remove();
  return { ...truth, directory: copy };
}

function linksOf(rig: Rig): Map<string, string> {
  return new Map(
    STREAMS.flatMap((stream) =>
      rig.ring
        .plan(stream, 0, 4e12)
        .files.flatMap((f) => f.segments)
        .map((s) => [`${stream} ${s.seq}`, s.link] as const),
    ),
  );
}

function damageDatabase(directory: string, random: () => number): string {
  const wal = join(directory, 'ring.db-wal');
  const path = existsSync(wal) && random() < 0.5 ? wal : join(directory, 'ring.db');
  const data = readFileSync(path);
  const kind = Math.floor(random() * 5);
  if (kind === 0) {
    truncateSync(path, Math.floor(random() * data.length));
    return `${path} truncated`;
  }
  if (kind === 1) {
    rmSync(path);
    return `${path} removed`;
  }
  if (kind === 2) {
    const at = Math.floor((random() * data.length) / 4096) * 4096;
    data.fill(random() < 0.5 ? 0 : 0xff, at, at + 4096);
  } else {
    for (let i = 0; i < 1 + Math.floor(random() * 64); i++) {
      data[Math.floor(random() * data.length)]! ^= 1 << Math.floor(random() * 8);
    }
  }
  writeFileSync(path, data);
  return `${path} kind ${kind}`;
}

function damageSegment(path: string, random: () => number): void {
  const data = readFileSync(path);
  const kind = Math.floor(random() * 3);
  if (kind === 0) truncateSync(path, Math.floor(random() * data.length));
  else if (kind === 1) writeFileSync(path, Buffer.concat([data, Buffer.from('x')]));
  else {
    data[Math.floor(random() * data.length)]! ^= 1 << Math.floor(random() * 8);
    writeFileSync(path, data);
  }
}

/** Reads every segment of the ring; those that were damaged must be refused, all others served. */
async function readAll(
  rig: Rig,
  truth: Truth,
  damaged: ReadonlySet<string>,
  problems: string[],
  round: string,
): Promise<void> {
  const links = linksOf(rig);
  for (const [key, link] of truth.segments) {
    const [stream = '', seq] = key.split(' ');
    const code = await rig.ring
      .read({ stream, seq: Number(seq), offset: 0, length: 1e9 })
      .then(() => 'none', errorCode);
    if (damaged.has(key)) {
      if (code !== 'SEGMENT_DAMAGED') problems.push(`${round}: damaged ${key} gave ${code}`);
    } else if (code !== 'none') problems.push(`${round}: good ${key} gave ${code}`);
    else if (links.get(key) !== link) problems.push(`${round}: ${key} has another link or is not indexed`);
  }
}

/** Lets the ring work until it has looked at everything, as it does by itself within hours. */
function settleDown(rig: Rig): void {
  for (let pass = 0; pass < 6; pass++) {
    while (rig.ring.rebuildStep());
    const check = rig.ring.check('presence');
    while (check.step(1000));
    if (!check.indexDamaged) return;
    rig.ring.rebuild();
  }
}

/** N random corruptions of the index and N of segments. */
export async function corruptCampaign(options: {
  rounds: number;
  seed: number;
  untilMs?: number;
  now: () => number;
}): Promise<{ rounds: number; slowestStartMs: number; problems: string[] }> {
  const random = randomOf(options.seed);
  const truths = [makeTruth(true), makeTruth(false)];
  const problems: string[] = [];
  let slowestStartMs = 0;
  let rounds = 0;
  for (; rounds < options.rounds && options.now() < (options.untilMs ?? Infinity); rounds++) {
    const truth = truths[rounds % 2]!;
    const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'corrupt-'));
    cpSync(truth.directory, directory, { recursive: true });
    const what = damageDatabase(directory, random);
    const round = `round ${rounds} (${what.slice(directory.length + 1)})`;
    const damaged = new Set<string>();
    if (rounds % 4 > 1) {
      const keys = [...truth.segments.keys()];
      const key = keys[Math.floor(random() * keys.length)]!;
      const [stream = '', seq] = key.split(' ');
      damageSegment(join(directory, 'media', stream, '000000', `${seq}.mp4`), random);
      damaged.add(key);
    }
    const rig = new Rig({}, directory);
    rig.clock.wall = truth.wall;
    const before = options.now();
    try {
      rig.open();
      slowestStartMs = Math.max(slowestStartMs, options.now() - before);
      settleDown(rig);
      if (JSON.stringify(rig.ring.heads()) !== JSON.stringify(truth.heads)) problems.push(`${round}: other heads`);
      await readAll(rig, truth, damaged, problems, round);
      rig.begin('a.main');
      rig.record(12);
      if (rig.ring.status().state !== 'ok') problems.push(`${round}: state ${rig.ring.status().state}`);
    } catch (error) {
      problems.push(`${round}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    rig.remove();
  }
  for (const truth of truths) rmSync(truth.directory, { recursive: true, force: true });
  return { rounds, slowestStartMs, problems };
}
