import { BluelightError } from './base/errors.js';
import type { Clock } from './base/clock.js';
import type { Party } from './contract/policy.js';
import { toUtc } from './contract/primitives.js';
import type { Owner } from './identity/owner.js';
import type { Outside } from './outside.js';
import { Asks } from './policy/asks.js';
import { exportAudit } from './policy/audit-export.js';
import { Consent } from './policy/consent.js';
import { optOut, pauseSharing, resumeSharing, type ExitPorts } from './policy/exit.js';
import type { Gate } from './policy/gate.js';
import { canonical } from './proof/canonical.js';
import type { Signer } from './proof/keys.js';
import type { Store } from './store/client.js';
import type { OwnerPort } from './web/ports.js';

export interface OwnerDeskOptions {
  clock: Clock;
  store: Store;
  gate: Gate;
  owner: Owner;
  signer: Signer;
  outside: Outside;
  cameraNames: () => Promise<Record<string, string>>;
}

/** The owner's side of the gate, as the page and the command line reach it. */
export function ownerDesk(o: OwnerDeskOptions): OwnerPort & { asks: Asks } {
  const { clock, store, gate, owner, outside } = o;
  const place = (): { site: string; box: string } => {
    const { site, box } = outside.reading();
    return { site, box };
  };
  const receipts = { tables: store, signer: () => o.signer, place, clock, gate };
  const consent = new Consent({
    ...receipts,
    unlockOwner: (passphrase) => owner.unlock(passphrase),
    cameraNames: o.cameraNames,
  });
  const asks = new Asks({ tables: store, gate, clock, onAnswer: () => undefined });
  const exit: ExitPorts = {
    ...receipts,
    centerId: () => outside.reading().center.id,
    leaveCenter: () => outside.leaveCenter(),
    endClaim: (why) => outside.endClaim(why),
    eraseRecordings: () => Promise.reject(cannotErase()),
  };

  /** Opening again, and leaving for good, is the owner's word: his login, or his passphrase. */
  const ownersWord = async (by: Party, passphrase: string | undefined): Promise<void> => {
    if (by.kind === 'local' && by.role === 'owner') return;
    if ((await owner.keyId()) === null) return;
    if (passphrase === undefined) {
      throw new BluelightError('FORBIDDEN', 'only the owner can do this', {
        fix: 'give the passphrase of the owner, or log in as the owner',
      });
    }
    await owner.unlock(passphrase);
  };

  return {
    asks,
    keyId: () => owner.keyId(),
    setUp: (name, passphrase) => owner.setUp(name, passphrase),
    preview: (document) => consent.preview(canonical(document)),
    proposals: () => consent.proposals(),
    propose: (document, note, by) => consent.propose(canonical(document), note, by),
    accept: async (document, passphrase, by) => consent.accept(await consent.next(document), passphrase, by),
    decline: (id, by) => consent.decline(id, by),
    pause: (untilMs, reason, by) => pauseSharing(receipts, untilMs, by, reason),
    async resume(reason, passphrase, by) {
      await ownersWord(by, passphrase);
      return resumeSharing(receipts, by, reason);
    },
    async optOut(reason, passphrase, by) {
      await ownersWord(by, passphrase);
      return optOut(exit, by, { reason, recordings: 'keep' });
    },
    async receipts() {
      return (await store.receipts.list()).map(({ id, kind, madeMs }) => ({ id, kind, madeMs }));
    },
    async receipt(id) {
      return (await store.receipts.get(id))?.envelope ?? null;
    },
    async approvals() {
      return (await asks.waiting()).map((approval) => ({
        id: approval.id,
        camera: approval.camera,
        kind: approval.kind,
        operator: approval.operator,
        agency: approval.agency,
        reason: reasonOf(approval.request),
        from: toUtc(approval.fromMs),
        to: toUtc(approval.toMs),
        askedAt: toUtc(approval.askedMs),
        expiresAt: toUtc(approval.expiresMs),
      }));
    },
    async answer(id, yes, by) {
      await asks.answer(id, yes, by);
    },
    auditExport: () => exportAudit(store.audit, o.signer, { ...place(), at: toUtc(clock.now()) }),
  };
}

function reasonOf(request: unknown): string {
  const { reason } = (request ?? {}) as { reason?: unknown };
  return typeof reason === 'string' ? reason : '';
}

function cannotErase(): BluelightError {
  return new BluelightError('UNSUPPORTED', 'this version cannot erase the recordings by itself', {
    fix: 'leave with the recordings kept, stop the agent and erase the recording disk',
  });
}
