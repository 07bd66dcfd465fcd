import type { Grant } from '../contract/grant.js';
import type { SignedManifest } from '../contract/clip.js';
import type { Anchor, SegmentRecord } from '../contract/evidence.js';
import type { AccessRequest } from '../contract/policy.js';
import type { Polygon } from '../media/mask.js';
import type { TableCalls } from '../store/calls.js';

/** One whole segment, as the ring plans it. */
export interface PlannedSegment {
  seq: number;
  startMs: number;
  endMs: number;
  /** Of the fragments. */
  bytes: number;
  sha256: string;
  link: string;
  clock: string;
  recovered: boolean;
  /** The chained record; its hash is `link`. */
  record: SegmentRecord;
}

/** Segments that play as one file: one init, decode times that run on. */
export interface PlannedFile {
  run: string;
  initHash: string;
  initBytes: number;
  startMs: number;
  endMs: number;
  bytes: number;
  segments: PlannedSegment[];
  /** Ties the last segment to the next checkpoint; absent while none has been made since. */
  anchor?: Anchor;
}

export interface FootagePlan {
  files: PlannedFile[];
  gaps: { fromMs: number; toMs: number; reason: string }[];
  /** The range reaches into a segment that is still being written. */
  open: boolean;
  /** Identity of the recording disk. */
  disk: string;
  /** The index of the ring is not complete: what is missing here may still be found. */
  rebuilding: boolean;
}

/** The ring, as far as clips need it. Planning names no picture; reading takes the grant. */
export interface FootagePort {
  plan(ask: { stream: string; fromMs: number; toMs: number }): Promise<FootagePlan>;
  /** `ftyp` + `moov`. */
  readInit(grant: Grant, ask: { stream: string; initHash: string }): Promise<Uint8Array>;
  /** Bytes of a segment's fragments, `offset` counted from the first of them. */
  readBody(grant: Grant, ask: { stream: string; seq: number; offset: number; length: number }): Promise<Uint8Array>;
}

/** What ties a segment to the next checkpoint; null: none has been made since. */
export interface AnchorPort {
  anchor(ask: { stream: string; seq: number }): Promise<Anchor | null>;
}

export interface LiveListener {
  /** A run starts, or is running: what follows belongs to it. `zeroMs`: wall clock of decode time 0, ms since 1970. */
  run(run: { init: Uint8Array; zeroMs: number }): void;
  /** First those since the newest key frame. The bytes are the listener's to keep. */
  fragment(fragment: { key: boolean; bytes: Uint8Array }): void;
  paused(reason: string, detail: string): void;
}

/** Live pictures out of the ingest that records. */
export interface LivePort {
  /** Returns the unsubscription. */
  subscribe(grant: Grant, role: 'main' | 'sub', listener: LiveListener): () => void;
}

/** Single pictures of what was recorded. */
export interface StillPort {
  /** The picture nearest to `atMs`, with `masks` painted over; `atMs` of the answer: when it was taken. */
  take(
    grant: Grant,
    role: 'main' | 'sub',
    atMs: number,
    signal: AbortSignal,
    masks: readonly Polygon[],
  ): Promise<{ jpeg: Uint8Array; atMs: number }>;
}

/** The gate. `authorise` rejects with a `BluelightError` whose code is a `DenialCode`. */
export interface GatePort {
  authorise(request: AccessRequest): Promise<Grant>;
  finished(grant: Grant, end: { outcome: 'done' | 'failed'; bytes: number; why: string }): Promise<void>;
}

/** Footage that the ring must not overwrite while a clip waits; the whole list, each time it changes. */
export interface Lease {
  id: string;
  camera: string;
  role: 'main' | 'sub';
  fromMs: number;
  toMs: number;
}

export interface SendJob {
  clip: string;
  box: string;
  fileName: string;
  /** False: it may go on when the budget of its link is spent. */
  budgeted: boolean;
  bytes: number;
  sha256: string;
  manifest: SignedManifest;
  url: string | null;
  offset: number;
  signal: AbortSignal;
  read: (offset: number, length: number) => Promise<Uint8Array>;
  onProgress: (at: { url: string | null; offset: number }) => Promise<void>;
}

export type SendOutcome =
  | { state: 'delivered' }
  | { state: 'stopped'; why?: string }
  | {
      state: 'failed';
      code: string;
      message: string;
      retryable: boolean;
      restart: boolean;
      retryAfterMs: number | null;
    };

export interface Waiting {
  id: string;
  priority: 'emergency' | 'urgent' | 'routine' | 'auto';
  rendition: 'stills' | 'proxy' | 'original';
  createdMs: number;
  notBeforeMs: number;
  restBytes: number | null;
}

/** The uplinks: what to send next, and sending it. */
export interface UplinkPort {
  plan(
    queue: readonly Waiting[],
  ): { do: 'upload'; id: string; link: string } | { do: 'wait'; untilMs: number | null; why: string };
  upload(job: SendJob, link: string): Promise<SendOutcome>;
}

export type ClipTable = Pick<
  TableCalls['clips'],
  'insert' | 'get' | 'update' | 'list' | 'waiting' | 'leased' | 'unanchored' | 'setAnchor' | 'anchor'
>;
