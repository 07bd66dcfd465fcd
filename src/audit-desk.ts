import type { Clock } from './base/clock.js';
import type { Remote } from './base/rpc.js';
import { CHECKPOINT_TYPE, checkpoint as checkpointSchema, type Checkpoint } from './contract/evidence.js';
import type { Party } from './contract/policy.js';
import { toUtc } from './contract/primitives.js';
import { exportAudit } from './policy/audit-export.js';
import { doorOf, partyColumns, toAuditEntry } from './policy/audit-note.js';
import { auditDigest, yearOf, type Site, type Untold } from './policy/audit-report.js';
import { auditWords } from './policy/audit-words.js';
import type { Gate } from './policy/gate.js';
import { parseCanonical } from './proof/canonical.js';
import { openEnvelope } from './proof/dsse.js';
import type { Signer } from './proof/keys.js';
import type { Store } from './store/client.js';
import type { RingApi } from './threads.js';
import type { AuditPort } from './web/ports.js';

export interface AuditDeskOptions {
  store: Store;
  gate: Gate;
  signer: Signer;
  clock: Clock;
  place: () => { site: string; box: string };
  timeZone: () => string;
  ring: Pick<Remote<RingApi>, 'newestCheckpoint'>;
}

const WEEK_MS = 7 * 86_400_000;

/** The audit log as the page and the command line read it. */
export function auditDesk(o: AuditDeskOptions): AuditPort {
  const { store, gate, clock } = o;
  const site = async (): Promise<Site> => ({ names: await store.cameras.names(), timeZone: o.timeZone() });
  // The technician and the command line belong to those who keep the box: they are shown everything at once.
  const untold = (by: Party): Untold | undefined =>
    by.kind === 'local' && by.role === 'technician'
      ? undefined
      : { without: gate.later.jobs(), limitS: gate.notifyLimitS() };
  const digest = async (range: { fromMs: number; toMs: number }, by: Party): ReturnType<AuditPort['digest']> =>
    auditDigest(store.audit, range, await site(), untold(by));
  return {
    async list({ limit, before, camera, outcome, from, to, about }, by) {
      const { names, timeZone } = await site();
      const rows = await store.audit.list({
        limit,
        beforeSeq: before,
        camera,
        outcome,
        fromMs: from === undefined ? undefined : Date.parse(from),
        toMs: to === undefined ? undefined : Date.parse(to),
        looks: about === 'looks',
        outside: about === 'outside',
        without: untold(by)?.without,
      });
      return rows.map(toAuditEntry(auditWords(names, timeZone)));
    },
    digest({ from, to }, by) {
      const toMs = to === undefined ? clock.now() : Date.parse(to);
      return digest({ fromMs: from === undefined ? toMs - WEEK_MS : Date.parse(from), toMs }, by);
    },
    numbers: (year, by) => digest(yearOf(year, o.timeZone()), by),
    async verify() {
      const checked = await store.audit.verify(null);
      const published = await newestCheckpoint(o);
      if (checked.fault !== null || published === null || published.audit === null) {
        return { ...checked, checkpoint: published?.at ?? null };
      }
      const why = `a row that the checkpoint of ${published.at} names is not in it`;
      const fault = (await store.audit.holds(published.audit))
        ? null
        : { seq: checked.rows + 1, code: 'HEAD_CHANGED', why };
      return { ...checked, fault, checkpoint: published.at };
    },
    async *export(by) {
      await gate.note({
        kind: 'audit',
        outcome: 'done',
        ...partyColumns(by),
        door: doorOf(by),
        action: 'export',
        reason: 'the whole log',
      });
      const { names, timeZone } = await site();
      const { site: name, box } = o.place();
      const place = { site: name, box, at: toUtc(clock.now()), timeZone, cameras: names };
      const without = untold(by)?.without ?? [];
      const before = without.length === 0 ? null : await store.audit.firstOf(without);
      yield* exportAudit(store.audit, o.signer, place, before);
    },
  };
}

/** Of the ring, which lies on another disk: what it says cannot be changed with the database. Null: there is none. */
async function newestCheckpoint({ ring, store }: AuditDeskOptions): Promise<Checkpoint | null> {
  const envelope = await ring.newestCheckpoint(undefined);
  if (envelope === null) return null;
  const keys = (await store.keys.list()).filter(({ role }) => role === 'box').map(({ kid }) => kid);
  const { payload } = openEnvelope(envelope, { payloadType: CHECKPOINT_TYPE, trusted: keys });
  return checkpointSchema.parse(parseCanonical(Buffer.from(payload).toString('utf8')));
}
