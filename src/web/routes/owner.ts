import {
  acceptBody,
  answerBody,
  changePassphraseBody,
  approvalsBody,
  declineBody,
  issuedReceiptBody,
  letTechnicianBody,
  optOutBody,
  ownerBody,
  ownerLostBody,
  ownerSetUpBody,
  pauseBody,
  previewBody,
  proposalsBody,
  proposeBody,
  receiptsBody,
  resumeBody,
  sharingBody,
  technicianBody,
  termsBody,
} from '../../contract/owner.js';
import { toUtc } from '../../contract/primitives.js';
import { BluelightError } from '../../base/errors.js';
import type { LocalRole } from '../../contract/http.js';
import { plain, json } from '../route.js';

const STAFF: readonly LocalRole[] = ['technician', 'owner'];
const receipt = { status: 200, type: 'application/json', schema: issuedReceiptBody } as const;

const termsRoutes = [
  plain({
    method: 'GET',
    path: '/owner',
    summary: 'Whether the box has an owner, and the key that signs for him.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: ownerBody },
    handler: async ({ ports }) => ({ key: await ports.owner.keyId() }),
  }),
  plain({
    method: 'POST',
    path: '/owner',
    summary: 'Sets up the owner: a signing key and a login under a passphrase that nobody can reset.',
    auth: STAFF,
    body: ownerSetUpBody,
    response: { status: 201, type: 'application/json', schema: ownerBody },
    handler: async ({ ports }, { body, party }) =>
      json({ key: await ports.owner.setUp(body.name, body.passphrase, party) }, 201),
  }),
  plain({
    method: 'POST',
    path: '/owner/passphrase',
    summary: 'Another passphrase for the owner, for who knows the present one. Nobody else can set one.',
    auth: STAFF,
    body: changePassphraseBody,
    response: { status: 204, type: '' },
    async handler({ ports, sessions }, { body, party }) {
      sessions.endOf(await ports.owner.changePassphrase(body.passphrase, body.next, party));
      return new Response(null, { status: 204 });
    },
  }),
  plain({
    method: 'POST',
    path: '/owner/lost',
    summary:
      'The passphrase of the owner is lost, or he gives it up: his key counts no more and sharing ends. Nothing is opened; a new owner consents anew.',
    auth: STAFF,
    body: ownerLostBody,
    response: receipt,
    async handler({ ports, sessions }, { body, party }) {
      const { receipt: issued, login } = await ports.owner.lost(body.reason, party);
      if (login !== null) sessions.endOf(login);
      return issued;
    },
  }),
  plain({
    method: 'POST',
    path: '/policy/preview',
    summary: 'What the city could do under these terms, in plain words and as a table, before anybody consents.',
    auth: 'session',
    body: termsBody,
    response: { status: 200, type: 'application/json', schema: previewBody },
    handler: ({ ports }, { body }) => ports.owner.preview(body.document),
  }),
  plain({
    method: 'GET',
    path: '/policy/proposed',
    summary: 'Terms that wait for the owner, with what they would change.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: proposalsBody },
    handler: async ({ ports }) => ({ proposals: await ports.owner.proposals() }),
  }),
  plain({
    method: 'POST',
    path: '/policy/propose',
    summary: 'Puts terms before the owner. Nothing changes until he signs.',
    auth: STAFF,
    body: proposeBody,
    response: { status: 201, type: 'application/json' },
    handler: async ({ ports }, { body, party }) =>
      json({ id: await ports.owner.propose(body.document, body.note, party) }, 201),
  }),
  plain({
    method: 'POST',
    path: '/policy/accept',
    summary: 'The owner signs these terms with his passphrase; they count from now on.',
    auth: STAFF,
    body: acceptBody,
    response: receipt,
    handler: ({ ports }, { body, party }) => ports.owner.accept(body.document, body.passphrase, party),
  }),
  plain({
    method: 'POST',
    path: '/policy/decline',
    summary: 'Puts a proposal aside.',
    auth: ['owner'],
    body: declineBody,
    response: { status: 204, type: 'application/json' },
    async handler({ ports }, { body, party }) {
      await ports.owner.decline(body.id, party);
      return new Response(null, { status: 204 });
    },
  }),
];

const sharingRoutes = [
  plain({
    method: 'GET',
    path: '/sharing',
    summary: 'Whether anything is shared at this moment: membership, pause and its end.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: sharingBody },
    handler: async ({ ports }) => ({ ...ports.owner.sharing(), owner: await ports.owner.keyId() }),
  }),
  plain({
    method: 'POST',
    path: '/pause',
    summary: 'Stops sharing at once, also what is running. Recording goes on.',
    auth: STAFF,
    body: pauseBody,
    response: receipt,
    handler: ({ ports }, { body, party }) =>
      ports.owner.pause(body.until === null ? null : Date.parse(body.until), body.reason, party),
  }),
  plain({
    method: 'POST',
    path: '/resume',
    summary: 'Sharing goes on under the terms in force.',
    auth: STAFF,
    body: resumeBody,
    response: receipt,
    handler: ({ ports }, { body, party }) => ports.owner.resume(body.reason, body.passphrase, party),
  }),
  plain({
    method: 'POST',
    path: '/optout',
    summary: 'Leaves the program: sharing ends for good; the receipt lists everything that was ever delivered.',
    auth: STAFF,
    body: optOutBody,
    response: receipt,
    handler: ({ ports }, { body, party }) => ports.owner.optOut(body, body.passphrase, party),
  }),
  plain({
    method: 'GET',
    path: '/receipts',
    summary: 'Receipts that the box gave, newest first.',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: receiptsBody },
    handler: async ({ ports }) => ({ receipts: await ports.owner.receipts() }),
  }),
  plain({
    method: 'GET',
    path: '/receipts/{id}',
    summary: 'One receipt in its signed form.',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: issuedReceiptBody.shape.envelope },
    async handler({ ports }, { params }) {
      const envelope = await ports.owner.receipt(params['id'] ?? '');
      if (envelope !== null) return envelope;
      throw new BluelightError('NOT_FOUND', 'There is no such receipt.', { fix: 'See the list of receipts.' });
    },
  }),
  plain({
    method: 'GET',
    path: '/approvals',
    summary: "Requests of the city that wait for the owner's answer.",
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: approvalsBody },
    handler: async ({ ports }) => ({ approvals: await ports.owner.approvals() }),
  }),
  plain({
    method: 'POST',
    path: '/approvals/{id}',
    summary: 'The owner answers. No answer is no.',
    auth: STAFF,
    body: answerBody,
    response: { status: 204, type: 'application/json' },
    async handler({ ports }, { params, body, party }) {
      await ports.owner.answer(params['id'] ?? '', body.yes, body.passphrase, party);
      return new Response(null, { status: 204 });
    },
  }),
  plain({
    method: 'GET',
    path: '/technician',
    summary: 'Until when the technician may see pictures at a site with an owner.',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: technicianBody },
    handler: ({ ports }) => technician(ports.owner.technicianUntil()),
  }),
  plain({
    method: 'POST',
    path: '/technician',
    summary: 'The owner lets the technician see pictures for a while, a day at most, or no longer.',
    auth: STAFF,
    body: letTechnicianBody,
    response: { status: 200, type: 'application/json', schema: technicianBody },
    async handler({ ports }, { body, party }) {
      const untilMs = body.until === null ? null : Date.parse(body.until);
      await ports.owner.letTechnicianLook(untilMs, body.passphrase, party);
      return technician(ports.owner.technicianUntil());
    },
  }),
];

export const ownerRoutes = [...termsRoutes, ...sharingRoutes];

function technician(untilMs: number | null): object {
  return { until: untilMs === null ? null : toUtc(untilMs) };
}
