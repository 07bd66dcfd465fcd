import type { KeyObject } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { LoopDelay } from './base/loop-delay.js';
import type { Anchor, Envelope } from './contract/evidence.js';
import type { Admission, IngestCamera, IngestStatus } from './ingest/ports.js';
import type { LiveMessage } from './ingest/live.js';
import type { MotionEvent } from './contract/motion.js';
import type { RingCheckAsk, RingCheckReport } from './contract/ring.js';
import type { TimeRange } from './contract/primitives.js';
import type { MotionZones } from './contract/zones.js';
import type { MergeMode } from './motion/merge.js';
import type { Sight } from './motion/motion.js';
import type { Asked } from './ring/footage.js';
import type {
  ClipPlan,
  CoverageAnswer,
  OutlinedFile,
  Protection,
  RingLimits,
  RingStatus,
  SegmentAsk,
  TimelineEntry,
} from './ring/types.js';

/** What the main thread gives the media thread at its start. */
export interface MediaData {
  ring: MessagePort;
  logLevel: string;
  /** How many frames are looked at; undefined: none, cameras are recorded only. */
  cadence: 'adaptive' | 'full' | 'key' | undefined;
  /** How the cameras' own motion detectors count. */
  merge: MergeMode;
  engine: 'auto' | 'native' | 'ffmpeg';
  /** Addresses of cameras that may be given their password readable. */
  basicLogin: readonly string[];
  /** Bytes of fragments that may wait for the disk. */
  queueBytes: number;
}

/** Calls that the media thread answers. */
export interface MediaApi {
  setCameras(cameras: IngestCamera[]): void;
  /** Somebody else's login to this camera was refused: no further one is tried until its credentials change. */
  refuse(what: RefusedLogin): void;
  /** The answer to note `admit`. */
  admitted(answer: { ask: number; admission: Admission }): void;
  /** What of a camera's motion is told, from its next picture on. */
  setZones(zones: { camera: string; zones: MotionZones; timeZone: string }): void;
  /** What a camera's own motion detector says; null: nobody tells for it any more. */
  cameraMotion(word: { camera: string; active: boolean | null }): void;
  /** The view that a camera had before the agent was started, or null: the present one is right from now on. */
  setView(view: { camera: string; view: Uint8Array | null }): void;
  /** How late the thread answers, measured for so many ms. */
  loopDelay(ms: number): Promise<LoopDelay>;
  /** Ends every session; the last fragments are on their way to the ring when it resolves. */
  stop(_: undefined): Promise<void>;
}

/** What a camera refused, as its print. */
export interface RefusedLogin {
  camera: string;
  login: string;
}

/** One-way messages of the media thread. */
export interface MediaNotes {
  status: IngestStatus;
  motion: MotionEvent;
  /** A camera does not see any more, or sees again. */
  sight: Sight & { camera: string };
  /** A camera tells motion without end, since then; null: not any more. */
  storm: { camera: string; sinceMs: number | null };
  /** Pictures of a camera come and cannot be looked at, since then; null: they are looked at again. */
  blind: { camera: string; sinceMs: number | null };
  /** What a camera's view looks like. */
  view: { camera: string; view: Uint8Array };
  live: LiveMessage;
  /** Nobody may log in with this until it changes. */
  refused: RefusedLogin;
  /** May the streams of this camera be opened? Answered by `admitted`. */
  admit: { ask: number; camera: string; sinceMono: number };
}

/** One-way message to the media thread. */
export interface WatchNote {
  stream: string;
  on: boolean;
}

export interface RingData {
  media: MessagePort;
  logLevel: string;
  directory: string;
  create: boolean;
  /** The disk that this box recorded to before; undefined: any. */
  expectDisk: string | undefined;
  limits: RingLimits;
  segmentMs: number;
  bootId: string;
  /** Of the box: it signs checkpoints and what is deleted. */
  key: KeyObject;
}

/** Calls that the ring thread answers. */
export interface RingApi {
  status(_: undefined): RingStatus;
  coverage(ask: Asked): CoverageAnswer;
  plan(ask: Asked): ClipPlan;
  outline(ask: Asked): OutlinedFile[];
  timeline(ask: Asked): TimelineEntry[];
  readInit(hash: string): Uint8Array;
  read(ask: SegmentAsk & { within: TimeRange }): Promise<Uint8Array>;
  checkpoint(about: { site: string; box: string; audit: string | null }): Envelope;
  checkpointsAfter(ask: { n: number; limit: number }): Envelope[];
  newestCheckpoint(_: undefined): Envelope | null;
  anchor(ask: { stream: string; seq: number }): Anchor | null;
  protect(protections: Protection[]): void;
  markMotion(ask: { camera: string; fromMs: number; toMs: number }): void;
  /** Everything but the disk's identity; `eraseStep` frees the space bit by bit until it says false. */
  erase(_: undefined): void;
  eraseStep(_: undefined): boolean;
  /** Days that the terms allow, by camera, ms; replaces those of before. */
  setMaximum(maximumMs: Record<string, number>): void;
  /** What is signed from now on is signed with this key. */
  useKey(key: KeyObject): void;
  startCheck(ask: RingCheckAsk): RingCheckReport;
  /** Null: none was started. */
  checkReport(_: undefined): RingCheckReport | null;
  clockTrust(trust: 'none' | 'rtc' | 'ntp'): void;
  stop(_: undefined): void;
}

/** One-way messages of the ring thread. */
export interface RingNotes {
  status: RingStatus;
  /** The disk in use, to be remembered: another one is refused at the next start. */
  disk: string;
}
