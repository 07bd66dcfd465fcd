import { BluelightError } from '../base/errors.js';
import type { Clip, Priority } from '../contract/clip.js';
import { anchor as anchorSchema, type Anchor } from '../contract/evidence.js';
import { toUtc, type Rendition } from '../contract/primitives.js';
import type { Sql } from './sql.js';

export type ClipState = Clip['state'];

/** A clip and what is needed to make and send it. */
export interface StoredClip extends Clip {
  requester: string;
  reason: string;
  caseNo: string | null;
  job: string | null;
  /** Which part of a long motion event, from 0. */
  piece: number;
  /** What the asked range was rounded out to. */
  covers: { fromMs: number; toMs: number } | null;
  /** Audit id of the grant under which it was delivered, or of the last refusal. */
  grantId: string | null;
  uploadUrl: string | null;
  uploadOffset: number;
  manifest: string | null;
  attempts: number;
  notBeforeMs: number;
}

export interface NewClip {
  id: string;
  camera: string;
  fromMs: number;
  toMs: number;
  rendition: Rendition;
  priority: Priority;
  state: 'queued' | 'local';
  detail: string;
  motionEvent: string | null;
  piece?: number;
  covers?: { fromMs: number; toMs: number };
  createdMs: number;
  requester: string;
  reason: string;
  caseNo?: string;
  job?: string;
}

export interface ClipChange {
  state?: ClipState;
  detail?: string;
  bytes?: number | null;
  sentBytes?: number;
  sha256?: string | null;
  deliveredMs?: number | null;
  grantId?: string | null;
  uploadUrl?: string | null;
  uploadOffset?: number;
  /** JSON text of the DSSE envelope. */
  manifest?: string | null;
  unanchoredSeq?: number | null;
  attempts?: number;
  notBeforeMs?: number;
  coversFromMs?: number | null;
  coversToMs?: number | null;
}

/** What waits to be sent, without what only its turn needs. */
export interface WaitingClip {
  id: string;
  priority: Priority;
  rendition: Rendition;
  createdMs: number;
  notBeforeMs: number;
  bytes: number | null;
  sentBytes: number;
}

/** Footage that a clip still needs. */
export interface LeasedClip {
  id: string;
  camera: string;
  rendition: Rendition;
  fromMs: number;
  toMs: number;
}

/** Where a clip may go from where it is. What is delivered stays delivered: the exit receipt lists it. */
const NEXT: Record<ClipState, readonly ClipState[]> = {
  queued: ['uploading', 'failed', 'withheld', 'local'],
  uploading: ['queued', 'delivered', 'failed', 'withheld'],
  failed: ['queued'],
  withheld: ['queued', 'failed'],
  local: ['queued', 'failed'],
  delivered: [],
};

const RANK: Record<Priority, number> = { emergency: 0, urgent: 1, routine: 2, auto: 3 };

const COLUMN: Record<keyof ClipChange, string> = {
  state: 'state',
  detail: 'detail',
  bytes: 'bytes',
  sentBytes: 'sent_bytes',
  sha256: 'sha256',
  deliveredMs: 'delivered_ms',
  grantId: 'grant_id',
  uploadUrl: 'upload_url',
  uploadOffset: 'upload_offset',
  manifest: 'manifest',
  unanchoredSeq: 'unanchored_seq',
  attempts: 'attempts',
  notBeforeMs: 'not_before_ms',
  coversFromMs: 'covers_from_ms',
  coversToMs: 'covers_to_ms',
};

interface Row {
  id: string;
  camera: string;
  from_ms: number;
  to_ms: number;
  rendition: Rendition;
  priority: Priority;
  state: ClipState;
  detail: string;
  motion_event: string | null;
  piece: number;
  covers_from_ms: number | null;
  covers_to_ms: number | null;
  bytes: number | null;
  sent_bytes: number;
  sha256: string | null;
  created_ms: number;
  delivered_ms: number | null;
  requester: string;
  reason: string;
  case_no: string | null;
  job: string | null;
  grant_id: string | null;
  upload_url: string | null;
  upload_offset: number;
  manifest: string | null;
  attempts: number;
  not_before_ms: number;
}

export function clipsTable(sql: Sql) {
  const get = (id: string): StoredClip | null => {
    const row = sql.one<Row>('select * from clips where id = :id', { id });
    return row === undefined ? null : toClip(row);
  };
  return {
    /** False: this piece of this motion event is already there, as after a restart; nothing was changed. */
    insert(clip: NewClip): boolean {
      return insert(sql, clip) > 0;
    },
    get,
    /**
     * Changes what is given; `from`, if given, is the state it must still be in.
     * @throws BluelightError CLIP_UNKNOWN | CLIP_STATE: the step is not one that a clip can take
     */
    update(entry: { id: string; from?: ClipState; change: ClipChange }): StoredClip {
      return sql.transaction(() => {
        const now = get(entry.id);
        if (now === null) throw new BluelightError('CLIP_UNKNOWN', `there is no clip ${entry.id}`);
        const to = entry.change.state ?? now.state;
        const misplaced = entry.from !== undefined && entry.from !== now.state;
        if (misplaced || (to !== now.state && !NEXT[now.state].includes(to))) {
          throw new BluelightError('CLIP_STATE', `clip ${entry.id} is ${now.state} and cannot become ${to}`);
        }
        const keys = (Object.keys(entry.change) as (keyof ClipChange)[]).filter((k) => entry.change[k] !== undefined);
        if (keys.length > 0) {
          const sets = keys.map((key) => `${COLUMN[key]} = :${key}`).join(', ');
          const values = Object.fromEntries(keys.map((key) => [key, entry.change[key] ?? null]));
          sql.run(`update clips set ${sets} where id = :id`, { ...values, id: entry.id });
        }
        return get(entry.id)!;
      });
    },
    /** What to work on next: by priority, then age; not what must wait (`notBeforeMs`). */
    next(ask: { atMs: number; limit: number }): StoredClip[] {
      return sql
        .all<Row>(
          `select * from clips where state in ('queued', 'uploading') and not_before_ms <= :at
           order by rank, created_ms, id limit :limit`,
          { at: ask.atMs, limit: ask.limit },
        )
        .map(toClip);
    },
    /** By priority, then age. */
    waiting(ask: { limit: number }): WaitingClip[] {
      return sql.all<WaitingClip>(
        `select id, priority, rendition, created_ms as createdMs, not_before_ms as notBeforeMs, bytes, sent_bytes as sentBytes
         from clips where state in ('queued', 'uploading') order by rank, created_ms, id limit :limit`,
        ask,
      );
    },
    leased(): LeasedClip[] {
      return sql.all<LeasedClip>(
        `select id, camera, rendition, coalesce(covers_from_ms, from_ms) as fromMs, coalesce(covers_to_ms, to_ms) as toMs
         from clips where state in ('queued', 'uploading')`,
      );
    },
    /** Made and kept or delivered since `sinceMs`, and no checkpoint vouches for the last segment yet. */
    unanchored(ask: { sinceMs: number }): { id: string; camera: string; rendition: Rendition; seq: number }[] {
      return sql.all(
        `select id, camera, rendition, unanchored_seq as seq from clips
         where unanchored_seq is not null and created_ms >= :sinceMs and state in ('delivered', 'local')
         order by created_ms`,
        ask,
      );
    },
    /** The checkpoint came: kept beside the manifest, which is not signed again. */
    setAnchor(entry: { id: string; anchor: Anchor }): void {
      sql.transaction(() => {
        sql.run('update clips set unanchored_seq = null where id = :id', { id: entry.id });
        sql.run('insert into clip_anchors (clip, anchor) values (:id, :anchor) on conflict do nothing', {
          id: entry.id,
          anchor: JSON.stringify(entry.anchor),
        });
      });
    },
    /** Null: the manifest has its own, or no checkpoint came yet. */
    anchor(id: string): Anchor | null {
      const row = sql.one<{ anchor: string }>('select anchor from clip_anchors where clip = :id', { id });
      return row === undefined ? null : anchorSchema.parse(JSON.parse(row.anchor));
    },
    /** Newest first. */
    list(ask: { camera?: string; states?: ClipState[]; fromMs?: number; toMs?: number; limit: number }): StoredClip[] {
      return sql
        .all<Row>(
          `select * from clips where (:camera is null or camera = :camera)
             and (:states is null or state in (select value from json_each(:states)))
             and (:to is null or from_ms < :to) and (:from is null or to_ms > :from)
           order by created_ms desc, id desc limit :limit`,
          {
            camera: ask.camera ?? null,
            states: ask.states === undefined ? null : JSON.stringify(ask.states),
            from: ask.fromMs ?? null,
            to: ask.toMs ?? null,
            limit: ask.limit,
          },
        )
        .map(toClip);
    },
    byJob(job: string): StoredClip[] {
      return sql.all<Row>('select * from clips where job = :job order by id', { job }).map(toClip);
    },
    /** How many clips and unsent bytes wait. */
    queue(): { clips: number; bytes: number } {
      return sql.one<{ clips: number; bytes: number }>(
        `select count(*) as clips, coalesce(sum(max(0, coalesce(bytes, 0) - sent_bytes)), 0) as bytes
         from clips where state in ('queued', 'uploading')`,
      )!;
    },
    /** Takes back everything that is not delivered, at a pause or at the end. Gives how many. */
    withholdAll(entry: { detail: string }): number {
      return sql.run(
        `update clips set state = 'withheld', detail = :detail where state in ('queued', 'uploading', 'failed')`,
        entry,
      );
    },
    /** Puts back what was withheld for a reason that no longer holds. */
    requeueWithheld(entry: { detail: string; atMs: number }): number {
      return sql.run(
        `update clips set state = 'queued', not_before_ms = :at, detail = ''
         where state = 'withheld' and detail = :detail`,
        { detail: entry.detail, at: entry.atMs },
      );
    },
  };
}

function insert(sql: Sql, clip: NewClip): number {
  return sql.run(
    `insert into clips (id, camera, from_ms, to_ms, rendition, priority, rank, state, detail, motion_event,
       piece, covers_from_ms, covers_to_ms, created_ms, requester, reason, case_no, job)
     values (:id, :camera, :from, :to, :rendition, :priority, :rank, :state, :detail, :event,
       :piece, :coversFrom, :coversTo, :created, :requester, :reason, :caseNo, :job)
     on conflict do nothing`,
    {
      id: clip.id,
      camera: clip.camera,
      from: clip.fromMs,
      to: clip.toMs,
      rendition: clip.rendition,
      priority: clip.priority,
      rank: RANK[clip.priority],
      state: clip.state,
      detail: clip.detail,
      event: clip.motionEvent,
      piece: clip.piece ?? 0,
      coversFrom: clip.covers?.fromMs ?? null,
      coversTo: clip.covers?.toMs ?? null,
      created: clip.createdMs,
      requester: clip.requester,
      reason: clip.reason,
      caseNo: clip.caseNo ?? null,
      job: clip.job ?? null,
    },
  );
}

function toClip(row: Row): StoredClip {
  return {
    id: row.id,
    camera: row.camera,
    from: toUtc(row.from_ms),
    to: toUtc(row.to_ms),
    rendition: row.rendition,
    priority: row.priority,
    state: row.state,
    detail: row.detail,
    motionEvent: row.motion_event,
    piece: row.piece,
    covers:
      row.covers_from_ms === null || row.covers_to_ms === null
        ? null
        : { fromMs: row.covers_from_ms, toMs: row.covers_to_ms },
    bytes: row.bytes,
    sentBytes: row.sent_bytes,
    sha256: row.sha256,
    createdAt: toUtc(row.created_ms),
    deliveredAt: row.delivered_ms === null ? null : toUtc(row.delivered_ms),
    requester: row.requester,
    reason: row.reason,
    caseNo: row.case_no,
    job: row.job,
    grantId: row.grant_id,
    uploadUrl: row.upload_url,
    uploadOffset: row.upload_offset,
    manifest: row.manifest,
    attempts: row.attempts,
    notBeforeMs: row.not_before_ms,
  };
}
