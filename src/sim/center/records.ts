import type { EventEnvelope, Heartbeat, InfoMessage, StatusMessage } from '../../contract/messages.js';
import type { Manifest, SignedManifest } from '../../contract/clip.js';
import type { Envelope } from '../../contract/evidence.js';

/** Of one box, as the console shows it. */
export interface BoxRecord {
  site: string;
  box: string;
  /** Public key, pinned at the first birth. */
  key: string | null;
  /** A birth with another key was refused: set up anew, or an impostor. */
  refusedKey: string | null;
  status: StatusMessage | null;
  info: InfoMessage | null;
  heartbeat: Heartbeat | null;
  /** Wall clock of the center, ms. */
  heartbeatAt: number | null;
}

export interface ClipRecord {
  clip: string;
  site: string;
  box: string;
  camera: string;
  manifest: Manifest;
  envelope: SignedManifest;
  state: 'expected' | 'receiving' | 'delivered';
  /** tus upload id while one is going on. */
  upload: string | null;
  receipt: string | null;
  announcedAt: number;
  deliveredAt: number | null;
}

export interface CheckpointRecord {
  n: number;
  /** Of the signed bytes: `prev` of the next one. */
  sha256: string;
  envelope: Envelope;
  receivedAt: number;
  problem: string | null;
}

/** Of the one SQLite file of the center. */
export const SCHEMA = `
create table if not exists boxes (
  site text not null, box text not null, key text, refused_key text,
  status text, info text, heartbeat text, heartbeat_at integer,
  primary key (site, box)
) strict, without rowid;
create table if not exists streams (
  site text not null, box text not null, stream text not null, contiguous integer not null,
  -- Raised when a box begins its stream anew; only events of the present epoch count as contiguous.
  epoch integer not null,
  primary key (site, box, stream)
) strict, without rowid;
create table if not exists events (
  number integer primary key autoincrement,
  id text not null unique, site text not null, box text not null, stream text not null,
  sequence integer not null, after_sequence integer not null, epoch integer not null,
  type text not null, time text not null, received_at integer not null, data text not null
) strict;
create index if not exists events_by_stream on events (site, box, stream, epoch, sequence);
create table if not exists counters (name text primary key, value integer not null) strict, without rowid;
create table if not exists clips (
  clip text primary key, site text not null, box text not null, camera text not null,
  envelope text not null, manifest text not null, state text not null, upload text, receipt text,
  announced_at integer not null, delivered_at integer
) strict, without rowid;
-- Signed heads of a box's chains, as they came. 'problem': why this one does not follow the one before it.
create table if not exists checkpoints (
  site text not null, box text not null, disk text not null, n integer not null,
  sha256 text not null, envelope text not null, received_at integer not null, problem text,
  primary key (site, box, disk, n, sha256)
) strict, without rowid;
create index if not exists checkpoints_by_time on checkpoints (site, box, received_at);
create table if not exists anchors (clip text primary key, anchor text not null) strict, without rowid;
create index if not exists clips_by_time on clips (announced_at);
`;

export interface StoredEvent {
  number: number;
  id: string;
  site: string;
  box: string;
  stream: string;
  sequence: number;
  type: string;
  time: string;
  receivedAt: number;
  data: unknown;
}

export interface Arrival {
  site: string;
  box: string;
  event: EventEnvelope;
  /** Wall clock of the center, ms. */
  receivedAt: number;
}
