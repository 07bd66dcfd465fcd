import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { descendants } from '../../scripts/lib/meter.js';
import { until } from '../../scripts/lib/program.js';
import { segmentPath, seqOf } from '../../src/ring/layout.js';
import { randomOf } from '../ring/support/campaign.js';
import { openSite, segmentFiles, stampsOf, streamsOf, type TestSite } from './site.js';

export interface AgentKills {
  kills: number;
  /** Closed segments, all of which were decoded in full at the end. */
  closed: number;
  unreadable: number;
  /** Files without a row, or rows without a file. */
  unaccounted: number;
  /** The longest that was lost, by stream, from the capture of the newest picture on the disk to the blow. */
  lostMs: Record<string, number>;
  problems: string[];
}

/** One fragment, and the way from the camera to the disk. */
export const MOST_LOST_MS = 1_100;

/** The whole agent, recording from virtual cameras, is killed at random times and started again on what it left. */
export async function agentKills(options: {
  kills: number;
  cameras: number;
  address: string;
  seed: number;
  untilMs?: number;
}): Promise<AgentKills> {
  await using opened = await openSite({ cameras: options.cameras, address: options.address });
  const { site, ring } = opened;
  const random = randomOf(options.seed);
  const result: AgentKills = { kills: 0, closed: 0, unreadable: 0, unaccounted: 0, lostMs: {}, problems: [] };
  while (result.kills < options.kills && Date.now() < (options.untilMs ?? Infinity)) {
    await new Promise((resolve) => setTimeout(resolve, 500 + random() * 3_500));
    result.problems.push(...(await killOnce(opened, result)));
    await site.startAgent();
    if ((await site.recording(2 * options.cameras, 30_000)) === undefined) {
      result.problems.push(`nothing is recorded after kill ${result.kills}\n${site.agent.log().slice(-3_000)}`);
      break;
    }
  }
  const { gaps } = await site.cli<{ gaps: { reason: string }[] }>(['coverage', 'cam-1', '--from', '-60m']);
  const crashes = gaps.filter((gap) => gap.reason === 'agent_crashed').length;
  if (crashes !== result.kills) result.problems.push(`${crashes} gaps are told as crashes of the agent`);
  await site.agent.stop();
  inspect(ring, result);
  return result;
}

async function killOnce({ site, ring }: TestSite, result: AgentKills): Promise<string[]> {
  const problems: string[] = [];
  const family = descendants(site.agent.pid);
  const killedAt = Date.now();
  await site.agent.stop('SIGKILL');
  result.kills++;
  const gone = await until(async () => (family.some((pid) => existsSync(`/proc/${pid}`)) ? undefined : true), 2_000);
  if (gone === undefined) problems.push(`kill ${result.kills}: children outlived the agent`);
  for (const stream of streamsOf(ring)) {
    // The last file may just have been begun.
    const newest = segmentFiles(ring, stream).slice(-2).flatMap(stampsOf).at(-1);
    const lost = newest === undefined ? Infinity : killedAt - Number(newest.captureUs / 1000n);
    result.lostMs[stream] = Math.max(lost, result.lostMs[stream] ?? 0);
    if (lost > MOST_LOST_MS) problems.push(`kill ${result.kills}: ${stream} lost ${lost} ms`);
  }
  return problems;
}

/** Every file has its row and plays to its end. */
function inspect(ring: string, result: AgentKills): void {
  const rows = indexed(ring);
  result.closed = rows.size;
  for (const path of streamsOf(ring).flatMap((stream) => segmentFiles(ring, stream))) {
    if (!rows.delete(path)) {
      result.unaccounted++;
      result.problems.push(`${path} has no row`);
    }
    const complaint = spawnSync('ffmpeg', ['-v', 'error', '-i', path, '-f', 'null', '-'], { encoding: 'utf8' }).stderr;
    if (complaint === '') continue;
    result.unreadable++;
    result.problems.push(`${path}: ${complaint}`);
  }
  result.unaccounted += rows.size;
  result.problems.push(...[...rows].map((path) => `${path} has a row and is gone`));
}

/** Where the closed segments of the index lie. */
function indexed(ring: string): Set<string> {
  const db = new Database(join(ring, 'ring.db'), { readonly: true });
  try {
    const sql = 'select t.name, s.id from segments s join streams t on t.id = s.stream_id where s.state = 1';
    const rows = db.prepare(sql).all() as { name: string; id: number }[];
    return new Set(rows.map(({ name, id }) => segmentPath(ring, name, seqOf(id))));
  } finally {
    db.close();
  }
}
