import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Anchor } from '../contract/evidence.js';
import type { TimeRange } from '../contract/primitives.js';
import type { GapReason } from '../media/stream.js';
import type { Signer } from '../proof/keys.js';
import type { SegmentRecord } from '../proof/chain.js';
import type { DiskIo } from './disk-io.js';

/** How far the wall clock is trusted. `none`: it may be 1970. */
export type ClockTrust = 'none' | 'rtc' | 'ntp';
export const CLOCK_TRUST: readonly ClockTrust[] = ['none', 'rtc', 'ntp'];

export interface RingLimits {
  /** Own bytes on the disk, index and journal included. */
  quotaBytes: number;
  /** Free space that is left to others. */
  reserveBytes: number;
  /** Recorded time that every stream keeps while another has more. */
  floorMs: number;
  /** Originals without motion are deleted after this (tier 1). null: only space decides. */
  originalsMs: number | null;
  /** Everything is deleted after this (tier 2). null: only space decides. */
  keepMs: number | null;
  /** Legal maximum by camera. */
  maximumMs: Record<string, number>;
}

export interface RingOptions {
  directory: string;
  /** Write an identity into a directory that is empty. Never into one that is not. */
  create?: boolean;
  /** The identity that the disk must have; any when absent. */
  expectDisk?: string;
  clock: Clock;
  clockTrust: () => ClockTrust;
  /** /proc/sys/kernel/random/boot_id */
  bootId: string;
  limits: RingLimits;
  /** Free bytes of the file system for us; default: statfs. */
  freeBytes?: () => number;
  /** Signs what the ring deletes. */
  signer?: Signer;
  log: Log;
  io?: DiskIo;
  /** A new segment begins at the first key frame after this. */
  segmentMs?: number;
  ballastBytes?: number;
  journalFileBytes?: number;
}

/** Footage that must not be evicted. Replaced as a whole by each snapshot. */
export interface Protection {
  id: string;
  kind: 'hold' | 'lease';
  camera: string;
  /** Both streams when absent. */
  role?: 'main' | 'sub';
  fromMs: number;
  toMs: number;
}

export interface CoverageAnswer {
  spans: { fromMs: number; toMs: number; bytes: number; open?: boolean }[];
  gaps: { fromMs: number; toMs: number; reason: CoverageGapReason }[];
  bytes: number;
}

/** Beside the reasons of ingest: what the ring itself did or found. */
export type CoverageGapReason = GapReason | 'overwritten' | 'damaged' | 'not_recorded';

/** One whole segment of a clip. */
export interface PlannedSegment {
  seq: number;
  startMs: number;
  endMs: number;
  /** Where the fragments begin in the segment's file: after its init. */
  bodyOffset: number;
  /** Of the fragments. */
  bytes: number;
  sha256: string;
  link: string;
  clock: ClockTrust;
  recovered: boolean;
  motion: boolean;
  /** The chained record; its hash is `link`. */
  record: SegmentRecord;
}

/** Segments that make one playable file: same init, decode times that run on. */
export interface PlannedFile {
  run: string;
  initHash: string;
  initBytes: number;
  startMs: number;
  endMs: number;
  /** Init and all bodies. */
  bytes: number;
  segments: PlannedSegment[];
  /** Ties the last segment to the next checkpoint; absent while none has been made since. */
  anchor?: Anchor;
}

/** Some bytes of a closed segment. */
export interface SegmentAsk {
  stream: string;
  seq: number;
  /** From the first byte of the fragments, behind the init. */
  offset: number;
  length: number;
  /** Refuses a segment that leaves this range (OUTSIDE_RANGE): what a grant allows. */
  within?: TimeRange;
  /**
   * Memory that is handed over for the answer, from a reader of much: what is read lies in it, if the whole segment has
   * room in it.
   */
  into?: ArrayBuffer;
}

/** What a file that plays is made of, without its proof. */
export interface OutlinedFile {
  run: string;
  initHash: string;
  initBytes: number;
  /** Wall clock of decode time 0 of the run, ms since 1970. */
  zeroMs: number;
  segments: { seq: number; fromMs: number; toMs: number; bytes: number }[];
}

export interface ClipPlan {
  stream: string;
  /** Identity of the recording disk. */
  disk: string;
  /** Rounded out to whole segments; equal to what was asked where nothing is recorded. */
  fromMs: number;
  toMs: number;
  files: PlannedFile[];
  gaps: CoverageAnswer['gaps'];
  /** The range reaches into the segment that is being written: ask again when it is closed. */
  open: boolean;
  /** The index is not complete: what is missing here may still be found. */
  rebuilding: boolean;
}

export interface TimelineEntry {
  fromMs: number;
  toMs: number;
  motion: boolean;
}

/** `hung`: the disk does not answer. */
export type DiskState = 'ok' | 'rebuilding' | 'full' | 'failed' | 'missing' | 'wrong' | 'hung';

export interface StreamStatus {
  stream: string;
  recording: boolean;
  /** Since the newest frame that is safe on the disk was captured; null before the first. */
  committedAgeMs: number | null;
  bytes: number;
  segments: number;
  durationMs: number;
  /** Share of the newest footage that has motion, 0..1; null: not known yet. */
  motionShare: number | null;
  oldestMs: number | null;
  newestMs: number | null;
  gapSeconds24h: number;
  openGap: string | null;
}

export interface RingStatus {
  state: DiskState;
  /** In words, when the state is not ok. */
  problem: string | null;
  diskId: string | null;
  usedBytes: number;
  quotaBytes: number;
  freeBytes: number | null;
  /** Bytes that footage may take up in all; null while no disk is open. */
  roomBytes: number | null;
  limits: RingLimits;
  /** 1: every stream can keep its floor. Less: the floors were shrunk to this share, the disk is too small. */
  floorShare: number;
  evicting: 'waiting_for_holds' | 'possible' | 'nothing_left';
  damagedSegments: number;
  rebuildShare: number | null;
  streams: StreamStatus[];
}
