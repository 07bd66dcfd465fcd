-- ring.db: the index of the recording disk. A cache: everything here that cannot be recomputed from the media is
-- written to the fsynced journal beside it first, so that the file can be deleted and rebuilt with equal chain heads.
-- Times: _ms = wall clock, milliseconds since 1970, UTC. _ticks = 1/90000 s since the start of the run.
-- mono_ms = CLOCK_MONOTONIC of the boot named beside it.

-- One row: where the journal has been applied up to, and counters.
create table state (
  id integer primary key check (id = 1),
  disk_uuid text not null,
  -- The next line of the journal that this index does not contain yet.
  journal_number integer not null,
  journal_offset_bytes integer not null,
  -- Order in which segments were begun, over all streams. What space evicts by; never a clock.
  next_ordinal integer not null,
  -- Rebuilding in the background: journal files below this one are still to be read. Null: complete.
  rebuild_number integer,
  rebuild_offset_bytes integer,
  rebuild_until_number integer,
  -- For age rules: wall time that was trusted, and the moment of a boot at which it was. Null until there was one.
  trusted_ms integer,
  trusted_mono_ms integer,
  trusted_boot_id text
) strict;

create table streams (
  -- Upper part of segments.id.
  id integer primary key,
  -- '{camera}.main' or '{camera}.sub'
  name text not null unique,
  -- The sequence number of the next segment. Grows by one per closed segment and never goes back.
  next_seq integer not null default 1,
  -- Chain value of the newest closed segment: SHA-256, see proof/chain. 32 zero bytes before the first.
  head_link blob not null check (length(head_link) = 32),
  -- Running totals of rows in state 'closed' and 'damaged'.
  segments integer not null default 0,
  -- As allocated on disk: whole blocks.
  stored_bytes integer not null default 0,
  duration_ms integer not null default 0,
  -- The longest segment ever: how far before a moment a segment that covers it can have begun.
  longest_ms integer not null default 0
) strict;

-- ftyp + moov, once per content.
create table inits (
  id integer primary key,
  sha256 blob not null unique check (length(sha256) = 32),
  bytes blob not null,
  -- Segments that need it.
  segments integer not null default 0
) strict;

create table runs (
  id integer primary key,
  -- ULID given by ingest.
  name text not null unique,
  boot_id text not null,
  -- Segments that belong to it.
  segments integer not null default 0
) strict;

create table segments (
  -- stream * 2^32 + seq
  id integer primary key,
  stream_id integer not null references streams,
  -- 0 open: the file exists, its synced fragments count. 1 closed: hashed and chained. 2 garbage: to be unlinked.
  -- 3 damaged: closed, but the file no longer fits its hash; it is not served.
  state integer not null check (state between 0 and 3),
  ordinal integer not null,
  run_id integer not null references runs,
  init_id integer not null references inits,
  -- Start as it is known now. As it was recorded (and chained): start_ms - shift_ms.
  start_ms integer not null,
  shift_ms integer not null default 0,
  mono_ms integer not null,
  -- How far the wall clock was trusted: 0 none, 1 rtc, 2 ntp.
  clock integer not null check (clock between 0 and 2),
  decode_ticks integer not null,
  -- Null while open.
  duration_ticks integer,
  -- Fragments only; the file is init + these bytes.
  body_bytes integer,
  body_sha256 blob check (body_sha256 is null or length(body_sha256) = 32),
  -- Link of the record before it, and of its own: SHA-256 over the whole record, so that a row checks itself.
  prev blob check (prev is null or length(prev) = 32),
  link blob check (link is null or length(link) = 32),
  recovered integer not null default 0,
  has_motion integer not null default 0,
  -- The journal file that holds its record.
  journal_number integer,
  check (state = 0 or (duration_ticks is not null and body_bytes is not null and body_sha256 is not null and link is not null))
) strict;
create index segments_by_time on segments (stream_id, start_ms);
-- Only what is not simply closed, so that a start looks at a handful of rows and not at a million.
create index segments_unsettled on segments (state) where state <> 1;

-- Fragments of a closed segment, in file order: per fragment the varints bytes, ticks * 2 + key.
create table fragments (
  segment_id integer primary key,
  list blob not null
) strict;

-- Time in which there should be a recording and is none.
create table gaps (
  id integer primary key,
  stream_id integer not null references streams,
  from_ms integer not null,
  -- Null: still open.
  to_ms integer,
  reason text not null,
  -- When it began on the monotonic clock of that boot; how far the wall clock was trusted then.
  boot_id text not null,
  mono_ms integer not null,
  clock integer not null check (clock between 0 and 2),
  -- The same of its end: the box may have been off in between, and its clock with it. Then to_ms may be before from_ms
  -- until it is corrected.
  to_boot_id text,
  to_mono_ms integer,
  to_clock integer check (to_clock between 0 and 2),
  -- By how much from_ms and to_ms were corrected.
  shift_from_ms integer not null default 0,
  shift_to_ms integer not null default 0
) strict;
create index gaps_by_time on gaps (stream_id, from_ms);
create unique index gaps_open on gaps (stream_id) where to_ms is null;

-- Ranges of sequence numbers whose media was deleted. Neighbours are merged.
create table pruned (
  stream_id integer not null references streams,
  from_seq integer not null,
  to_seq integer not null,
  from_ms integer not null,
  to_ms integer not null,
  -- Chain value of record to_seq: where the chain goes on.
  link_at_to blob not null check (length(link_at_to) = 32),
  why text not null,
  primary key (stream_id, from_seq)
) strict, without rowid;
create index pruned_by_end on pruned (stream_id, to_seq);
create index pruned_by_time on pruned (stream_id, from_ms);

-- Time became trusted at mono_ms of this boot, and the wall clock is offset_ms ahead of the monotonic one since. What
-- an untrusted clock recorded before is placed accordingly: footage and records stay as they are, start_ms and shift_ms
-- of their rows follow.
create table corrections (
  id integer primary key,
  boot_id text not null,
  mono_ms integer not null,
  offset_ms integer not null,
  -- 1: every row has been shifted.
  done integer not null default 0
) strict;
create index corrections_pending on corrections (done) where done = 0;

-- Signed heads of all chains, every few minutes: what proves later that nothing was left out.
create table checkpoints (
  n integer primary key,
  at_ms integer not null,
  -- SHA-256 of the signed bytes: `prev` of the next one.
  sha256 blob not null unique check (length(sha256) = 32),
  -- The signed document as JSON (DSSE envelope).
  envelope text not null
) strict;

-- Which checkpoint names which head. Only heads that moved since the checkpoint before.
create table checkpoint_heads (
  stream_id integer not null references streams,
  seq integer not null,
  n integer not null references checkpoints,
  primary key (stream_id, seq)
) strict, without rowid;

-- Records whose media is deleted, kept while older footage of their stream needs them to reach its checkpoint.
create table spent_records (
  segment_id integer primary key,
  record text not null
) strict;

-- Files of the journal; one without live records is removed.
create table journals (
  number integer primary key,
  live_records integer not null default 0
) strict;
