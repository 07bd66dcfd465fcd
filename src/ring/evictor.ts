import type { PruneRecord } from '../contract/evidence.js';
import { PRUNE_TYPE } from '../contract/evidence.js';
import { canonicalBytes } from '../proof/canonical.js';
import { preAuthEncoding } from '../proof/dsse.js';
import type { Signer } from '../proof/keys.js';
import type { Core } from './core.js';
import { allocated } from './disk-io.js';
import type { JournalEntry } from './journal-entry.js';
import { segmentId, seqOf } from './layout.js';
import type { Protections } from './protections.js';
import { toRanges } from './ranges.js';
import { removeGarbage } from './recovery.js';
import {
  planRetention,
  planThinning,
  type Candidate,
  type RetentionNow,
  type RetentionPlan,
  type StreamStock,
} from './retention.js';
import { endMs, ticksToMs, type CandidateRow, type StreamRow } from './rows.js';
import type { RingLimits } from './types.js';

/** Segments per stream that one plan looks at. */
const WINDOW = 64;
/** The same for thinning out: forty times as many as are recorded from one time to the next. */
const THIN_WINDOW = 256;

/** Reads what could be deleted, lets `planRetention` decide and carries it out. */
export class Evictor {
  readonly #core: Core;
  readonly #protections: Protections;
  readonly #signer: Signer | undefined;
  /** By main stream: up to here the tier of originals has decided. Begins anew with each start. */
  readonly #thinnedTo = new Map<string, number>();

  constructor(core: Core, protections: Protections, signer: Signer | undefined) {
    this.#core = core;
    this.#protections = protections;
    this.#signer = signer;
  }

  /** Deletes what must go for `needBytes` and what is too old. Repeats until that is done or nothing is left. */
  run(
    limits: RingLimits,
    now: RetentionNow,
    atMs: number,
  ): { freedBytes: number; shortBytes: number; floorShare: number } {
    let freedBytes = 0;
    let floorShare = 1;
    for (;;) {
      const needBytes = now.needBytes - freedBytes;
      const plan = this.plan(limits, { ...now, needBytes });
      if (needBytes > 0) floorShare = plan.floorShare;
      this.execute(plan, atMs);
      freedBytes += plan.freedBytes;
      if (plan.evict.length === 0 || freedBytes >= now.needBytes) {
        return { freedBytes, shortBytes: Math.max(0, now.needBytes - freedBytes), floorShare };
      }
    }
  }

  plan(limits: RingLimits, now: RetentionNow): RetentionPlan {
    const corrected = this.#correctedRuns();
    const stocks = this.#core.tables.streams().map((stream) => this.#stock(stream, corrected));
    return planRetention(stocks, limits, now);
  }

  /** Gives up originals without motion that are past the first tier: a part at each call. Returns the bytes freed. */
  thin(originalsMs: number, trustedMs: number, atMs: number): number {
    const corrected = this.#correctedRuns();
    const mains = this.#core.tables.streams().filter((stream) => splitStream(stream.name)[1] === 'main');
    const evict = mains.flatMap((stream) => {
      const from = this.#thinnedTo.get(stream.name) ?? 0;
      const rows = this.#core.tables.candidates(stream.id, segmentId(stream.id, from + 1), THIN_WINDOW);
      const plan = planThinning(this.#stockOf(stream, rows, THIN_WINDOW, corrected), originalsMs, trustedMs);
      if (plan.lookedTo !== undefined) this.#thinnedTo.set(stream.name, plan.lookedTo);
      return plan.evict;
    });
    this.execute({ evict }, atMs);
    return evict.reduce((sum, one) => sum + one.storedBytes, 0);
  }

  /** What was held may be thinned out now. */
  released(fromSeq: ReadonlyMap<string, number>): void {
    for (const [stream, seq] of fromSeq) {
      const at = this.#thinnedTo.get(stream);
      if (at !== undefined && at >= seq) this.#thinnedTo.set(stream, seq - 1);
    }
  }

  /** Journal with the signed prune records, then garbage rows, unlink, directory, rows away. */
  execute(plan: Pick<RetentionPlan, 'evict'>, atMs: number): void {
    if (plan.evict.length === 0) return;
    const entries = this.#pruneEntries(plan, atMs);
    this.#core.commit(entries);
    removeGarbage(
      this.#core,
      this.#core.tables.unsettled().filter((row) => row.state === 2),
    );
  }

  #pruneEntries(plan: Pick<RetentionPlan, 'evict'>, atMs: number): JournalEntry[] {
    const groups = new Map<string, number[]>();
    for (const { stream, seq, why } of plan.evict) {
      const key = `${stream} ${why}`;
      groups.set(key, [...(groups.get(key) ?? []), seq]);
    }
    return [...groups].flatMap(([key, seqs]) => {
      const [stream, why] = key.split(' ') as [string, PruneRecord['why']];
      const ranges = toRanges(seqs.sort((a, b) => a - b));
      return ranges.map(([from, to]) => this.pruneEntry(this.#core.tables.stream(stream)!, from, to, why, atMs));
    });
  }

  pruneEntry(stream: StreamRow, fromSeq: number, toSeq: number, why: PruneRecord['why'], atMs: number): JournalEntry {
    const first = this.#core.tables.segment(segmentId(stream.id, fromSeq))!;
    const last = this.#core.tables.segment(segmentId(stream.id, toSeq))!;
    const record: PruneRecord = {
      v: 1,
      stream: stream.name,
      fromSeq,
      toSeq,
      fromMs: first.start_ms,
      toMs: endMs(last),
      linkAtTo: last.link!.toString('hex'),
      why,
      atMs: Math.round(atMs),
    };
    return { k: 'prune', record, signatures: this.#sign(record) };
  }

  #sign(record: PruneRecord): { keyid: string; sig: string }[] {
    if (this.#signer === undefined) return [];
    const sig = this.#signer.sign(preAuthEncoding(PRUNE_TYPE, canonicalBytes(record)));
    return [{ keyid: this.#signer.keyId, sig: Buffer.from(sig).toString('base64') }];
  }

  #stock(stream: StreamRow, corrected: ReadonlyMap<number, number>): StreamStock {
    return this.#stockOf(stream, this.#window(stream), WINDOW, corrected);
  }

  #stockOf(
    stream: StreamRow,
    rows: readonly CandidateRow[],
    window: number,
    corrected: ReadonlyMap<number, number>,
  ): StreamStock {
    const [camera, role] = splitStream(stream.name);
    const inits = new Map<number, number>();
    const candidates = rows.map((row): Candidate => {
      const init = inits.get(row.init_id) ?? this.#core.tables.initLength(row.init_id);
      inits.set(row.init_id, init);
      return {
        seq: seqOf(row.id),
        ordinal: row.ordinal,
        storedBytes: allocated(init + (row.body_bytes ?? 0)),
        durationMs: ticksToMs(row.duration_ticks ?? 0),
        startMs: row.start_ms,
        endMs: endMs(row),
        trusted: row.clock === 2 || row.mono_ms < (corrected.get(row.run_id) ?? 0),
        motion: row.has_motion === 1,
        protected: this.#protections.has(stream.name, seqOf(row.id)),
      };
    });
    return {
      stream: stream.name,
      camera,
      role,
      durationMs: stream.duration_ms,
      candidates,
      complete: rows.length < window,
      ...this.#nextTrusted(stream, candidates, rows, window),
    };
  }

  /** Asked only when the newest candidate does not know its own time and others follow. */
  #nextTrusted(
    stream: StreamRow,
    candidates: readonly Candidate[],
    rows: readonly CandidateRow[],
    window: number,
  ): { nextTrustedMs?: number } {
    if (rows.length < window || candidates.at(-1)?.trusted !== false) return {};
    const nextTrustedMs = this.#core.tables.trustedAfter(stream.id, rows.at(-1)!.id);
    return nextTrustedMs === undefined ? {} : { nextTrustedMs };
  }

  /** The oldest segments that are not protected: protected ranges are stepped over, however long they are. */
  #window(stream: StreamRow): CandidateRow[] {
    const rows: CandidateRow[] = [];
    let from = segmentId(stream.id, 0);
    while (rows.length < WINDOW) {
      const more = this.#core.tables.candidates(stream.id, from, WINDOW - rows.length);
      if (more.length === 0) break;
      const held = more.findIndex((row) => this.#protections.has(stream.name, seqOf(row.id)));
      const free = held === -1 ? more : more.slice(0, held);
      rows.push(...free);
      const next =
        held === -1
          ? more.at(-1)!.id
          : segmentId(stream.id, this.#protections.endOf(stream.name, seqOf(more[held]!.id))!);
      from = next + 1;
    }
    return rows;
  }

  /** By run: before this moment of its boot an untrusted clock was corrected or confirmed. */
  #correctedRuns(): ReadonlyMap<number, number> {
    const rows = this.#core.tables.sql.all<{ id: number; mono_ms: number }>(
      'select r.id, max(c.mono_ms) as mono_ms from runs r join corrections c on c.boot_id = r.boot_id group by r.id',
    );
    return new Map(rows.map((row) => [row.id, row.mono_ms]));
  }
}

export function splitStream(name: string): [camera: string, role: 'main' | 'sub'] {
  const dot = name.lastIndexOf('.');
  return [name.slice(0, dot), name.slice(dot + 1) === 'main' ? 'main' : 'sub'];
}
