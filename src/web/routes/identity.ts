import { enrolmentMessage } from '../../contract/enrolment.js';
import type { LocalRole } from '../../contract/http.js';
import {
  claimCodeBody,
  claimedBody,
  claimFoundBody,
  claimLookBody,
  claimQrBody,
  identityBody,
  rotatedBody,
} from '../../contract/identity.js';
import { claimFile } from '../../contract/messages.js';
import { plain } from '../route.js';

const STAFF: readonly LocalRole[] = ['technician', 'owner'];
const claimed = { status: 200, type: 'application/json', schema: claimedBody } as const;

export const identityRoutes = [
  plain({
    method: 'GET',
    path: '/identity',
    summary:
      'Whose box this is, the keys that it has had with what vouches for them, and the certificate of this page.',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: identityBody },
    handler: ({ ports }) => ports.identity.show(),
  }),
  plain({
    method: 'POST',
    path: '/claim',
    summary: 'Binds this box to a center by its claim file.',
    auth: STAFF,
    body: claimFile,
    response: claimed,
    handler: ({ ports }, { body, party }) => ports.identity.claimFile(body, party),
  }),
  plain({
    method: 'POST',
    path: '/claim/qr',
    summary: 'Binds this box to a center by the text of its QR code.',
    auth: STAFF,
    body: claimQrBody,
    response: claimed,
    handler: ({ ports }, { body, party }) => ports.identity.claimQr(body.text, party),
  }),
  plain({
    method: 'POST',
    path: '/claim/look',
    summary: 'Which center answers at an address: its fingerprint, to be compared before a typed code is used.',
    auth: STAFF,
    body: claimLookBody,
    response: { status: 200, type: 'application/json', schema: claimFoundBody },
    handler: ({ ports }, { body }) => ports.identity.look(body.address),
  }),
  plain({
    method: 'POST',
    path: '/claim/code',
    summary: 'Binds this box to a center by a typed code, whose fingerprint somebody has compared.',
    auth: STAFF,
    body: claimCodeBody,
    response: claimed,
    handler: ({ ports }, { body, party }) => ports.identity.claimCode(body, party),
  }),
  plain({
    method: 'DELETE',
    path: '/claim',
    summary: 'Takes back a claim that the center has not answered yet. To leave a center: `optout`.',
    auth: STAFF,
    response: claimed,
    handler: ({ ports }, { party }) => ports.identity.cancelClaim(party),
  }),
  plain({
    method: 'POST',
    path: '/identity/rotate',
    summary: 'Gives the box a new key, vouched for by the old one. What the old one signed stays signed.',
    auth: ['technician'],
    response: { status: 200, type: 'application/json', schema: rotatedBody },
    handler: ({ ports }, { party }) => ports.identity.rotateKey(party),
  }),
  plain({
    method: 'POST',
    path: '/identity/center',
    summary: "The center's signed words on a new key of its own or on letting this box go, brought as a file.",
    auth: STAFF,
    body: enrolmentMessage,
    response: { status: 204, type: '' },
    async handler({ ports }, { body, party }) {
      await ports.identity.obey(body, party);
      return new Response(null, { status: 204 });
    },
  }),
];
