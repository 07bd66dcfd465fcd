import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RECEIPT_TYPE, receipt as receiptSchema } from '../../src/contract/receipt.js';
import type { GrantKind } from '../../src/contract/grant.js';
import { policyDocument, type AccessRequest } from '../../src/contract/policy.js';
import { decide } from '../../src/policy/decide.js';
import { policyDifference } from '../../src/policy/difference.js';
import { optOut, pauseSharing, resumeSharing, type ExitPorts } from '../../src/policy/exit.js';
import { previewTable, previewWords } from '../../src/policy/preview.js';
import { signPolicy } from '../../src/policy/signed.js';
import { NOTHING_SHARED } from '../../src/policy/state.js';
import { openEnvelope, type Envelope } from '../../src/proof/dsse.js';
import { publicKeyFromText } from '../../src/proof/keys.js';
import {
  commandText,
  enrolOperators,
  newSigner,
  NOW,
  ownerParty,
  PASS,
  policyBox,
  technician,
  termsText,
  type PolicyBox,
} from './helpers.js';

const operator = { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' } as const;
const clip = (more: Partial<AccessRequest> = {}): AccessRequest => ({
  party: operator,
  door: 'mqtt',
  kind: 'clip',
  camera: 'gate',
  range: { fromMs: NOW - 60_000, toMs: NOW - 30_000 },
  reason: 'robbery',
  ...more,
});

/** openssl alone: rebuilds what was signed (DSSE) with printf and base64, and checks it. */
function opensslAccepts(dir: string, envelope: Envelope, keyId: string): boolean {
  const pub = publicKeyFromText(keyId).export({ type: 'spki', format: 'pem' }).toString();
  writeFileSync(join(dir, 'pub.pem'), pub);
  writeFileSync(join(dir, 'payload.b64'), envelope.payload);
  writeFileSync(join(dir, 'sig.b64'), envelope.signatures[0]!.sig);
  const script = `
    base64 -d payload.b64 > payload && base64 -d sig.b64 > sig &&
    printf 'DSSEv1 %d %s %d ' ${envelope.payloadType.length} '${envelope.payloadType}' "$(stat -c %s payload)" > signed &&
    cat payload >> signed && openssl pkeyutl -verify -rawin -pubin -inkey pub.pem -in signed -sigfile sig`;
  try {
    execFileSync('sh', ['-c', script], { cwd: dir, stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

test('the owner consents: signed terms count at once, and the receipt verifies with openssl alone', async () => {
  const box = await policyBox();
  await expect(box.gate.authorise(clip())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
  await box.owner.setUp('Ms Lee', PASS);
  const { envelope, receipt } = await box.consent.accept(termsText(1), PASS, ownerParty);
  await box.gate.authorise(clip());
  expect(receipt).toMatchObject({ kind: 'consent', policy: { version: 1 }, by: 'Ms Lee', site: 'store-7' });
  expect(receipt.words.join(' ')).toMatch(/Front gate.*recorded clips/);
  expect(receiptSchema.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()))).toEqual(receipt);
  expect(opensslAccepts(box.dir, envelope, box.signer.keyId)).toBe(true);
  const forged = { ...envelope, payload: Buffer.from(JSON.stringify({ ...receipt, by: 'X' })).toString('base64') };
  expect(opensslAccepts(box.dir, forged, box.signer.keyId)).toBe(false);
  expect(opensslAccepts(box.dir, envelope, newSigner().keyId)).toBe(false);
});

test('consent survives a restart; a wrong passphrase, an old version and foreign terms change nothing', async () => {
  const first = await policyBox();
  await first.owner.setUp('Ms Lee', PASS);
  await first.consent.accept(termsText(3), PASS, ownerParty);
  for (const [text, pass, code] of [
    [termsText(4, { mode: 'live' }), 'wrong passphrase', 'PASSPHRASE_WRONG'],
    [termsText(3, { mode: 'live' }), PASS, 'POLICY_OLD'],
    [termsText(2, { mode: 'live' }), PASS, 'POLICY_OLD'],
    [termsText(4, { mode: 'live' }, { authority: 'city' }), PASS, 'WRONG_AUTHORITY'],
    [termsText(4, { mode: 'everything' }), PASS, 'POLICY_INVALID'],
  ] as const) {
    await expect(first.consent.accept(text, pass, ownerParty)).rejects.toMatchObject({ code });
  }
  first.gate.close();
  const again = await policyBox({ dir: first.dir, clock: first.clock });
  expect(again.gate.terms).toMatchObject({ source: 'signed', document: { version: 3 } });
  await again.gate.authorise(clip());
  await expect(again.gate.authorise(clip({ kind: 'live' }))).rejects.toMatchObject({ code: 'POLICY_DENIED' });
});

test('who writes into the database has not consented: terms without a good signature share nothing', async () => {
  const box = await policyBox();
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  const grant = await box.gate.authorise(clip());
  const edits = [
    `update policies set envelope = json_set(envelope, '$.payload', '${Buffer.from(termsText(9, { mode: 'live' })).toString('base64')}')`,
    `update policies set envelope = '${JSON.stringify(signPolicy(termsText(9, { mode: 'live' }), newSigner()))}'`,
    'update policies set envelope = null',
  ];
  const raw = new Database(join(box.dir, 'state.db'));
  const before = raw.prepare('select envelope from policies').pluck().get() as string;
  for (const edit of edits) {
    raw.prepare('update policies set envelope = ?').run(before);
    await box.gate.reload();
    raw.exec(edit);
    await box.gate.reload();
    expect(box.gate.terms).toMatchObject({ document: null, error: { code: 'POLICY_UNSIGNED' } });
    await expect(box.gate.authorise(clip())).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  }
  raw.close();
  expect(grant.signal.aborted).toBe(true);
});

test('signed terms take the place of the policy file, which then counts no more', async () => {
  const box = await policyBox({ file: termsText(1, { mode: 'live' }) });
  await box.gate.authorise(clip({ kind: 'live' }));
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  await expect(box.gate.authorise(clip({ kind: 'live' }))).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  box.file.text = termsText(99, { mode: 'live' });
  await box.clock.advance(5_000);
  expect(box.gate.terms.document?.version).toBe(1);
});

test('the center only proposes; the owner sees what would change, and signs or declines', async () => {
  const box = await policyBox();
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  const id = await box.consent.propose(termsText(2, { mode: 'live', stills: true }), 'more, please', operator);
  expect(await box.consent.propose(termsText(2, { mode: 'live', stills: true }), 'again', operator)).toBe(id);
  expect(box.gate.terms.document?.version).toBe(1);
  await expect(box.gate.authorise(clip({ kind: 'live' }))).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  const [proposal] = await box.consent.proposals();
  expect(proposal).toMatchObject({ id, note: 'more, please', version: 2 });
  expect(proposal!.changes).toEqual([
    { camera: 'gate', field: 'mode', before: 'clips', after: 'live', gives: 'more' },
    { camera: 'gate', field: 'stills', before: 'no', after: 'yes', gives: 'more' },
  ]);
  expect(proposal!.table.find((row) => row.camera === 'back')).toMatchObject({ live: 'no', clips: 'no' });
  await box.consent.decline(id, ownerParty);
  expect(await box.consent.proposals()).toEqual([]);
  const second = await box.consent.propose(termsText(3, { mode: 'live' }), 'once more', operator);
  await box.consent.accept(
    (await box.consent.proposals())[0]!.version === 3 ? termsText(3, { mode: 'live' }) : '',
    PASS,
    ownerParty,
  );
  await box.gate.authorise(clip({ kind: 'live' }));
  expect(box.db.tables.policies.history({ limit: 9 }).find((p) => p.id === second)).toMatchObject({
    state: 'accepted',
    note: 'once more',
  });
});

test('at a site of the city its key signs; the owner key cannot, nor any other', async () => {
  const box = await policyBox();
  const city = newSigner();
  box.db.tables.keys.install({ kid: city.keyId, role: 'city', atMs: 1 });
  await box.owner.setUp('Ms Lee', PASS);
  const text = termsText(1, { mode: 'live' }, { authority: 'city' });
  await expect(box.consent.acceptSigned(signPolicy(text, newSigner()), technician)).rejects.toMatchObject({
    code: 'UNTRUSTED_KEY',
  });
  await expect(
    box.consent.acceptSigned(signPolicy(text, await box.owner.unlock(PASS)), technician),
  ).rejects.toMatchObject({ code: 'WRONG_AUTHORITY' });
  await expect(box.consent.acceptSigned(signPolicy(termsText(1), city), technician)).rejects.toMatchObject({
    code: 'WRONG_AUTHORITY',
  });
  await expect(box.consent.acceptSigned({ payload: 'x' }, technician)).rejects.toMatchObject({
    code: 'POLICY_INVALID',
  });
  await box.consent.acceptSigned(signPolicy(text, city), technician);
  await box.gate.authorise(clip({ kind: 'live' }));
});

test('an owner who loses the passphrase can end sharing, and what was signed no longer counts', async () => {
  const box = await policyBox();
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  const grant = await box.gate.authorise(clip());
  await box.owner.forget();
  await box.clock.advance(3_000);
  expect(grant.signal.aborted).toBe(true);
  expect(box.gate.terms.error?.code).toBe('POLICY_UNSIGNED');
});

test('consent given once more after a power cut in the middle goes through', async () => {
  const box = await policyBox();
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  await box.tables.kv.remove('policy.enrolment');
  box.gate.close();
  const again = await policyBox({ dir: box.dir, clock: box.clock });
  await expect(again.gate.authorise(clip())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
  await again.consent.accept(termsText(1), PASS, ownerParty);
  await again.gate.authorise(clip());
});

test('pause and resume give receipts', async () => {
  const box = await policyBox({ file: termsText(1) });
  const paused = await pauseSharing({ ...box.receipts, gate: box.gate }, NOW + 900_000, ownerParty, 'private party');
  expect(paused.receipt).toMatchObject({ kind: 'pause', policy: { version: 1 } });
  expect(paused.receipt.words[0]).toContain('2026-06-03T15:15:00.000Z');
  expect(opensslAccepts(box.dir, paused.envelope, box.signer.keyId)).toBe(true);
  const resumed = await resumeSharing({ ...box.receipts, gate: box.gate }, ownerParty, 'over');
  expect(resumed.receipt.kind).toBe('resume');
  expect(box.db.tables.receipts.list()).toHaveLength(2);
  expect(box.db.tables.receipts.get(paused.id)?.envelope).toEqual(paused.envelope);
});

function exitPorts(box: PolicyBox, more: Partial<ExitPorts> = {}): ExitPorts & { done: string[] } {
  const done: string[] = [];
  return {
    ...box.receipts,
    tables: box.tables,
    gate: box.gate,
    centerId: () => 'rtcc',
    leaveCenter: async () => done.push('leave') > 0,
    endClaim: async () => void done.push('claim', String((box.membership.now = null))),
    eraseRecordings: async () => (done.push('erase'), 'erased' as const),
    endJobs: () => box.desk.endAll('NOT_ENROLLED', 'the owner left the program'),
    done,
    ...more,
  };
}

test('leaving: everything stops, later commands are refused, the receipt lists all that was ever delivered', async () => {
  const box = await policyBox({ handlers: { 'clip.request': async () => ({}) } });
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1, { mode: 'live' }), PASS, ownerParty);
  await enrolOperators(box);
  const { clips, outbox } = box.db.tables;
  const base = {
    camera: 'gate',
    fromMs: NOW - 60_000,
    toMs: NOW - 30_000,
    rendition: 'original',
    priority: 'auto',
    state: 'queued',
    detail: '',
    motionEvent: null,
    createdMs: NOW,
    requester: 'jdoe, JPD',
    reason: 'robbery',
  } as const;
  clips.insert({ ...base, id: '01J00000000000000000000001' });
  clips.insert({ ...base, id: '01J00000000000000000000002' });
  clips.update({ id: '01J00000000000000000000001', change: { state: 'uploading' } });
  clips.update({
    id: '01J00000000000000000000001',
    change: {
      state: 'delivered',
      sha256: 'a'.repeat(64),
      bytes: 5,
      deliveredMs: NOW,
      coversFromMs: NOW - 61_000,
      coversToMs: NOW - 29_000,
    },
  });
  outbox.append({ stream: 's', id: '01J00000000000000000000009', class: 'high', type: 't', timeMs: 1, data: {} });
  const live = await box.gate.authorise(clip({ kind: 'live' }));

  const ports = exitPorts(box);
  const { receipt, envelope } = await optOut(ports, ownerParty, { reason: 'no longer', recordings: 'erase' });
  expect(live.signal.aborted).toBe(true);
  expect(ports.done).toEqual(['leave', 'claim', 'null', 'erase']);
  expect(receipt.delivered).toEqual([
    {
      clip: '01J00000000000000000000001',
      camera: 'gate',
      from: '2026-06-03T14:58:59.000Z',
      to: '2026-06-03T14:59:31.000Z',
      sha256: 'a'.repeat(64),
      bytes: 5,
      to_center: 'rtcc',
      requester: 'jdoe, JPD',
      reason: 'robbery',
      at: '2026-06-03T15:00:00.000Z',
    },
  ]);
  expect(receipt.looks).toEqual([
    { audit: live.id, camera: 'gate', kind: 'live', at: '2026-06-03T15:00:00.000Z', party: 'jdoe, JPD' },
  ]);
  expect(opensslAccepts(box.dir, envelope, box.signer.keyId)).toBe(true);
  expect(openEnvelope(envelope, { payloadType: RECEIPT_TYPE, trusted: [box.signer.keyId] }).keyId).toBe(
    box.signer.keyId,
  );
  expect(outbox.stats().rows).toBe(0);
  expect(clips.get('01J00000000000000000000002')?.state).toBe('withheld');
  await expect(box.gate.authorise(clip())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
  await box.desk.take(commandText(box));
  expect(box.db.tables.audit.list({ limit: 1 })[0]).toMatchObject({
    kind: 'command',
    outcome: 'refused',
    code: 'NOT_ENROLLED',
  });
  expect(box.jobs).toEqual([]);
  // The audit head in the receipt is that of the log as it stood.
  expect(box.db.tables.audit.verify(receipt.audit).fault).toBeNull();
});

test('leaving does not wait for a broker that is away, survives a restart, and can be undone only by new consent', async () => {
  const box = await policyBox();
  await box.owner.setUp('Ms Lee', PASS);
  await box.consent.accept(termsText(1), PASS, ownerParty);
  const { receipt } = await optOut(exitPorts(box, { leaveCenter: async () => false }), ownerParty, {
    reason: 'x',
    recordings: 'keep',
  });
  expect(receipt.words.join(' ')).toMatch(/Pending: the center's broker still shows/);
  box.gate.close();
  const again = await policyBox({ dir: box.dir, clock: box.clock, file: termsText(50, { mode: 'live' }) });
  await expect(again.gate.authorise(clip())).rejects.toMatchObject({ code: 'NOT_ENROLLED' });
  await expect(again.consent.accept(termsText(1), PASS, ownerParty)).rejects.toMatchObject({ code: 'POLICY_OLD' });
  await again.consent.accept(termsText(2), PASS, ownerParty);
  await again.gate.authorise(clip());
});

const KINDS: [keyof ReturnType<typeof previewTable>[number], GrantKind][] = [
  ['live', 'live'],
  ['clips', 'clip'],
  ['stills', 'still'],
  ['sightings', 'sighting'],
];
const anyLine = fc.record({
  camera: fc.constantFrom('gate', 'back'),
  mode: fc.constantFrom('registry' as const, 'ask' as const, 'clips' as const, 'emergency' as const, 'live' as const),
  stills: fc.boolean(),
  sightings: fc.boolean(),
  autoClips: fc.boolean(),
  masks: fc.constantFrom(
    [],
    [
      [
        [0, 0],
        [9, 0],
        [0, 9],
      ],
    ],
  ),
});

test('the preview promises exactly what the gate does', () => {
  fc.assert(
    fc.property(fc.array(anyLine, { maxLength: 1 }), (cameras) => {
      const document = policyDocument.parse({ version: 1, authority: 'owner', cameras });
      const sharing = { ...NOTHING_SHARED, enrolment: 'active' as const, clockTrusted: true };
      const open = { ...sharing, emergencies: [{ fromMs: NOW - 60_000, toMs: NOW + 1 }] };
      for (const row of previewTable(document, { gate: 'Front gate', back: 'Back room' })) {
        const says = (request: AccessRequest): string => {
          const answer = decide(document, sharing, request, NOW);
          if (answer.allow) return 'yes';
          if (answer.code === 'OWNER_APPROVAL_REQUIRED') return 'owner';
          return decide(document, open, request, NOW).allow ? 'emergency' : 'no';
        };
        // Stills are made anew, with the masks burned in.
        for (const [column, kind] of KINDS) {
          const masksBurned = kind === 'still';
          expect(row[column]).toBe(says(clip({ kind, camera: row.camera, masksBurned })));
        }
        expect(row.unasked).toBe(says(clip({ party: { kind: 'agent' }, door: 'auto', camera: row.camera })));
      }
    }),
  );
});

test('the words name each camera and say no where it is no, in both languages', () => {
  const names = { gate: 'Front gate', back: 'Back room' };
  const document = policyDocument.parse(
    JSON.parse(termsText(1, { mode: 'ask', hours: [{ days: ['fri'], from: '22:00', to: '06:00' }] })),
  );
  const en = previewWords(document, names);
  expect(en[0]).toBe(
    'Front gate, Fri 22:00–06:00 (next day): only if you say yes each time, the city can have live pictures and recorded clips on request.',
  );
  expect(en[1]).toBe('Back room: the city sees nothing of this camera.');
  expect(previewWords(document, names, 'es')[1]).toBe('Back room: la ciudad no ve nada de esta cámara.');
  expect(previewWords(null, names)).toEqual(['The city sees nothing. It may know that this site has cameras.']);
});

test('a difference is empty only between equal terms, and says which way it goes', () => {
  const read = (text: string) => policyDocument.parse(JSON.parse(text));
  expect(policyDifference(read(termsText(1)), read(termsText(2)))).toEqual([]);
  expect(
    policyDifference(read(termsText(1, { mode: 'live', stills: true })), read(termsText(2, { mode: 'ask' }))).map(
      (c) => c.gives,
    ),
  ).toEqual(['less', 'less']);
  expect(policyDifference(null, read(termsText(1))).find((c) => c.field === 'mode')).toMatchObject({
    before: 'registry',
    after: 'clips',
    gives: 'more',
  });
});
