import type { BluelightError } from '../base/errors.js';
import type { Core } from './core.js';
import { segmentId } from './layout.js';
import type { StreamRecorder } from './recorder.js';
import type { Space } from './space.js';
import { DAMAGED, endMs, type StreamRow, type Tables } from './tables.js';
import type { DiskState, RingLimits, RingStatus, StreamStatus } from './types.js';

const DAY_MS = 86_400_000;

interface StatusInput {
  core: Core | undefined;
  problem: { state: DiskState; error: BluelightError } | undefined;
  space: Space | undefined;
  limits: RingLimits;
  recorders: ReadonlyMap<string, StreamRecorder>;
  snapshotSeen: boolean;
  rebuildShare: number | null;
  motionShares: ReadonlyMap<string, number> | undefined;
  nowMs: number;
  monoMs: number;
}

/** Everything from running totals and single rows: costs the same with a hundred segments and with a million. */
export function ringStatus(input: StatusInput): RingStatus {
  const { core, space } = input;
  const rows = core?.tables.streams() ?? [];
  const streams = rows.map((row) => streamStatus(core!.tables, row, input));
  for (const [name, recorder] of input.recorders) {
    if (!rows.some((row) => row.name === name)) streams.push(unknownStream(name, recorder));
  }
  return {
    state: input.problem?.state ?? (input.rebuildShare === null ? 'ok' : 'rebuilding'),
    problem: input.problem?.error.message ?? null,
    diskId: core?.diskId ?? null,
    usedBytes: space?.usedBytes ?? 0,
    quotaBytes: input.limits.quotaBytes,
    freeBytes: space?.freeBytes ?? null,
    roomBytes: core === undefined || space === undefined ? null : roomBytes(rows, space, input.limits),
    limits: input.limits,
    floorShare: space?.floorShare ?? 1,
    evicting: !input.snapshotSeen ? 'waiting_for_holds' : space?.nothingLeft === true ? 'nothing_left' : 'possible',
    damagedSegments: core === undefined ? 0 : damagedCount(core.tables),
    rebuildShare: input.rebuildShare,
    streams,
  };
}

function streamStatus(tables: Tables, row: StreamRow, input: StatusInput): StreamStatus {
  const recorder = input.recorders.get(row.name);
  const oldest = tables.settledFrom(row.id, segmentId(row.id, 0), 1)[0];
  const newest = tables.newest(row.id);
  const committed = recorder?.committedEndMono;
  const open = recorder?.writer;
  const openEnd = open !== undefined && open.committed.durationTicks > 0 ? open.committed.endMs : undefined;
  return {
    stream: row.name,
    recording: recorder?.recording ?? false,
    committedAgeMs: committed === undefined ? null : Math.max(0, Math.round(input.monoMs - committed)),
    bytes: row.stored_bytes,
    segments: row.segments,
    durationMs: row.duration_ms,
    motionShare: input.motionShares?.get(row.name) ?? null,
    oldestMs: oldest?.start_ms ?? null,
    newestMs: openEnd ?? (newest === undefined ? null : endMs(newest)),
    gapSeconds24h: gapSeconds(tables, row, input.nowMs),
    openGap: tables.openGap(row.id)?.reason ?? null,
  };
}

function unknownStream(stream: string, recorder: StreamRecorder): StreamStatus {
  return {
    stream,
    recording: false,
    committedAgeMs: null,
    bytes: 0,
    segments: 0,
    durationMs: 0,
    motionShare: null,
    oldestMs: null,
    newestMs: null,
    gapSeconds24h: 0,
    openGap: recorder.openGap ?? null,
  };
}

function gapSeconds(tables: Tables, row: StreamRow, nowMs: number): number {
  const from = nowMs - DAY_MS;
  const ms = tables
    .gaps(row.id, from, nowMs)
    .reduce((sum, gap) => sum + Math.max(0, Math.min(gap.to_ms ?? nowMs, nowMs) - Math.max(gap.from_ms, from)), 0);
  return Math.round(ms / 1000);
}

/** Quota or disk, whichever ends first, without what is no footage. */
function roomBytes(rows: readonly StreamRow[], space: Space, limits: RingLimits): number {
  const stored = rows.reduce((sum, row) => sum + row.stored_bytes, 0);
  const quota = limits.quotaBytes - (space.usedBytes - stored);
  return Math.max(0, Math.min(quota, stored + (space.freeBytes ?? 0) - limits.reserveBytes));
}

/** Without an answer for so long the disk hangs: everybody waits for it. */
const HUNG_MS = 4_000;

/** What the ring said `ageMs` ago, as it is to be read now: a thread that hangs with its disk says nothing new. */
export function agedStatus(said: RingStatus, ageMs: number): RingStatus {
  const streams = said.streams.map((stream) => ({
    ...stream,
    committedAgeMs: stream.committedAgeMs === null ? null : stream.committedAgeMs + Math.round(ageMs),
  }));
  if (ageMs < HUNG_MS) return { ...said, streams };
  const problem = `the recording disk has not answered for ${Math.round(ageMs / 1000)} s`;
  return { ...said, streams, state: 'hung', problem };
}

function damagedCount(tables: Tables): number {
  return (
    tables.sql.one<{ n: number }>(`select count(*) as n from segments where state <> 1 and state = ${DAMAGED}`)?.n ?? 0
  );
}
