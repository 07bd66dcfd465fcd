import type { Log } from '../base/log.js';
import type { Clip, Priority, SignedManifest } from '../contract/clip.js';
import type { Anchor } from '../contract/evidence.js';
import type { MotionEvent } from '../contract/motion.js';
import type { Door, Party } from '../contract/policy.js';
import type { Rendition } from '../contract/primitives.js';
import type { StoredClip } from '../store/clips.js';
import type { SendFile } from './made-file.js';
import type { MotionSettings } from './motion-plan.js';
import type { AnchorPort, ClipTable, Lease, UplinkPort } from './ports.js';
import type { PrepareOptions } from './prepare.js';

export interface ClipsOptions extends Omit<PrepareOptions, 'closeWaitMs'> {
  log: Log;
  table: ClipTable;
  uplinks: UplinkPort;
  anchors: AnchorPort;
  /** A checkpoint vouches for a clip that left without one. False: the center cannot be told now. */
  onAnchor: (clip: Pick<Clip, 'id' | 'camera'>, anchor: Anchor) => Promise<boolean>;
  /** Ranges that wait to be sent; the ring keeps them. */
  setLeases: (leases: Lease[]) => void;
  /** A clip is in a new state, or further on its way. */
  onState: (clip: StoredClip) => void | Promise<void>;
  motion: MotionSettings & { rendition: 'original' | 'proxy' };
  closeWaitMs?: number;
  /** Clips of motion events that could not be sent for so long are given up. */
  autoMaxAgeMs?: number;
  random?: () => number;
}

export interface ClipRequest {
  camera: string;
  fromMs: number;
  toMs: number;
  rendition: Rendition;
  priority: Priority;
  party: Party;
  door: Door;
  reason: string;
  caseNo?: string;
  job?: string;
  motionEvent?: string;
  piece?: number;
  /** One of several files within what was asked, exactly. */
  covers?: { fromMs: number; toMs: number };
  /** False: it stays on the box, for the owner's own use. */
  send: boolean;
}

export interface OpenedClip {
  name: string;
  bytes: number;
  sha256: string;
  manifest: SignedManifest;
  file: SendFile;
  /** To be called once, with the bytes that really went out: it completes the audit entry of this access. */
  finished: (sent: { bytes: number; whole: boolean }) => Promise<void>;
}

export interface Clips {
  /**
   * Takes up what waited before a restart.
   * @param motion events of the last day, of which some may still lack their clips
   */
  start(motion?: readonly MotionEvent[]): Promise<void>;
  stop(): Promise<void>;
  /**
   * The clip, queued or local; null: this piece of this motion event is already there.
   * @throws BluelightError for local clips: a `DenialCode`, NO_COVERAGE
   */
  request(request: ClipRequest): Promise<StoredClip | null>;
  /** A motion event began, goes on or ended. */
  motion(event: MotionEvent): void;
  /** Gives up what of a job is not delivered yet, for good. */
  cancelJob(job: string, why: string): Promise<void>;
  /** Something changed that a waiting clip may wait for: a closed segment, the policy, an uplink. */
  kick(): void;
  /** Puts back what the policy withheld, after the policy changed. */
  retryWithheld(codes: readonly string[]): Promise<number>;
  list(ask: { camera?: string; limit: number }): Promise<StoredClip[]>;
  get(id: string): Promise<StoredClip | null>;
  manifest(id: string): Promise<SignedManifest | null>;
  /** What came after the manifest; null: the manifest has its own, or no checkpoint came yet. */
  anchor(id: string): Promise<Anchor | null>;
  /** A checkpoint was made: clips that left without one get their anchor. */
  checkpointed(): Promise<void>;
  /** A clip as a file, for a person on the box; asks the gate in that person's name. */
  open(id: string, who: { party: Party; door: Door }): Promise<OpenedClip>;
}
