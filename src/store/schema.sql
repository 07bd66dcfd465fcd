-- state.db: everything the box must remember beside the footage. This file is authoritative for a fresh database;
-- migrations.ts brings an older one to exactly this shape (a test compares them).
--
-- Times: *_ms are milliseconds since 1970 (wall clock). Ids: ULID unless said otherwise. Booleans: 0 or 1.
-- JSON columns (doc, data, ...) hold what the schemas of src/contract describe; code validates, SQLite only checks
-- that it is JSON. No secret stands here in clear: sealed_* are AES-256-GCM under a key file outside the database.

-- Small values without a table of their own: counters, the session, the state of the center's heartbeat.
create table kv (
  key text primary key not null,
  value text not null check (json_valid(value))
) strict, without rowid;

-- To which center the box belongs. One active claim at most; ended ones stay as history.
create table claims (
  id text primary key not null,
  state text not null check (state in ('pending', 'active', 'ended')),
  site text not null,
  box text not null,
  center_id text not null,
  -- Contract claimFile.center without its password.
  center text not null check (json_valid(center)),
  -- Password for the broker; null: none was given.
  sealed_password blob,
  -- SHA-256 of the claim file: the same file twice is one claim, a used one is known again.
  fingerprint text not null unique,
  created_ms integer not null,
  activated_ms integer,
  ended_ms integer,
  ended_why text
) strict;
create unique index one_claim on claims (state) where state in ('pending', 'active');

-- Public keys that count for this box, and until when.
create table keys (
  -- Raw Ed25519 public key, base64url.
  kid text primary key not null,
  role text not null check (role in ('box', 'center', 'owner', 'city')),
  state text not null check (state in ('current', 'former', 'revoked')),
  -- owner: the private key wrapped by the owner's passphrase (identity/owner-key); null otherwise.
  wrapped text check (wrapped is null or json_valid(wrapped)),
  -- What brought the key in: a rotation signed by its predecessor, the claim. Null for a key made here.
  statement text,
  since_ms integer not null,
  ended_ms integer
) strict;
create unique index one_current_key on keys (role) where state = 'current';

-- Who may log in to the local page. secret_hash: scrypt, see identity/passwords.
create table logins (
  name text primary key not null,
  role text not null check (role in ('technician', 'owner', 'viewer')),
  secret_hash text not null,
  -- Null: until removed. The first-start code ends with the claim.
  expires_ms integer,
  created_ms integer not null
) strict, without rowid;

-- Adopted cameras. doc is contract camera. A removed camera keeps its row: its footage and its audit still name it.
create table cameras (
  id text primary key not null,
  name text not null,
  device_id text not null,
  endpoint_reference text not null,
  serial text not null,
  mac text not null,
  address text not null,
  doc text not null check (json_valid(doc)),
  added_ms integer not null,
  removed_ms integer
) strict;
create index cameras_by_device on cameras (device_id);

-- Log-in data of devices and other foreign systems, by a name such as "device:acme-12".
create table credentials (
  name text primary key not null,
  sealed blob not null,
  set_ms integer not null
) strict, without rowid;

-- The owner's terms: every version ever proposed or accepted. document is the exact text that was signed.
create table policies (
  id text primary key not null,
  version integer not null,
  state text not null check (state in ('proposed', 'accepted', 'superseded', 'declined')),
  authority text not null check (authority in ('owner', 'city')),
  document text not null check (json_valid(document)),
  sha256 text not null,
  -- DSSE envelope; null: from the policy file of a box without signed policy.
  envelope text check (envelope is null or json_valid(envelope)),
  signed_by text,
  note text not null default '',
  created_ms integer not null,
  decided_ms integer
) strict;
create unique index one_accepted_policy on policies (state) where state = 'accepted';
create index policies_by_version on policies (version);

-- Times in which the owner shared nothing. Footage recorded in one is withheld afterwards as well.
create table pauses (
  id text primary key not null,
  from_ms integer not null,
  -- Null: until resumed by hand.
  until_ms integer,
  resumed_ms integer,
  by text not null,
  reason text not null
) strict;
create index pauses_by_from on pauses (from_ms);

-- Emergency windows opened by panic or by the owner.
create table emergencies (
  id text primary key not null,
  opened_ms integer not null,
  until_ms integer not null,
  closed_ms integer,
  by text not null,
  test integer not null default 0 check (test in (0, 1))
) strict;

-- Ask mode: a request that waits for the owner. No answer is no.
create table approvals (
  id text primary key not null,
  -- Contract AccessRequest.
  request text not null check (json_valid(request)),
  camera text not null,
  from_ms integer not null,
  to_ms integer not null,
  kind text not null,
  operator text not null,
  agency text not null,
  -- The command that waits for the answer.
  job text,
  state text not null check (state in ('waiting', 'approved', 'declined', 'expired')),
  asked_ms integer not null,
  expires_ms integer not null,
  answered_ms integer,
  answered_by text
) strict;
create index approvals_by_state on approvals (state, asked_ms);

-- Operators that the center enrolled for this box; a command in another name is refused.
create table operators (
  operator text not null,
  agency text not null,
  name text not null,
  role text not null,
  since_ms integer not null,
  ended_ms integer,
  primary key (agency, operator)
) strict, without rowid;

-- Every access, refusal and change. Append-only: link = SHA-256 of the row and the link before it (audit-chain.ts).
create table audit (
  seq integer primary key not null,
  id text not null unique,
  at_ms integer not null,
  -- access, policy, key, config, login, command, ...
  kind text not null,
  outcome text not null check (outcome in ('granted', 'refused', 'done', 'failed')),
  party text not null,
  agency text,
  role text,
  door text not null,
  -- What was to be done: clip, live, pause, ...
  action text not null,
  camera text,
  from_ms integer,
  to_ms integer,
  code text,
  reason text not null,
  -- Opaque case number.
  case_no text,
  bytes integer,
  -- The audit id that this row completes (bytes and outcome of a grant).
  ref text,
  detail text check (detail is null or json_valid(detail)),
  link text not null
) strict;
create index audit_by_time on audit (at_ms);
create index audit_by_ref on audit (ref) where ref is not null;
create trigger audit_is_append_only_update before update on audit begin
  select raise(abort, 'the audit log is append-only');
end;
create trigger audit_is_append_only_delete before delete on audit begin
  select raise(abort, 'the audit log is append-only');
end;

-- What the center must get, until it has acknowledged it. sequence runs without holes per stream.
create table outbox_streams (
  stream text primary key not null,
  last_sequence integer not null,
  acked_sequence integer not null,
  -- Events that were never given a sequence because the outbox was too full for their class.
  refused integer not null default 0
) strict, without rowid;

create table outbox (
  stream text not null references outbox_streams (stream),
  sequence integer not null,
  -- Idempotency key at the center.
  id text not null unique,
  class text not null check (class in ('critical', 'high', 'normal', 'low')),
  type text not null,
  time_ms integer not null,
  data text not null check (json_valid(data)),
  bytes integer not null,
  primary key (stream, sequence)
) strict, without rowid;

create table motion_events (
  id text primary key not null,
  camera text not null,
  start_ms integer not null,
  decided_ms integer not null,
  -- Null: still going on.
  end_ms integer,
  score real not null,
  reason text not null
) strict;
create index motion_events_by_time on motion_events (camera, start_ms);
create index motion_events_open on motion_events (camera) where end_ms is null;

-- Clips to be made and sent. Columns up to delivered_ms are contract clip.
create table clips (
  id text primary key not null,
  camera text not null,
  from_ms integer not null,
  to_ms integer not null,
  rendition text not null check (rendition in ('stills', 'proxy', 'original')),
  priority text not null check (priority in ('emergency', 'urgent', 'routine', 'auto')),
  -- The same as a number, 0 first.
  rank integer not null,
  state text not null check (state in ('queued', 'uploading', 'delivered', 'failed', 'withheld', 'local')),
  detail text not null,
  motion_event text,
  -- Long motion becomes several clips: 0, 1, ...
  piece integer not null default 0,
  -- What the asked range was rounded out to; null until it is made.
  covers_from_ms integer,
  covers_to_ms integer,
  bytes integer,
  sent_bytes integer not null default 0,
  sha256 text,
  created_ms integer not null,
  delivered_ms integer,
  -- Who asked and why; they go into the manifest.
  requester text not null,
  reason text not null,
  case_no text,
  job text,
  -- Audit id under which it was delivered or last refused.
  grant_id text,
  -- Where the target wants the rest; null: not begun.
  upload_url text,
  upload_offset integer not null default 0,
  -- Signed manifest (DSSE) as it was sent ahead of the file.
  manifest text check (manifest is null or json_valid(manifest)),
  -- Of the last segment, while the manifest carries no checkpoint that vouches for it and none came since.
  unanchored_seq integer,
  attempts integer not null default 0,
  not_before_ms integer not null default 0
) strict;
create unique index clips_once_per_event on clips (motion_event, piece, rendition) where motion_event is not null;
create index clips_next on clips (state, rank, created_ms);
create index clips_by_camera on clips (camera, from_ms);
create index clips_unanchored on clips (created_ms) where unanchored_seq is not null;
create index clips_by_job on clips (job) where job is not null;

-- What ties the last segment of a clip to a checkpoint that was made after its manifest: contract/evidence `anchor`.
create table clip_anchors (
  clip text primary key not null references clips,
  anchor text not null check (json_valid(anchor))
) strict;

-- Protection from overwriting. The ring gets them as snapshots.
create table holds (
  id text primary key not null,
  camera text not null,
  from_ms integer not null,
  to_ms integer not null,
  reason text not null,
  by text not null,
  job text,
  created_ms integer not null,
  -- Null: until released.
  expires_ms integer,
  released_ms integer
) strict;
create index holds_active on holds (camera) where released_ms is null;

-- Commands of the center being carried out. The job id is the idempotency key: the same id gets the same answer.
create table jobs (
  id text primary key not null,
  -- SHA-256 of the command as signed: the same id with other content is refused.
  fingerprint text not null,
  name text not null,
  args text not null check (json_valid(args)),
  operator text not null,
  agency text not null,
  role text not null,
  reason text not null,
  case_no text,
  priority text not null,
  state text not null check
    (state in ('QUEUED', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'REJECTED', 'CANCELED')),
  progress text check (progress is null or json_valid(progress)),
  result text check (result is null or json_valid(result)),
  error text check (error is null or json_valid(error)),
  issued_ms integer not null,
  expires_ms integer not null,
  received_ms integer not null,
  done_ms integer
) strict;
create index jobs_by_state on jobs (state, received_ms);
create index jobs_done on jobs (done_ms) where done_ms is not null;

-- Bytes per uplink, UTC day and class of traffic, both directions.
create table byte_ledger (
  uplink text not null,
  -- Days since 1970-01-01 UTC.
  day integer not null,
  class text not null,
  sent integer not null,
  received integer not null,
  primary key (uplink, day, class)
) strict, without rowid;

-- Signed statements to the owner: consent, pause, exit.
create table receipts (
  id text primary key not null,
  kind text not null,
  envelope text not null check (json_valid(envelope)),
  made_ms integer not null
) strict;
