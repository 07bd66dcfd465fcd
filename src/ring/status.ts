import type { BluelightError } from '../base/errors.js';
import { segmentId } from './layout.js';
import type { Opened } from './opened.js';
import type { StreamRecorder } from './recorder.js';
import type { Space } from './space.js';
import { endMs, type StreamRow } from './rows.js';
import type { Tables } from './tables.js';
import type { DiskState, RingLimits, RingStatus, StreamStatus } from './types.js';

const DAY_MS = 86_400_000;

export interface StatusInput {
  opened: Opened | undefined;
  problem: { state: DiskState; error: BluelightError } | undefined;
  limits: RingLimits;
  recorders: ReadonlyMap<string, StreamRecorder>;
  snapshotSeen: boolean;
  nowMs: number;
  monoMs: number;
}

type Counted = Pick<
  StreamStatus,
  'stream' | 'bytes' | 'segments' | 'durationMs' | 'oldestMs' | 'newestMs' | 'gapSeconds24h' | 'openGap'
>;

/** What the index says, by the disk that it was read from. */
interface Count {
  opened: Opened;
  monoMs: number;
  streams: Counted[];
  damaged: number;
  storedBytes: number;
}

/** Everything from running totals and single rows: costs the same with a hundred segments and with a million. */
export class StatusDesk {
  #count: Count | undefined;

  /** @param maxAgeMs what is counted in the index may be so old; what recorders and disk are doing never is */
  status(input: StatusInput, maxAgeMs: number): RingStatus {
    const { opened, limits, recorders } = input;
    const count = opened === undefined ? undefined : this.#counted(opened, input, maxAgeMs);
    const known = count?.streams ?? [];
    const streams = known.map((one) => streamStatus(one, opened!, input));
    for (const [name, recorder] of recorders) {
      if (!known.some((one) => one.stream === name)) streams.push(unknownStream(name, recorder));
    }
    const rebuildShare = opened?.maintenance.rebuildShare ?? null;
    const space = opened?.space;
    return {
      state: input.problem?.state ?? (rebuildShare === null ? 'ok' : 'rebuilding'),
      problem: input.problem?.error.message ?? null,
      diskId: opened?.core.diskId ?? null,
      usedBytes: space?.usedBytes ?? 0,
      quotaBytes: limits.quotaBytes,
      freeBytes: space?.freeBytes ?? null,
      roomBytes: count === undefined ? null : roomBytes(count.storedBytes, opened!.space, limits),
      limits,
      floorShare: space?.floorShare ?? 1,
      evicting: !input.snapshotSeen ? 'waiting_for_holds' : space?.nothingLeft === true ? 'nothing_left' : 'possible',
      damagedSegments: count?.damaged ?? 0,
      rebuildShare,
      streams,
    };
  }

  #counted(opened: Opened, input: StatusInput, maxAgeMs: number): Count {
    const before = this.#count;
    if (before?.opened === opened && input.monoMs - before.monoMs < maxAgeMs) return before;
    const { tables } = opened.core;
    const rows = tables.streams();
    return (this.#count = {
      opened,
      monoMs: input.monoMs,
      streams: rows.map((row) => counted(tables, row, input.nowMs)),
      damaged: tables.damaged(),
      storedBytes: rows.reduce((sum, row) => sum + row.stored_bytes, 0),
    });
  }
}

function counted(tables: Tables, row: StreamRow, nowMs: number): Counted {
  const newest = tables.newest(row.id);
  return {
    stream: row.name,
    bytes: row.stored_bytes,
    segments: row.segments,
    durationMs: row.duration_ms,
    oldestMs: tables.settledFrom(row.id, segmentId(row.id, 0), 1)[0]?.start_ms ?? null,
    newestMs: newest === undefined ? null : endMs(newest),
    gapSeconds24h: gapSeconds(tables, row, nowMs),
    openGap: tables.openGap(row.id)?.reason ?? null,
  };
}

function streamStatus(count: Counted, { maintenance }: Opened, input: StatusInput): StreamStatus {
  const recorder = input.recorders.get(count.stream);
  const committed = recorder?.committedEndMono;
  const open = recorder?.writer;
  const openEnd = open !== undefined && open.committed.durationTicks > 0 ? open.committed.endMs : undefined;
  return {
    ...count,
    recording: recorder?.recording ?? false,
    committedAgeMs: committed === undefined ? null : Math.max(0, Math.round(input.monoMs - committed)),
    motionShare: maintenance.motionShares.get(count.stream) ?? null,
    newestMs: openEnd ?? count.newestMs,
    openGap: recorder === undefined ? count.openGap : (recorder.openGap ?? null),
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
function roomBytes(stored: number, space: Space, limits: RingLimits): number {
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
