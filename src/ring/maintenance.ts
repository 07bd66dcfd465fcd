import { wallMinusMonotonic } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { RingCheck } from './check.js';
import type { ClockWatch, TimeAnchor } from './clock-watch.js';
import type { Core } from './core.js';
import { forgetOldProof } from './checkpoints.js';
import { applyCorrections, forgetGaps } from './corrections.js';
import { readState } from './database.js';
import type { JournalEntry } from './journal-entry.js';
import { collectJournal } from './journal-collector.js';
import { seqOf } from './layout.js';
import type { Protections } from './protections.js';
import { toRanges } from './ranges.js';
import { Rebuild } from './rebuild.js';
import { removeGarbage } from './recovery.js';
import { GARBAGE } from './rows.js';
import type { RingOptions } from './types.js';

const SLOW_WORK_MS = 60_000;
const SAVE_ANCHOR_MS = 600_000;
/** Per tick: about 0.1 % of the thread while a pass runs; a million segments take a day. */
const SCRUB_MS = 0.3;
const SCRUB_ROWS = 20;
const SCRUB_AGAIN_MS = 24 * 3_600_000;

/** Of a stream, for the forecast: an hour at least, a day at most. */
const SHARE_ROWS = { least: 360, most: 8_640 };

export interface MaintenanceParts {
  core: Core;
  protections: Protections;
  options: RingOptions;
}

/** What the ring does beside recording, in short steps: rebuilding, clock corrections, clearing away what is spent. */
export class Maintenance {
  readonly #core: Core;
  readonly #parts: MaintenanceParts;
  readonly #rebuild: Rebuild;
  #rebuilding: boolean;
  #nextSlow = 0;
  #check: RingCheck | undefined;
  #nextScrub = 0;
  #nextAnchor = 0;
  readonly #motionShares = new Map<string, number>();
  #nextShare = 0;

  constructor(parts: MaintenanceParts) {
    this.#core = parts.core;
    this.#parts = parts;
    this.#rebuild = new Rebuild(parts.core);
    this.#rebuilding = this.#rebuild.running;
  }

  get rebuildShare(): number | null {
    return this.#rebuilding ? this.#rebuild.share : null;
  }

  /** By main stream, as far as it is known. */
  get motionShares(): ReadonlyMap<string, number> {
    return this.#motionShares;
  }

  /** Trusted time of an earlier run of the agent in this boot. */
  savedAnchor(): TimeAnchor | undefined {
    const state = readState(this.#core.tables.sql);
    if (state.trusted_ms === null || state.trusted_mono_ms === null) return undefined;
    if (state.trusted_boot_id !== this.#parts.options.bootId) return undefined;
    return { wallMs: state.trusted_ms, monoMs: state.trusted_mono_ms };
  }

  /** @returns whether the clock was corrected: segments and gaps may stand elsewhere now */
  tick(watch: ClockWatch): boolean {
    const { clock, clockTrust } = this.#parts.options;
    const mono = clock.monotonic();
    const found = watch.observe(mono + wallMinusMonotonic(clock), mono, clockTrust());
    if (found !== undefined) this.#core.commit([{ k: 'correction', boot: this.#parts.options.bootId, ...found }]);
    const corrected = found !== undefined && this.#correct();
    this.#saveAnchor(watch, mono);
    if (this.#rebuilding) this.rebuildStep();
    else this.#scrub(mono);
    if (mono < this.#nextSlow) return corrected;
    this.#nextSlow = mono + SLOW_WORK_MS;
    this.#slowWork(watch.trustedNow(mono));
    return this.#correct() || corrected;
  }

  #slowWork(trustedMs: number | null): void {
    if (this.#rebuilding) return;
    collectJournal(this.#core);
    this.#forgetSpent(trustedMs);
    this.#lookForMotion();
  }

  rebuildStep(): boolean {
    if (!this.#rebuilding) return false;
    this.#rebuilding = this.#rebuild.step();
    // A prune record was written but the crash came before its files were gone.
    removeGarbage(
      this.#core,
      this.#core.tables.unsettled().filter((row) => row.state === GARBAGE),
    );
    if (!this.#rebuilding) {
      applyCorrections(this.#core);
      this.#forgetSpent(null);
      this.#parts.protections.refresh(this.#core.tables);
      this.#parts.options.log.info({}, 'the index is complete again');
    }
    return this.#rebuilding;
  }

  markMotion(camera: string, fromMs: number, toMs: number): void {
    const entries: JournalEntry[] = [];
    for (const role of ['main', 'sub'] as const) {
      const stream = this.#core.tables.stream(`${camera}.${role}`);
      if (stream === undefined) continue;
      const rows = this.#core.tables.overlapping(stream, fromMs, toMs).filter((row) => row.has_motion === 0);
      const open = this.#core.tables.openSegment(stream.id);
      if (open !== undefined && open.has_motion === 0 && open.start_ms < toMs) rows.push(open);
      const seqs = rows.map((row) => seqOf(row.id)).sort((a, b) => a - b);
      for (const [fromSeq, toSeq] of toRanges(seqs)) entries.push({ k: 'motion', stream: stream.name, fromSeq, toSeq });
    }
    if (entries.length > 0) this.#core.commit(entries);
  }

  #correct(): boolean {
    const corrected = applyCorrections(this.#core);
    if (corrected) this.#parts.protections.refresh(this.#core.tables);
    return corrected;
  }

  /** A few rows at each tick are held against links and files: silent damage of the index is found within hours. */
  #scrub(mono: number): void {
    if (mono < this.#nextScrub) return;
    this.#check ??= new RingCheck(this.#core, 'presence', this.#parts.options.clock);
    const more = this.#check.step(SCRUB_MS, SCRUB_ROWS);
    if (this.#check.indexDamaged) {
      const [first] = this.#check.progress.findings;
      throw new BluelightError('INDEX_CORRUPT', `ring.db is damaged: ${first?.message}`, { retryable: true });
    }
    if (more) return;
    const { findings } = this.#check.progress;
    if (findings.length > 0)
      this.#parts.options.log.warn({ findings: findings.slice(0, 20) }, 'the ring has differences');
    this.#check = undefined;
    this.#nextScrub = mono + SCRUB_AGAIN_MS;
  }

  #saveAnchor(watch: ClockWatch, mono: number): void {
    const anchor = watch.anchor;
    if (anchor === undefined || mono < this.#nextAnchor) return;
    this.#nextAnchor = mono + SAVE_ANCHOR_MS;
    this.#core.tables.sql.transaction(() =>
      this.#core.tables.sql.run(
        `update state set trusted_ms = :wall, trusted_mono_ms = :mono, trusted_boot_id = :boot where id = 1`,
        { wall: Math.round(anchor.wallMs), mono: Math.round(anchor.monoMs), boot: this.#parts.options.bootId },
      ),
    );
  }

  /** One stream each time: counting a day takes milliseconds. */
  #lookForMotion(): void {
    const mains = this.#core.tables.streams().filter((stream) => stream.name.endsWith('.main'));
    const stream = mains[this.#nextShare++ % Math.max(1, mains.length)];
    if (stream === undefined) return;
    const share = this.#core.tables.motionShare(stream, SHARE_ROWS.least, SHARE_ROWS.most);
    if (share !== undefined) this.#motionShares.set(stream.name, share);
  }

  /** What belongs to nothing that is kept: gaps from before the oldest footage, runs and inits without segments. */
  #forgetSpent(trustedMs: number | null): void {
    const { tables } = this.#core;
    tables.sql.transaction(() => {
      for (const stream of tables.streams()) {
        const oldest = tables.settledFrom(stream.id, 0, 1)[0];
        const beforeMs = oldest?.start_ms ?? tables.pruned.bounds(stream.id)?.toMs;
        if (beforeMs !== undefined) forgetGaps(tables, stream, { beforeMs, boot: this.#parts.options.bootId });
      }
      // By no clock that jumped.
      forgetOldProof(tables, trustedMs ?? 0);
      tables.sql.run(
        `delete from runs where segments = 0 and id < (select max(id) from runs)
           and id not in (select run_id from segments where state <> 1)`,
      );
      tables.sql.run(
        'delete from inits where segments = 0 and id not in (select init_id from segments where state <> 1)',
      );
      tables.sql.run(
        `delete from corrections where done = 1 and boot_id <> :boot and boot_id not in (
           select boot_id from runs union select boot_id from gaps union select coalesce(to_boot_id, boot_id) from gaps)`,
        {
          boot: this.#parts.options.bootId,
        },
      );
    });
  }
}
