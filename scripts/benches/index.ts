import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allocate, fillRing, type Bulk } from '../../test/ring/support/bulk.js';
import { fsyncDir } from '../../src/base/files.js';
import { limits, Rig } from '../../test/ring/support/rig.js';

/**
 * Figures of the index at 0.1 and at 4 million segments: range queries, eviction of a thousand with their files.
 * `unlink_1000_ms` is what the file system of `--dir` takes for nothing but deleting a thousand such files: what no
 * index can be better than.
 */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const { values } = parseArgs({ args, options: { rows: { type: 'string' }, dir: { type: 'string' } } });
  const rows = Number(values.rows ?? 4_000_000);
  const dir = values.dir ?? tmpdir();
  const small = measure(100_000, dir);
  const large = measure(rows, dir);
  return await Promise.resolve({
    rows,
    range_60s_p50_ms: round(large.p50),
    range_60s_p99_ms: round(large.p99),
    range_60s_p99_ms_100k: round(small.p99),
    plan_60s_p99_ms: round(large.planP99),
    evict_1000_ms: round(large.evict),
    evict_1000_ms_100k: round(small.evict),
    unlink_1000_ms: round(large.unlink),
    index_mb: round(large.indexMb),
    load: round(loadavg()[0]!),
  });
}

interface Figures {
  p50: number;
  p99: number;
  planP99: number;
  evict: number;
  unlink: number;
  indexMb: number;
}

function measure(segments: number, dir: string): Figures {
  const work = mkdtempSync(join(dir, 'bench-index-'));
  try {
    const bulk = fillRing({ directory: join(work, 'ring'), segments, streams: 32, withFiles: 200 });
    const unlink = unlinkThousand(join(work, 'plain'));
    const rig = new Rig({}, bulk.directory);
    rig.clock.wall = bulk.startMs + bulk.perStream * 10_000 + 60_000;
    rig.open();
    const coverage = times(2_000, (i) => rig.ring.coverage(...range(bulk, i)));
    const plan = times(500, (i) => rig.ring.plan(...range(bulk, i)));
    const evict = [1, 2, 3].map(() => evictThousand(rig));
    const indexMb = statSync(join(bulk.directory, 'ring.db')).size / 1e6;
    rig.ring.close();
    return {
      p50: quantile(coverage, 0.5),
      p99: quantile(coverage, 0.99),
      planP99: quantile(plan, 0.99),
      evict: quantile(evict, 0.5),
      unlink,
      indexMb,
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** 60 s at a place that a fixed sequence chooses. */
function range(bulk: Bulk, i: number): [string, number, number] {
  const stream = bulk.streams[i % bulk.streams.length]!;
  const at = bulk.startMs + Math.floor(((i * 7919) % bulk.perStream) * 10_000);
  return [stream, at, at + 60_000];
}

/** Lets the quota shrink by what a thousand segments take; the next tick makes the room, files included. */
function evictThousand(rig: Rig): number {
  const before = rig.ring.status();
  const stored = before.streams.reduce((sum, s) => sum + s.bytes, 0);
  const count = before.streams.reduce((sum, s) => sum + s.segments, 0);
  rig.ring.setProtections([]);
  rig.ring.setLimits(limits({ quotaBytes: before.usedBytes - (stored / count) * 1000 }));
  rig.clock.pass(1_000);
  const started = process.hrtime.bigint();
  rig.ring.tick();
  const ms = Number((process.hrtime.bigint() - started) / 1000n) / 1000;
  const gone = count - rig.ring.status().streams.reduce((sum, s) => sum + s.segments, 0);
  if (gone < 1000) throw new Error(`only ${gone} were evicted`);
  return (ms / gone) * 1000;
}

/** As the ring does it: 32 directories, each synced once. */
function unlinkThousand(directory: string): number {
  const paths = Array.from({ length: 1_000 }, (_, i) => join(directory, String(i % 32), `${i}.mp4`));
  allocate(paths, 4_400_900);
  execFileSync('sync');
  const started = process.hrtime.bigint();
  for (const path of paths) unlinkSync(path);
  for (let i = 0; i < 32; i++) fsyncDir(join(directory, String(i)));
  return Number((process.hrtime.bigint() - started) / 1000n) / 1000;
}

function times(count: number, work: (i: number) => unknown): number[] {
  return Array.from({ length: count }, (_, i) => {
    const started = process.hrtime.bigint();
    work(i);
    return Number((process.hrtime.bigint() - started) / 1000n) / 1000;
  });
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
