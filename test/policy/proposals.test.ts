import { expect, test } from 'vitest';
import { PROPOSAL_TYPE, type PolicyProposal } from '../../src/contract/messages.js';
import { policyDocument } from '../../src/contract/policy.js';
import { takeProposal } from '../../src/policy/proposals.js';
import { longestKept } from '../../src/policy/retention.js';
import { signJws } from '../../src/proof/jws.js';
import { newSigner, ownerParty, PASS, policyBox, termsText, type PolicyBox } from './helpers.js';

const document = policyDocument.parse(JSON.parse(termsText(2, { mode: 'live' })));

function proposalText(box: PolicyBox, more: Partial<PolicyProposal> = {}, signer = box.center): string {
  const proposal = { schema: 1, ...box.place, version: 1, note: 'live pictures, please', document, ...more };
  return signJws(PROPOSAL_TYPE, proposal, signer);
}

function taking(box: PolicyBox): (text: string) => Promise<void> {
  const ports = { tables: box.tables, gate: box.gate, consent: box.consent, bound: () => box.membership.now };
  return (text) => takeProposal(ports, text);
}

test('what the center proposes is put before the owner as a difference, and changes nothing by itself', async () => {
  const box = await policyBox();
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  await taking(box)(proposalText(box));
  const [proposal, ...others] = await box.consent.proposals();
  expect(others).toEqual([]);
  expect(proposal).toMatchObject({ note: 'live pictures, please', document: { cameras: [{ mode: 'live' }] } });
  expect(proposal!.changes).toMatchObject([{ camera: 'gate', field: 'mode', gives: 'more' }]);
  expect(box.gate.terms.document?.cameras[0]?.mode).toBe('clips');
});

test('a retained proposal that the owner declined does not come back with the next connection', async () => {
  const box = await policyBox();
  const take = taking(box);
  await take(proposalText(box));
  await box.consent.decline((await box.consent.proposals())[0]!.id, ownerParty);
  await take(proposalText(box));
  expect(await box.consent.proposals()).toEqual([]);
  await take(proposalText(box, { version: 2 }));
  expect(await box.consent.proposals()).toHaveLength(1);
});

test.each<[string, (box: PolicyBox) => string, string]>([
  ['forged', (box) => proposalText(box, {}, newSigner()), 'BAD_SIGNATURE'],
  ['garbage', () => 'garbage', 'BAD_SIGNATURE'],
  ['of another box', (box) => proposalText(box, { box: 'box-2' }), 'WRONG_BOX'],
  ['without terms', (box) => proposalText(box, { document: undefined }), 'UNSUPPORTED'],
  [
    'with a time zone that there is not',
    (box) => proposalText(box, { document: { ...document, timeZone: 'Mars/Olympus' } }),
    'POLICY_INVALID',
  ],
  [
    'signed by somebody who may not',
    (box) => proposalText(box, { document: undefined, signed: forgedTerms() }),
    'UNTRUSTED_KEY',
  ],
])('a proposal that is %s is refused and stands in the audit log', async (_, text, code) => {
  const box = await policyBox();
  await taking(box)(text(box));
  expect(await box.consent.proposals()).toEqual([]);
  expect(box.gate.terms.document).toBeNull();
  const [row] = box.db.tables.audit.list({ limit: 1, kind: 'policy', outcome: 'refused' });
  expect(row).toMatchObject({ code, door: 'mqtt', action: 'proposed' });
});

function forgedTerms(): NonNullable<PolicyProposal['signed']> {
  const payload = Buffer.from(termsText(9, { mode: 'live' })).toString('base64');
  const signature = { keyid: newSigner().keyId, sig: Buffer.alloc(64).toString('base64') };
  return { payloadType: 'application/vnd.bluelight.policy.v1+json', payload, signatures: [signature] };
}

test('the shortest maximum of a camera counts, and a camera without one has none', () => {
  const cameras = [
    { camera: 'gate', mode: 'clips', retentionMaxDays: 30 },
    { camera: 'gate', mode: 'live', retentionMaxDays: 7 },
    { camera: 'back', mode: 'registry' },
  ];
  const terms = policyDocument.parse({ version: 1, authority: 'owner', cameras });
  expect(longestKept(terms)).toEqual({ gate: 7 * 86_400_000 });
  expect(longestKept(null)).toEqual({});
});
