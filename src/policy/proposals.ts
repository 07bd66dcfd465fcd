import { BluelightError, errorMessage } from '../base/errors.js';
import type { Party } from '../contract/policy.js';
import { canonical } from '../proof/canonical.js';
import type { TableCalls } from '../store/calls.js';
import { partyColumns } from './audit-note.js';
import { admitProposal, type Bound } from './command-admission.js';
import type { Consent } from './consent.js';
import type { Gate } from './gate.js';

export interface ProposalPorts {
  tables: Pick<TableCalls, 'kv'>;
  gate: Gate;
  consent: Pick<Consent, 'propose' | 'acceptSigned'>;
  bound(): Bound | null;
}

const CENTER: Party = { kind: 'operator', operator: 'center', agency: 'center', role: 'center' };

/**
 * Terms from the center. At a store they are put before the owner, once: the message is retained, and what he declined
 * does not come back with the next connection. Terms that the city signed for a site of its own count at once.
 * Never rejects for what is in the message; what is refused stands in the audit log.
 */
export async function takeProposal(ports: ProposalPorts, text: string): Promise<void> {
  const { tables, gate, consent } = ports;
  try {
    const bound = ports.bound();
    const proposal = admitProposal(text, bound);
    const key = `proposal.version.${bound!.centerKeys[0] ?? ''}`;
    const before = await tables.kv.get(key);
    if (typeof before === 'number' && proposal.version <= before) return;
    await tables.kv.put({ key, value: proposal.version });
    if (proposal.signed !== undefined) await consent.acceptSigned(proposal.signed, CENTER);
    else if (proposal.document !== undefined) {
      await consent.propose(canonical(proposal.document), proposal.note, CENTER);
    } else throw new BluelightError('UNSUPPORTED', 'the proposal holds no terms');
  } catch (error) {
    if (!(error instanceof BluelightError) || error.retryable) throw error;
    await gate.note({
      kind: 'policy',
      outcome: 'refused',
      ...partyColumns(CENTER),
      door: 'mqtt',
      action: 'proposed',
      code: error.code,
      reason: errorMessage(error),
    });
  }
}
