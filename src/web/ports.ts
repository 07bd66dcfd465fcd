import type { AuditDigest, AuditEntry, AuditQuery, AuditVerdict } from '../contract/audit.js';
import type { Alarm } from '../contract/alarm.js';
import type { Camera, Device, DeviceStatus } from '../contract/camera.js';
import type { Clip, SignedManifest } from '../contract/clip.js';
import type { Anchor } from '../contract/evidence.js';
import type { StreamCoverage } from '../contract/coverage.js';
import type { Grant } from '../contract/grant.js';
import type {
  AddDeviceBody,
  CameraTestBody,
  CredentialsBody,
  DiscoveryBody,
  HoldBody,
  HoldsBody,
  LocalRole,
  MakeClipBody,
  PageEvent,
  QueueBody,
  RelayBody,
  StatusBody,
  ThreadsBody,
  TuneBody,
} from '../contract/http.js';
import type { IssuedCodeBody, LoginsBody } from '../contract/logins.js';
import type { EnrolmentMessage } from '../contract/enrolment.js';
import type { ClaimCodeBody, ClaimedBody, ClaimFoundBody, IdentityBody, RotatedBody } from '../contract/identity.js';
import type { IssuedReceiptBody } from '../contract/owner.js';
import type { ClaimFile } from '../contract/messages.js';
import type { MotionEvent } from '../contract/motion.js';
import type { AccessRequest, Door, Party, PolicyDocument } from '../contract/policy.js';
import type { RingCheckAsk, RingCheckReport } from '../contract/ring.js';
import type { MotionZones } from '../contract/zones.js';
import type { TimeRange } from '../contract/primitives.js';

type Role = 'main' | 'sub';

/** What the page and the API need from the rest of the box; the composition root fills it. */
export interface WebPorts {
  /** The gate. Rejects with a `BluelightError` whose code is a `DenialCode`. */
  authorise(request: AccessRequest): Promise<Grant>;
  /** What came of a grant, for the audit: bytes that left the box. Ends the grant. */
  finished(grant: Grant, end: { outcome: 'done' | 'failed'; bytes: number; why: string }): Promise<void>;
  /** A login, a logout, or somebody who was not let in: for the audit. */
  atDoor(event: DoorEvent): Promise<void>;
  /** Who this code or password belongs to; null if to nobody. Slow by design (a password hash). */
  verifyLogin(code: string): Promise<{ role: LocalRole; name: string; expiresMs?: number | null } | null>;
  logins: LoginsPort;
  status(): StatusBody | Promise<StatusBody>;
  /** Watches the event loops of the agent's threads for so many ms. */
  threads(ms: number): Promise<ThreadsBody>;
  identity: IdentityPort;
  cameras: CamerasPort;
  alarms: AlarmsPort;
  zones: ZonesPort;
  ring: RingPort;
  owner: OwnerPort;
  footage: FootagePort;
  live: LivePort;
  stills: StillsPort;
  /** Motion events of the grant's camera that touch the range (inside the grant's), oldest first. */
  motion(grant: Grant, range: TimeRange): Promise<MotionEvent[]>;
  clips: ClipsPort;
  holds: HoldsPort;
  policy(): Promise<PolicyDocument>;
  audit: AuditPort;
  backup: BackupPort;
  /** Status changes, motion and clip changes as they happen. Returns the unsubscription. */
  subscribe(listener: (event: PageEvent) => void): () => void;
}

/** Whose box this is, and by which keys. */
/** Who may log in. Nobody but the owner changes what lets somebody see pictures, and nobody resets the owner. */
export interface LoginsPort {
  list(): Promise<LoginsBody['logins']>;
  /** A new code for the technician; the one before no longer opens. @param forMs absent: as configured */
  technicianCode(forMs: number | undefined, by: Party): Promise<IssuedCodeBody>;
  setViewer(name: string, password: string, passphrase: string | undefined, by: Party): Promise<void>;
  remove(name: string, passphrase: string | undefined, by: Party): Promise<void>;
}
export interface IdentityPort {
  show(): Promise<IdentityBody>;
  /** Which center answers at an address. Rejects with CENTER_UNREACHABLE. */
  look(address: string | undefined): Promise<ClaimFoundBody>;
  /**
   * Binds the box to a center, now or, if the center cannot be reached, as soon as it can. Reject with CLAIM_INVALID,
   * CLAIMED, CLAIM_USED, CLAIM_EXPIRED, CLAIM_WRONG or CENTER_FOREIGN.
   */
  claimFile(file: ClaimFile, by: Party): Promise<ClaimedBody>;
  claimQr(text: string, by: Party): Promise<ClaimedBody>;
  claimCode(body: ClaimCodeBody, by: Party): Promise<ClaimedBody>;
  /** Takes back a claim that the center has not answered. */
  cancelClaim(by: Party): Promise<ClaimedBody>;
  rotateKey(by: Party): Promise<RotatedBody>;
  /** The center's signed words on its keys and on the membership, brought as a file. */
  obey(message: EnrolmentMessage, by: Party): Promise<void>;
}

export interface BackupPort {
  /** The whole state of the box, sealed with the passphrase. Rejects with PASSPHRASE_SHORT. */
  make(passphrase: string, by: Party): Promise<Uint8Array>;
}

/** The audit log, in words. Owner and viewer are shown a look that is told later when its time has come. */
export interface AuditPort {
  /** Newest first. */
  list(query: AuditQuery, by: Party): Promise<AuditEntry[]>;
  /** Without times: the last seven days. */
  digest(range: { from?: string; to?: string }, by: Party): Promise<AuditDigest>;
  numbers(year: number, by: Party): Promise<AuditDigest>;
  verify(): Promise<AuditVerdict>;
  /** Lines; the last one is the signed head. */
  export(by: Party): AsyncGenerator<string>;
}

export interface DoorEvent {
  action: 'login' | 'logout' | 'enter';
  outcome: 'done' | 'refused';
  /** Null: nobody knows. */
  who: Party | null;
  door: Door;
  /** Where from. */
  remote: string;
  code: string | null;
  reason: string;
}

export interface CamerasPort {
  list(): Camera[] | Promise<Camera[]>;
  /** Starts a search; returns at once. Finding goes on in the background. */
  scan(options: { ports: boolean }): Promise<void>;
  discovered(): DiscoveryBody | Promise<DiscoveryBody>;
  add(request: AddDeviceBody, by: Party): Promise<{ device: Device; cameras: Camera[] }>;
  /** Puts another device in the place of a camera. */
  replace(camera: string, request: AddDeviceBody, by: Party): Promise<{ device: Device; cameras: Camera[] }>;
  password(camera: string, credentials: CredentialsBody, by: Party): Promise<void>;
  /** Accepts the certificate that the camera shows now. */
  trust(camera: string, by: Party): Promise<Device>;
  devices(): Promise<DeviceStatus[]>;
  io(camera: string): Promise<{ relays: { token: string; service: 'device' | 'deviceio' }[]; inputs: string[] }>;
  relay(camera: string, relay: RelayBody, by: Party): Promise<{ confirmed: boolean }>;
  /** What was changed on the camera, in words. */
  tune(camera: string, body: TuneBody, by: Party): Promise<string[]>;
  test(camera: string): Promise<CameraTestBody>;
  remove(camera: string, by: Party): Promise<void>;
}

export interface AlarmsPort {
  /** Those that hold, then those that have ended, newest first. */
  list(): Alarm[] | Promise<Alarm[]>;
  /** PNG; null if there is none any more. The alarm's camera is the grant's. */
  evidence(grant: Grant, id: string, which: 'before' | 'now'): Promise<Uint8Array | null>;
  acceptView(camera: string, by: Party): Promise<void>;
}

export interface ZonesPort {
  get(camera: string): Promise<MotionZones>;
  set(camera: string, zones: MotionZones, by: Party): Promise<void>;
}

export interface RingPort {
  check(ask: RingCheckAsk, by: Party): Promise<RingCheckReport>;
  checkReport(): Promise<RingCheckReport | null>;
}

/** Whole segments of one recording run of one stream, in order. One init: one MP4 file. */
export interface FootagePart {
  run: string;
  codec: string;
  width: number;
  height: number;
  /** Wall clock of decode time 0 of the run, ms since 1970. */
  zeroMs: number;
  init: { sha256: string; bytes: number };
  segments: { seq: number; fromMs: number; toMs: number; bytes: number }[];
}

/** Reads the ring. Everything takes the grant and gives nothing outside of its camera and range. */
export interface SegmentPart {
  offset: number;
  length: number;
  into?: ArrayBuffer;
}

export interface FootagePort {
  coverage(grant: Grant, role: Role, range: TimeRange): Promise<StreamCoverage>;
  /** What the range is rounded out to, closed segments only: nothing of them changes. `bytes` without the init. */
  parts(grant: Grant, role: Role, range: TimeRange): Promise<FootagePart[]>;
  /** `ftyp` + `moov` of a part. */
  init(grant: Grant, role: Role, sha256: string): Promise<Uint8Array>;
  /**
   * The fragments of a segment, verbatim, or a part of them. Rejects with `NO_COVERAGE` if it was overwritten meanwhile.
   * @param part `into`: memory with room for the whole segment, in which the answer lies then
   */
  segment(grant: Grant, role: Role, seq: number, part?: SegmentPart): Promise<Uint8Array>;
}

/** Single pictures. */
export interface StillsPort {
  /**
   * What the gate is to be asked for: the whole segment in which the picture of a moment lies. Waits for one that is
   * being written; shows nothing.
   */
  range(camera: string, role: Role, atMs: number, signal: AbortSignal): Promise<TimeRange>;
  /** The picture nearest to `atMs`, or the newest (null), with the time at which it was taken. */
  take(grant: Grant, role: Role, atMs: number | null, signal: AbortSignal): Promise<{ jpeg: Uint8Array; atMs: number }>;
}

export interface LiveRun {
  run: string;
  codec: string;
  width: number;
  height: number;
  /** Wall clock of decode time 0 of the run, ms since 1970. */
  zeroMs: number;
  init: Uint8Array;
}

export interface LiveListener {
  /** Also at once on subscription if the stream runs. */
  run(run: LiveRun): void;
  /** First, at once, the fragments since the newest key frame: a picture without waiting for the next one. */
  fragment(fragment: { key: boolean; bytes: Uint8Array }): void;
  /** The stream stands still, with a stable word and a sentence. */
  paused(reason: string, detail: string): void;
}

export interface LivePort {
  /** From the ingest that records: no further session to the camera. Returns the unsubscription. */
  subscribe(grant: Grant, role: Role, listener: LiveListener): () => void;
}

/** Who, and through which door: both stand in the audit log. */
export interface Asker {
  party: Party;
  door: Door;
}

export interface ClipsPort {
  /** `role` of `request` names the stream; the range is the grant's. */
  make(grant: Grant, request: MakeClipBody, by: Asker): Promise<Clip>;
  /** Newest first. */
  list(): Promise<Clip[]>;
  get(id: string): Promise<Clip | null>;
  /** Rejects with POLICY_DENIED if the clip is of another camera than the grant; so does `open`. */
  manifest(grant: Grant, id: string): Promise<SignedManifest | null>;
  /** What came after the manifest. */
  anchor(grant: Grant, id: string): Promise<Anchor | null>;
  /** The file itself; `chunks` reads from one byte up to another, once. */
  open(
    grant: Grant,
    id: string,
    by: Asker,
  ): Promise<{
    name: string;
    bytes: number;
    sha256: string;
    chunks(from: number, to: number): AsyncGenerator<Uint8Array>;
  }>;
  /** Waiting and running uploads, in the order in which they will be sent. */
  queue(): Promise<QueueBody>;
}

type LocalParty = Extract<Party, { kind: 'local' }>;

/** Footage that is kept from being overwritten. */
export interface HoldsPort {
  list(): Promise<HoldsBody>;
  /** Counts when it resolves. `HOLD_LIMIT`: it would crowd out what is recorded now. */
  add(
    hold: { camera: string; range: TimeRange; reason: string; expiresMs: number | null },
    by: LocalParty,
  ): Promise<HoldBody>;
  release(id: string, reason: string, by: LocalParty): Promise<void>;
}

interface TermsPreview {
  words: string[];
  table: object[];
  changes: object[];
}

/** What an owner does with his terms. A passphrase is what proves him; see identity/owner. */
export interface OwnerPort {
  keyId(): Promise<string | null>;
  setUp(name: string, passphrase: string, by: Party): Promise<string>;
  /** Rejects with PASSPHRASE_WRONG, NO_OWNER or PASSWORD_SHORT. Gives the name of the owner's login. */
  changePassphrase(before: string, after: string, by: Party): Promise<string>;
  /** The key of the owner is given up: sharing ends. Gives the receipt and the login that went with it. */
  lost(reason: string, by: Party): Promise<{ receipt: IssuedReceiptBody; login: string | null }>;
  preview(document: PolicyDocument): Promise<TermsPreview>;
  proposals(): Promise<(TermsPreview & { id: string; version: number; note: string; document: PolicyDocument })[]>;
  propose(document: PolicyDocument, note: string, by: Party): Promise<string>;
  accept(document: PolicyDocument, passphrase: string, by: Party): Promise<IssuedReceiptBody>;
  decline(id: string, by: Party): Promise<void>;
  /** As things stand now; `until` null: not paused, or until resumed. */
  sharing(): { enrolment: 'none' | 'pending' | 'active' | 'ended'; paused: boolean; until: string | null };
  pause(untilMs: number | null, reason: string, by: Party): Promise<IssuedReceiptBody>;
  resume(reason: string, passphrase: string | undefined, by: Party): Promise<IssuedReceiptBody>;
  optOut(
    choice: { reason: string; recordings: 'keep' | 'erase' },
    passphrase: string | undefined,
    by: Party,
  ): Promise<IssuedReceiptBody>;
  /** ms since 1970; null: the technician sees no pictures. */
  technicianUntil(): number | null;
  letTechnicianLook(untilMs: number | null, passphrase: string | undefined, by: Party): Promise<void>;
  receipts(): Promise<{ id: string; kind: string; madeMs: number }[]>;
  receipt(id: string): Promise<object | null>;
  approvals(): Promise<object[]>;
  answer(id: string, yes: boolean, passphrase: string | undefined, by: Party): Promise<void>;
}
