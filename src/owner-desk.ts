import { BluelightError, errorCode, errorMessage } from './base/errors.js';
import type { Clock } from './base/clock.js';
import type { Log } from './base/log.js';
import type { Remote } from './base/rpc.js';
import type { Party } from './contract/policy.js';
import { toUtc } from './contract/primitives.js';
import type { Owner } from './identity/owner.js';
import type { Outside } from './outside.js';
import { partyColumns } from './policy/audit-note.js';
import { Asks } from './policy/asks.js';
import { Consent } from './policy/consent.js';
import { optOut, pauseSharing, resumeSharing, type ExitPorts } from './policy/exit.js';
import type { Gate } from './policy/gate.js';
import { takeProposal } from './policy/proposals.js';
import { canonical } from './proof/canonical.js';
import type { Signer } from './proof/keys.js';
import type { Store } from './store/client.js';
import type { Approval } from './store/policies.js';
import type { RingApi } from './threads.js';
import type { OwnerPort } from './web/ports.js';

export interface OwnerDeskOptions {
  clock: Clock;
  store: Store;
  gate: Gate;
  owner: Owner;
  signer: Signer;
  outside: Outside;
  /** The database was lost: who the owner was may be forgotten. */
  stateLost: () => boolean;
  cameraNames: () => Promise<Record<string, string>>;
  /** A request of the city was answered, or nobody did in time. */
  onAnswer: (approval: Approval) => Promise<void>;
  /** The box belongs to no center any more. */
  onLeft: () => void;
  /** Ends every command of the center. */
  endJobs: () => Promise<void>;
  log: Log;
  ring: Pick<Remote<RingApi>, 'erase' | 'eraseStep'>;
}

const ERASE_WAIT_MS = 30_000;

export type OwnerDesk = OwnerPort & {
  asks: Asks;
  /** Terms that the center proposes, as they came in. */
  takeProposal(text: string): Promise<void>;
  /** @throws BluelightError FORBIDDEN | PASSPHRASE_WRONG: there is an owner, and this is not his word */
  ownersWord(by: Party, passphrase: string | undefined): Promise<void>;
  /** The center ended the membership: sharing ends like at an opt-out, and the owner gets his receipt. */
  letGo(reason: string, by: Party): Promise<void>;
};

/** The owner's side of the gate, as the page and the command line reach it. */
export function ownerDesk(o: OwnerDeskOptions): OwnerDesk {
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
  const asks = new Asks({
    tables: store,
    gate,
    clock,
    onAsked: (approval) => keepFor(o, approval),
    onAnswer(approval) {
      const done = o.onAnswer(approval).finally(() => letGo(o, approval));
      done.catch((error: unknown) => o.log.error({ code: errorCode(error) }, errorMessage(error)));
    },
  });
  const exit: ExitPorts = {
    ...receipts,
    centerId: () => outside.reading().center.id,
    leaveCenter: () => outside.leaveCenter(),
    async endJobs() {
      await o.endJobs();
      await asks.expire(true);
    },
    async endClaim(why, cleared) {
      await outside.endClaim(why, cleared);
      o.onLeft();
    },
    eraseRecordings: () => eraseRecordings(o),
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

  /** Whoever gives the passphrase is the owner. @throws BluelightError FORBIDDEN | NO_OWNER | PASSPHRASE_WRONG */
  const asOwner = async (by: Party, passphrase: string | undefined): Promise<Party> => {
    if (by.kind === 'local' && by.role === 'owner') return by;
    if ((await owner.keyId()) === null) throw noOwner();
    await ownersWord(by, passphrase);
    return { kind: 'local', role: 'owner', name: 'owner' };
  };

  const noteOwner = (by: Party, action: string, reason: string): Promise<void> =>
    gate.note({ kind: 'identity', outcome: 'done', ...partyColumns(by), door: 'page', action, reason });

  return {
    asks,
    takeProposal: (text) => takeProposal({ tables: store, gate, consent, bound: () => outside.bound() }, text),
    async letGo(reason, by) {
      await optOut(exit, by, { reason, recordings: 'keep', ended: 'revoked' });
    },
    keyId: () => owner.keyId(),
    async setUp(name, passphrase, by) {
      // Whoever says that the owner is lost must not become the owner with a technician's code.
      if (by.kind === 'local' && by.name !== 'socket' && (o.stateLost() || (await owner.wasLost()))) {
        throw new BluelightError('FORBIDDEN', 'after an owner was lost the next one is set up at the box itself', {
          fix: 'there: `bluelight policy owner NAME`',
        });
      }
      const key = await owner.setUp(name, passphrase);
      await noteOwner(by, 'owner.set_up', `${name} signs with ${key}`);
      return key;
    },
    async changePassphrase(before, after, by) {
      const login = await owner.changePassphrase(before, after);
      await noteOwner(by, 'owner.passphrase', 'the owner took another passphrase');
      return login;
    },
    async lost(reason, by) {
      const kid = await owner.keyId();
      if (kid === null) throw noOwner();
      // Sharing ends first: a power cut in between leaves an owner who shares nothing.
      const receipt = await optOut(exit, by, { reason, recordings: 'keep', ended: 'owner-lost' });
      const login = await owner.forget();
      await noteOwner(by, 'owner.lost', `${kid} counts no more: ${reason}`);
      return { receipt, login };
    },
    ownersWord,
    preview: (document) => consent.preview(canonical(document)),
    proposals: () => consent.proposals(),
    propose: (document, note, by) => consent.propose(canonical(document), note, by),
    accept: async (document, passphrase, by) => consent.accept(await consent.next(document), passphrase, by),
    decline: (id, by) => consent.decline(id, by),
    sharing() {
      const until = gate.pausedUntil();
      const end = until === null || until === Infinity ? null : toUtc(until);
      return { enrolment: gate.enrolment, paused: until !== null, until: end };
    },
    pause: (untilMs, reason, by) => pauseSharing(receipts, untilMs, by, reason),
    async resume(reason, passphrase, by) {
      await ownersWord(by, passphrase);
      return resumeSharing(receipts, by, reason);
    },
    async optOut({ reason, recordings }, passphrase, by) {
      await ownersWord(by, passphrase);
      return optOut(exit, by, { reason, recordings });
    },
    technicianUntil: () => gate.technicianUntil(),
    async letTechnicianLook(untilMs, passphrase, by) {
      // To close again needs no word of the owner.
      await gate.letTechnicianLook(untilMs, untilMs === null ? by : await asOwner(by, passphrase));
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
        role: roleOf(approval.request),
        case: approval.request.case ?? null,
        reason: approval.request.reason,
        from: toUtc(approval.fromMs),
        to: toUtc(approval.toMs),
        askedAt: toUtc(approval.askedMs),
        expiresAt: toUtc(approval.expiresMs),
      }));
    },
    async answer(id, yes, passphrase, by) {
      await asks.answer(id, yes, await asOwner(by, passphrase));
    },
  };
}

/** What the owner is asked for must not be overwritten while he thinks, nor while what he allowed is carried out. */
async function keepFor({ store, outside }: OwnerDeskOptions, approval: Approval): Promise<void> {
  if (approval.kind === 'live') return;
  const { id, camera, fromMs, toMs, askedMs, expiresMs, operator, agency } = approval;
  const by = `${operator}, ${agency}`;
  const reason = 'a request that waits for the owner';
  await store.holds.set({ id, camera, fromMs, toMs, reason, by, job: null, createdMs: askedMs, expiresMs });
  await outside.holdsChanged();
}

async function letGo({ store, outside, clock }: OwnerDeskOptions, { id }: Approval): Promise<void> {
  if (await store.holds.release({ id, atMs: clock.now() })) await outside.holdsChanged();
}

function noOwner(): BluelightError {
  return new BluelightError('NO_OWNER', 'this box has no owner', { fix: 'set one up: `bluelight policy owner NAME`' });
}

function roleOf({ party }: Approval['request']): string {
  return party.kind === 'operator' ? party.role : '';
}

/** Holds go with what they held. Frees space for half a minute; what is left then goes in the background. */
async function eraseRecordings({ ring, store, outside, clock }: OwnerDeskOptions): Promise<'erased' | 'erasing'> {
  await ring.erase(undefined);
  for (const { id } of await store.holds.active()) await store.holds.release({ id, atMs: clock.now() });
  await outside.holdsChanged();
  const until = clock.monotonic() + ERASE_WAIT_MS;
  while (await ring.eraseStep(undefined)) if (clock.monotonic() >= until) return 'erasing';
  return 'erased';
}
