import Database from 'better-sqlite3';
import type { EventEnvelope, Heartbeat, InfoMessage, StatusMessage } from '../../contract/messages.js';
import type { Manifest, SignedManifest } from '../../contract/clip.js';
import type { Anchor, Envelope } from '../../contract/evidence.js';
import {
  SCHEMA,
  type Arrival,
  type BoxRecord,
  type CheckpointRecord,
  type ClipRecord,
  type StoredEvent,
} from './records.js';

interface StreamKey {
  site: string;
  box: string;
  stream: string;
}

/** What the center remembers, in one SQLite file. What it acknowledged is on disk (synchronous=FULL). */
export class CenterDb {
  readonly #db: Database.Database;

  constructor(path: string) {
    this.#db = new Database(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.exec(SCHEMA);
  }

  /** For tables of their own, in the same file. */
  get raw(): Database.Database {
    return this.#db;
  }

  close(): void {
    this.#db.close();
  }

  boxes(): BoxRecord[] {
    return this.#all<BoxRow>('select * from boxes order by site, box').map(toBox);
  }

  box(site: string, box: string): BoxRecord | undefined {
    const [row] = this.#all<BoxRow>('select * from boxes where site = :site and box = :box', { site, box });
    return row === undefined ? undefined : toBox(row);
  }

  saveBox(site: string, box: string, change: Partial<Omit<BoxRecord, 'site' | 'box'>>): void {
    const now = { ...EMPTY, ...this.box(site, box), ...change };
    this.#run(
      `insert or replace into boxes (site, box, key, refused_key, status, info, heartbeat, heartbeat_at)
       values (:site, :box, :key, :refused, :status, :info, :heartbeat, :at)`,
      {
        site,
        box,
        key: now.key,
        refused: now.refusedKey,
        status: json(now.status),
        info: json(now.info),
        heartbeat: json(now.heartbeat),
        at: now.heartbeatAt,
      },
    );
  }

  /** All of them in one write. Gives how many were new. */
  addEvents(arrivals: readonly Arrival[]): number {
    return this.#db.transaction(() => {
      const outcomes = arrivals.map((one) => this.addEvent(one.site, one.box, one.event, one.receivedAt));
      return outcomes.filter((outcome) => outcome === 'new').length;
    })();
  }

  /**
   * Takes an event in. Known ids are duplicates; that they came again shows that the box still holds them. An unknown
   * event at or below what is already contiguous means that the box began its stream anew.
   */
  addEvent(site: string, box: string, event: EventEnvelope, receivedAt: number): 'new' | 'duplicate' {
    const key = { site, box, stream: event.stream };
    const after = Math.min(event.after ?? event.sequence - 1, event.sequence - 1);
    return this.#db.transaction((): 'new' | 'duplicate' => {
      const known = this.#all<{ id: string }>('select id from events where id = :id', { id: event.id }).length > 0;
      let { contiguous, epoch } = this.#stream(key);
      if (!known && event.sequence <= contiguous) {
        contiguous = 0;
        epoch++;
      }
      if (known) {
        this.#run(
          `update events set after_sequence = min(after_sequence, :after), epoch = :epoch
           where id = :id and site = :site and box = :box`,
          { id: event.id, after, epoch, site, box },
        );
        this.#run(`insert into counters values ('duplicates', 1) on conflict do update set value = value + 1`);
      } else this.#insert(key, event, { after, epoch, receivedAt });
      this.#advance(key, contiguous, epoch);
      return known ? 'duplicate' : 'new';
    })();
  }

  #insert(key: StreamKey, event: EventEnvelope, more: { after: number; epoch: number; receivedAt: number }): void {
    this.#run(
      `insert into events
         (id, site, box, stream, sequence, after_sequence, epoch, type, time, received_at, data)
       values (:id, :site, :box, :stream, :sequence, :after, :epoch, :type, :time, :receivedAt, :data)`,
      {
        ...key,
        ...more,
        id: event.id,
        sequence: event.sequence,
        type: event.type,
        time: event.time,
        data: JSON.stringify(event.data),
      },
    );
  }

  /** Follows the chain of what has arrived: a row joins if the box holds nothing before it that is missing here. */
  #advance(key: StreamKey, from: number, epoch: number): void {
    let contiguous = from;
    for (;;) {
      const [next] = this.#all<{ sequence: number }>(
        `select sequence from events where site = :site and box = :box and stream = :stream and epoch = :epoch
           and sequence > :contiguous and after_sequence <= :contiguous order by sequence limit 1`,
        { ...key, contiguous, epoch },
      );
      if (next === undefined) break;
      contiguous = next.sequence;
    }
    this.#run('insert or replace into streams values (:site, :box, :stream, :contiguous, :epoch)', {
      ...key,
      contiguous,
      epoch,
    });
  }

  #stream(key: StreamKey): { contiguous: number; epoch: number } {
    const [row] = this.#all<{ contiguous: number; epoch: number }>(
      'select contiguous, epoch from streams where site = :site and box = :box and stream = :stream',
      key,
    );
    return row ?? { contiguous: 0, epoch: 0 };
  }

  contiguous(site: string, box: string, stream: string): number {
    return this.#stream({ site, box, stream }).contiguous;
  }

  streams(site: string, box: string): Record<string, number> {
    const rows = this.#all<{ stream: string; contiguous: number }>(
      'select stream, contiguous from streams where site = :site and box = :box',
      { site, box },
    );
    return Object.fromEntries(rows.map((row) => [row.stream, row.contiguous]));
  }

  /** Newest first. */
  events(ask: { limit: number; type?: string }): StoredEvent[] {
    return this.#all<EventRow>(
      'select * from events where :type is null or type like :type order by number desc limit :limit',
      { limit: ask.limit, type: ask.type === undefined ? null : `${ask.type}%` },
    ).map((row) => ({
      number: row.number,
      id: row.id,
      site: row.site,
      box: row.box,
      stream: row.stream,
      sequence: row.sequence,
      type: row.type,
      time: row.time,
      receivedAt: row.received_at,
      data: JSON.parse(row.data) as unknown,
    }));
  }

  counts(): { events: number; duplicates: number } {
    const [row] = this.#all<{ events: number; duplicates: number }>(
      `select (select count(*) from events) as events,
         coalesce((select value from counters where name = 'duplicates'), 0) as duplicates`,
    );
    return row!;
  }

  /** Runs `work` in one write. */
  together<T>(work: () => T): T {
    return this.#db.transaction(work)();
  }

  /** The n-th of a disk, or the newest. More than one: the box signed two stories. */
  checkpoint(site: string, box: string, disk: string, n: number | null): CheckpointRecord | undefined {
    const [row] = this.#all<CheckpointRow>(
      `select * from checkpoints where site = :site and box = :box and disk = :disk and (:n is null or n = :n)
       order by n desc, received_at limit 1`,
      { site, box, disk, n },
    );
    return row === undefined ? undefined : toCheckpoint(row);
  }

  /** Newest first. */
  checkpoints(site: string, box: string, limit: number): CheckpointRecord[] {
    return this.#all<CheckpointRow>(
      `select * from checkpoints where site = :site and box = :box order by received_at desc, n desc limit :limit`,
      { site, box, limit },
    ).map(toCheckpoint);
  }

  addCheckpoint(site: string, box: string, disk: string, record: CheckpointRecord): void {
    this.#run(
      `insert or ignore into checkpoints (site, box, disk, n, sha256, envelope, received_at, problem)
       values (:site, :box, :disk, :n, :sha256, :envelope, :receivedAt, :problem)`,
      { site, box, disk, ...record, envelope: JSON.stringify(record.envelope) },
    );
  }

  anchor(clip: string): Anchor | undefined {
    const [row] = this.#all<{ anchor: string }>('select anchor from anchors where clip = :clip', { clip });
    return row === undefined ? undefined : (JSON.parse(row.anchor) as Anchor);
  }

  saveAnchor(clip: string, anchor: Anchor): void {
    this.#run('insert or replace into anchors (clip, anchor) values (:clip, :anchor)', {
      clip,
      anchor: JSON.stringify(anchor),
    });
  }

  clip(clip: string): ClipRecord | undefined {
    const [row] = this.#all<ClipRow>('select * from clips where clip = :clip', { clip });
    return row === undefined ? undefined : toClip(row);
  }

  /** Newest first. */
  clips(limit: number): ClipRecord[] {
    return this.#all<ClipRow>('select * from clips order by announced_at desc, clip desc limit :limit', { limit }).map(
      toClip,
    );
  }

  saveClip(clip: ClipRecord): void {
    this.#run(
      `insert or replace into clips
         (clip, site, box, camera, envelope, manifest, state, upload, receipt, announced_at, delivered_at)
       values (:clip, :site, :box, :camera, :envelope, :manifest, :state, :upload, :receipt, :announced, :delivered)`,
      {
        clip: clip.clip,
        site: clip.site,
        box: clip.box,
        camera: clip.camera,
        envelope: JSON.stringify(clip.envelope),
        manifest: JSON.stringify(clip.manifest),
        state: clip.state,
        upload: clip.upload,
        receipt: clip.receipt,
        announced: clip.announcedAt,
        delivered: clip.deliveredAt,
      },
    );
  }

  #all<T>(sql: string, values: object = {}): T[] {
    return this.#db.prepare(sql).all(values) as T[];
  }

  #run(sql: string, values: object = {}): number {
    return this.#db.prepare(sql).run(values).changes;
  }
}

const EMPTY: Omit<BoxRecord, 'site' | 'box'> = {
  key: null,
  refusedKey: null,
  status: null,
  info: null,
  heartbeat: null,
  heartbeatAt: null,
};

interface BoxRow {
  site: string;
  box: string;
  key: string | null;
  refused_key: string | null;
  status: string | null;
  info: string | null;
  heartbeat: string | null;
  heartbeat_at: number | null;
}

interface EventRow {
  number: number;
  id: string;
  site: string;
  box: string;
  stream: string;
  sequence: number;
  type: string;
  time: string;
  received_at: number;
  data: string;
}

interface CheckpointRow {
  n: number;
  sha256: string;
  envelope: string;
  received_at: number;
  problem: string | null;
}

function toCheckpoint({ n, sha256, envelope, received_at, problem }: CheckpointRow): CheckpointRecord {
  return { n, sha256, envelope: JSON.parse(envelope) as Envelope, receivedAt: received_at, problem };
}

interface ClipRow {
  clip: string;
  site: string;
  box: string;
  camera: string;
  envelope: string;
  manifest: string;
  state: ClipRecord['state'];
  upload: string | null;
  receipt: string | null;
  announced_at: number;
  delivered_at: number | null;
}

function toBox(row: BoxRow): BoxRecord {
  return {
    site: row.site,
    box: row.box,
    key: row.key,
    refusedKey: row.refused_key,
    status: parse<StatusMessage>(row.status),
    info: parse<InfoMessage>(row.info),
    heartbeat: parse<Heartbeat>(row.heartbeat),
    heartbeatAt: row.heartbeat_at,
  };
}

function toClip(row: ClipRow): ClipRecord {
  return {
    clip: row.clip,
    site: row.site,
    box: row.box,
    camera: row.camera,
    manifest: JSON.parse(row.manifest) as Manifest,
    envelope: JSON.parse(row.envelope) as SignedManifest,
    state: row.state,
    upload: row.upload,
    receipt: row.receipt,
    announcedAt: row.announced_at,
    deliveredAt: row.delivered_at,
  };
}

function json(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function parse<T>(text: string | null): T | null {
  return text === null ? null : (JSON.parse(text) as T);
}
