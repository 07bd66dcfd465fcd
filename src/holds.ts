import type { Clock } from './base/clock.js';
import { BluelightError } from './base/errors.js';
import { ulid } from './base/ids.js';
import type { Remote } from './base/rpc.js';
import type { HoldBody, HoldsBody } from './contract/http.js';
import type { Party } from './contract/policy.js';
import { streamId, toUtc, type TimeRange } from './contract/primitives.js';
import type { Outside } from './outside.js';
import { partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import { ClockWatch } from './ring/clock-watch.js';
import type { Settings } from './settings/table.js';
import type { Hold } from './store/holds.js';
import type { Store } from './store/client.js';
import type { RingApi } from './threads.js';

export interface HoldsOptions {
  clock: Clock;
  settings: Settings;
  store: Store;
  gate: Gate;
  outside: Outside;
  ring: Pick<Remote<RingApi>, 'coverage'>;
}

export interface NewHold {
  camera: string;
  range: TimeRange;
  reason: string;
  expiresMs: number | null;
}

/** Of the quota of the ring, that holds of the center may keep from being overwritten, and all holds together. */
const CENTER_SHARE = 0.25;
const ALL_SHARE = 0.5;
const MOST_HOLDS = 200;
const ROLES = ['main', 'sub'] as const;
/** From what was recorded in this time it is told what a hold of the future will take. */
const RATE_MS = 3_600_000;
const EXPIRE_MS = 60_000;

/** Footage that is kept from being overwritten, whoever asked for it. A hold counts from the moment it is accepted. */
export class Holds {
  readonly #o: HoldsOptions;
  readonly #stop: () => void;
  readonly #watch = new ClockWatch();

  constructor(options: HoldsOptions) {
    this.#o = options;
    this.#stop = options.clock.every(EXPIRE_MS, () => this.expire());
  }

  close(): void {
    this.#stop();
  }

  /** @throws BluelightError HOLD_LIMIT; BAD_REQUEST: it would be over already */
  async add(wanted: NewHold, by: Extract<Party, { kind: 'local' }>): Promise<HoldBody> {
    const { clock, store, gate, outside } = this.#o;
    const now = clock.now();
    if (wanted.expiresMs !== null && wanted.expiresMs <= now) {
      throw new BluelightError('BAD_REQUEST', 'a hold cannot end in the past', { fix: 'give a later end, or none' });
    }
    await this.fits([wanted], { center: false });
    const { camera, range, reason, expiresMs } = wanted;
    const hold: Hold = {
      id: ulid(now),
      camera,
      ...range,
      reason,
      by: by.name,
      job: null,
      createdMs: now,
      expiresMs,
      releasedMs: null,
    };
    await gate.note({
      ...partyColumns(by),
      kind: 'hold',
      outcome: 'done',
      door: 'page',
      action: 'set',
      camera,
      ...range,
      reason,
      detail: { hold: hold.id, until: expiresMs === null ? null : toUtc(expiresMs) },
    });
    await store.holds.set(hold);
    await outside.holdsChanged();
    return this.#body(hold);
  }

  async list(): Promise<HoldsBody> {
    const holds = await Promise.all((await this.#o.store.holds.active()).map((hold) => this.#body(hold)));
    const bytes = holds.reduce((sum, hold) => sum + hold.bytes, 0);
    return { holds, bytes, limitBytes: Math.floor(ALL_SHARE * this.#o.settings['recording.quota']) };
  }

  /** @throws BluelightError NOT_FOUND | FORBIDDEN: what the center holds only the owner or the center releases */
  async release(id: string, reason: string, by: Extract<Party, { kind: 'local' }>): Promise<void> {
    const { store, gate } = this.#o;
    const hold = (await store.holds.active()).find((one) => one.id === id);
    if (hold === undefined) {
      throw new BluelightError('NOT_FOUND', `nothing is held under ${id}`, { fix: 'look at the list of holds' });
    }
    if (hold.job !== null && by.role !== 'owner') {
      throw new BluelightError('FORBIDDEN', `this hold was set by ${hold.by}`, {
        fix: 'the owner of the site, logged in on the page, or the center can release it',
      });
    }
    await gate.note({ ...partyColumns(by), ...released(hold), door: 'page', reason });
    await this.#end([hold]);
  }

  /** Holds end by the clock only while it is trusted, and never because it was stepped. */
  async expire(): Promise<void> {
    const { clock, gate, store } = this.#o;
    const trusted = gate.clockHolds();
    this.#watch.observe(clock.now(), clock.monotonic(), trusted ? 'ntp' : 'none');
    const now = this.#watch.trustedNow(clock.monotonic());
    if (!trusted || now === null) return;
    const over = (await store.holds.active()).filter((hold) => hold.expiresMs !== null && hold.expiresMs <= now);
    for (const hold of over) await gate.note({ party: 'agent', door: 'auto', ...released(hold), reason: 'it ran out' });
    await this.#end(over);
  }

  /**
   * @param job of the center, whose own holds are not counted twice when it is taken up again
   * @throws BluelightError HOLD_LIMIT: held footage would crowd out what is recorded now
   */
  async fits(
    wanted: readonly { camera: string; range: TimeRange }[],
    who: { center: boolean; job?: string },
  ): Promise<void> {
    const active = (await this.#o.store.holds.active()).filter((hold) => hold.job === null || hold.job !== who.job);
    await this.#within([...active.map(asked), ...wanted], ALL_SHARE, 'all holds together');
    if (!who.center) return;
    const centers = active.filter((hold) => hold.job !== null).map(asked);
    await this.#within([...centers, ...wanted], CENTER_SHARE, 'holds of the center');
  }

  async #within(ranges: readonly { camera: string; range: TimeRange }[], share: number, what: string): Promise<void> {
    const limit = share * this.#o.settings['recording.quota'];
    const sizes = await Promise.all(ranges.map(({ camera, range }) => this.#bytes(camera, range)));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (ranges.length <= MOST_HOLDS && bytes <= limit) return;
    const message =
      ranges.length > MOST_HOLDS
        ? `there would be more than ${MOST_HOLDS} holds`
        : `${what} would keep ${megabytes(bytes)}, and may keep ${share * 100} % of the recordings: ${megabytes(limit)}`;
    throw new BluelightError('HOLD_LIMIT', message, {
      fix: 'hold a shorter range, release another hold, or make a clip of it',
    });
  }

  /** What a range takes: what is recorded of it, and what will be at the present rate. */
  async #bytes(camera: string, { fromMs, toMs }: TimeRange): Promise<number> {
    const { ring, clock } = this.#o;
    const now = clock.now();
    const sizes = await Promise.all(
      ROLES.map(async (role) => {
        const stream = streamId(camera, role);
        const { bytes } = await ring.coverage({ stream, fromMs, toMs });
        const aheadMs = toMs - Math.max(fromMs, now);
        if (aheadMs <= 0) return bytes;
        const lately = await ring.coverage({ stream, fromMs: now - RATE_MS, toMs: now });
        const recordedMs = lately.spans.reduce((sum, span) => sum + span.toMs - span.fromMs, 0);
        return bytes + (recordedMs === 0 ? 0 : (lately.bytes / recordedMs) * aheadMs);
      }),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async #end(holds: readonly Hold[]): Promise<void> {
    const { store, outside, clock } = this.#o;
    for (const { id } of holds) await store.holds.release({ id, atMs: clock.now() });
    if (holds.length > 0) await outside.holdsChanged();
  }

  async #body(hold: Hold): Promise<HoldBody> {
    const { id, camera, reason, by } = hold;
    return {
      ...{ id, camera, reason, by },
      from: toUtc(hold.fromMs),
      to: toUtc(hold.toMs),
      center: hold.job !== null,
      createdAt: toUtc(hold.createdMs),
      expiresAt: hold.expiresMs === null ? null : toUtc(hold.expiresMs),
      bytes: Math.round(await this.#bytes(camera, hold)),
    };
  }
}

function asked(hold: Hold): { camera: string; range: TimeRange } {
  return { camera: hold.camera, range: hold };
}

function released(hold: Hold) {
  const { id, camera, fromMs, toMs } = hold;
  return { kind: 'hold', outcome: 'done', action: 'release', camera, fromMs, toMs, detail: { hold: id } } as const;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
