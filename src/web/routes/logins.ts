import type { LocalRole } from '../../contract/http.js';
import { issuedCodeBody, loginsBody, removeLoginBody, technicianCodeBody, viewerBody } from '../../contract/logins.js';
import { plain } from '../route.js';

const STAFF: readonly LocalRole[] = ['technician', 'owner'];

export const loginRoutes = [
  plain({
    method: 'GET',
    path: '/logins',
    summary: 'Who may log in, and until when.',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: loginsBody },
    handler: async ({ ports }) => ({ logins: await ports.logins.list() }),
  }),
  plain({
    method: 'POST',
    path: '/logins/technician',
    summary: 'A new code for the technician, which runs out; the one before no longer opens. Not on his own page.',
    auth: STAFF,
    body: technicianCodeBody,
    response: { status: 200, type: 'application/json', schema: issuedCodeBody },
    async handler({ ports, sessions }, { body, party }) {
      const forMs = body.seconds === undefined ? undefined : body.seconds * 1_000;
      const issued = await ports.logins.technicianCode(forMs, party);
      sessions.endOf('technician');
      return issued;
    },
  }),
  plain({
    method: 'POST',
    path: '/logins/viewer',
    summary: 'Somebody who may look, and nothing else. Where there is an owner, it is his to say.',
    auth: STAFF,
    body: viewerBody,
    response: { status: 204, type: '' },
    async handler({ ports, sessions }, { body, party }) {
      await ports.logins.setViewer(body.name, body.password, body.passphrase, party);
      sessions.endOf(body.name);
      return new Response(null, { status: 204 });
    },
  }),
  plain({
    method: 'POST',
    path: '/logins/remove',
    summary: 'Takes a login away and ends its sessions. The login of the owner goes with his key only.',
    auth: STAFF,
    body: removeLoginBody,
    response: { status: 204, type: '' },
    async handler({ ports, sessions }, { body, party }) {
      await ports.logins.remove(body.name, body.passphrase, party);
      sessions.endOf(body.name);
      return new Response(null, { status: 204 });
    },
  }),
];
