import { BluelightError } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import type { Party, PolicyDocument } from '../contract/policy.js';
import { canonical } from '../proof/canonical.js';
import type { Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';
import type { StoredPolicy } from '../store/policies.js';
import { doorOf, partyColumns } from './audit-note.js';
import { policyDifference, type PolicyChange } from './difference.js';
import { readPolicy } from './document.js';
import type { Gate } from './gate.js';
import { previewTable, previewWords, type CameraNames, type Language, type PreviewRow } from './preview.js';
import { issueReceipt, type IssuedReceipt, type ReceiptPorts } from './receipts.js';
import { openSigned, signPolicy, type SignedPolicy } from './signed.js';

export interface ConsentPorts extends ReceiptPorts {
  tables: ReceiptPorts['tables'] & Pick<TableCalls, 'policies' | 'keys'>;
  gate: Gate;
  /** Opens the owner's key; see identity/owner. */
  unlockOwner(passphrase: string): Promise<Signer>;
  cameraNames(): Promise<CameraNames>;
}

export interface Preview {
  words: string[];
  table: PreviewRow[];
  changes: PolicyChange[];
}

export interface Proposal extends Preview {
  id: string;
  version: number;
  note: string;
  document: PolicyDocument;
  createdMs: number;
}

/** How terms come into force: anyone may propose, only the authority that they name signs. */
export class Consent {
  readonly #ports: ConsentPorts;

  constructor(ports: ConsentPorts) {
    this.#ports = ports;
  }

  /** What the city could do under these terms, before anybody consents. @throws BluelightError POLICY_INVALID */
  async preview(text: string, language: Language = 'en'): Promise<Preview> {
    return this.#preview(readPolicy(text, 'the terms').document, language);
  }

  /**
   * Puts terms before the owner. Nothing changes until he signs. The newest proposal takes the place of the ones that
   * wait.
   * @throws BluelightError POLICY_INVALID
   */
  async propose(text: string, note: string, by: Party): Promise<string> {
    const { tables, clock, gate } = this.#ports;
    const { document, sha256 } = readPolicy(text, 'the proposal');
    const now = clock.now();
    const waiting = await tables.policies.proposed();
    const same = waiting.find((one) => one.sha256 === sha256);
    if (same !== undefined) return same.id;
    for (const old of waiting) await tables.policies.decline({ id: old.id, atMs: now });
    const id = ulid(now);
    const { version, authority } = document;
    await tables.policies.propose({ id, version, authority, document: text, sha256, note, createdMs: now });
    await this.#note(gate, by, 'proposed', `version ${version}: ${note}`, { sha256 });
    return id;
  }

  /** What waits for the owner, with what it would change. */
  async proposals(language: Language = 'en'): Promise<Proposal[]> {
    const waiting = await this.#ports.tables.policies.proposed();
    return Promise.all(
      waiting.map(async (stored: StoredPolicy) => {
        const { document } = readPolicy(stored.document, `proposal ${stored.id}`);
        const { id, version, note, createdMs } = stored;
        return { id, version, note, createdMs, document, ...(await this.#preview(document, language)) };
      }),
    );
  }

  async decline(id: string, by: Party): Promise<void> {
    const { tables, clock, gate } = this.#ports;
    if (!(await tables.policies.decline({ id, atMs: clock.now() }))) {
      throw new BluelightError('PROPOSAL_UNKNOWN', `no proposal ${id} waits for an answer`, {
        fix: 'see `bluelight policy show`',
      });
    }
    await this.#note(gate, by, 'declined', `proposal ${id}`, null);
  }

  /** The same terms with the next free version: what the owner is shown and signs. */
  async next(document: PolicyDocument): Promise<string> {
    const history = await this.#ports.tables.policies.history({ limit: 1_000 });
    const signed = history.filter((one) => one.state === 'accepted' || one.state === 'superseded');
    return canonical({ ...document, version: Math.max(0, ...signed.map((one) => one.version)) + 1 });
  }

  /**
   * The owner signs, with his passphrase, exactly this text. It counts from now on; the receipt says so.
   * @throws BluelightError POLICY_INVALID | WRONG_AUTHORITY | PASSPHRASE_WRONG | POLICY_OLD
   */
  async accept(text: string, passphrase: string, by: Party): Promise<IssuedReceipt> {
    const { document } = readPolicy(text, 'the terms');
    if (document.authority !== 'owner') {
      throw new BluelightError('WRONG_AUTHORITY', `these terms are the ${document.authority}'s to sign`, {
        fix: 'at a site of the city, the city signs them',
      });
    }
    const signer = await this.#ports.unlockOwner(passphrase);
    return this.#enact(await openSigned(signPolicy(text, signer), this.#ports.tables.keys), by);
  }

  /** Terms that were signed elsewhere: by the city at its own site. @throws BluelightError as `openSigned`; POLICY_OLD */
  async acceptSigned(envelope: unknown, by: Party): Promise<IssuedReceipt> {
    return this.#enact(await openSigned(envelope, this.#ports.tables.keys), by);
  }

  async #enact(signed: SignedPolicy, by: Party): Promise<IssuedReceipt> {
    const { tables, gate, clock } = this.#ports;
    const now = clock.now();
    const { document, sha256 } = signed;
    const proposal = (await tables.policies.proposed()).find((one) => one.sha256 === sha256);
    // Signed once more after a power cut in the middle: what is written counts, the rest is done again.
    const written = (await tables.policies.accepted())?.sha256 === sha256;
    if (!written)
      await tables.policies.accept({
        id: proposal?.id ?? ulid(now),
        version: document.version,
        authority: document.authority,
        document: signed.text,
        sha256,
        envelope: signed.envelope,
        signedBy: signed.keyId,
        note: proposal?.note ?? '',
        createdMs: proposal?.createdMs ?? now,
        decidedMs: now,
      });
    // The new terms count before the enrolment does, so that nothing is shared under the old ones in between.
    await gate.reload();
    await gate.setEnrolment('active', by, `terms version ${document.version}`);
    const words = previewWords(document, await this.#ports.cameraNames());
    const policy = { version: document.version, sha256 };
    return issueReceipt(this.#ports, { kind: 'consent', by: partyColumns(by).party, policy, words });
  }

  async #preview(document: PolicyDocument, language: Language): Promise<Preview> {
    const names = await this.#ports.cameraNames();
    return {
      words: previewWords(document, names, language),
      table: previewTable(document, names, language),
      changes: policyDifference(this.#ports.gate.terms.document, document),
    };
  }

  #note(gate: Gate, by: Party, action: string, reason: string, detail: unknown): Promise<void> {
    return gate.note({
      kind: 'policy',
      outcome: 'done',
      ...partyColumns(by),
      door: doorOf(by),
      action,
      reason,
      detail,
    });
  }
}
