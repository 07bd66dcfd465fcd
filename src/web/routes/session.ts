import { BluelightError } from '../../base/errors.js';
import { healthBody, loginBody, sessionBody, type SessionBody } from '../../contract/http.js';
import { toUtc } from '../../contract/primitives.js';
import { json, plain, type Call } from '../route.js';
import type { Session } from '../sessions.js';

/** `__Host-`: the browser takes it only over TLS, from this host, for all paths (RFC 6265bis §4.1.3.2). */
export const COOKIE = '__Host-bluelight';

export const sessionRoutes = [
  plain({
    method: 'POST',
    path: '/login',
    summary: 'Log in with the code of the first start or a password.',
    auth: 'public',
    body: loginBody,
    response: { status: 200, type: 'application/json', schema: sessionBody },
    async handler({ clock, ports, logins, sessions, log }, call) {
      const who = await logins.attempt(call.remote, () => ports.verifyLogin(call.body.code));
      if (who === null) {
        log.warn({ remote: call.remote }, 'login refused');
        throw new BluelightError('BAD_LOGIN', 'This code is not right.', {
          fix: 'Type the code as it is written on the label or in the output of the first start.',
        });
      }
      const { door, remote } = call;
      const party = { kind: 'local', ...who } as const;
      const reason = `logged in from ${remote}`;
      await ports.atDoor({ action: 'login', outcome: 'done', who: party, door, remote, code: null, reason });
      const { token, session } = sessions.open(who);
      const body = describe(session, clock.now());
      if (call.body.as === 'token') return json({ ...body, token });
      const maxAge = Math.floor((session.expiresAtMs - clock.now()) / 1000);
      return json(body, 200, {
        'set-cookie': `${COOKIE}=${token}; Path=/; Max-Age=${maxAge}; Secure; HttpOnly; SameSite=Strict`,
      });
    },
  }),
  plain({
    method: 'POST',
    path: '/logout',
    summary: 'End this session and everything that streams under it.',
    auth: 'session',
    response: { status: 204, type: '' },
    async handler({ ports, sessions }, { token, party: who, door, remote }) {
      if (token !== null) sessions.close(token);
      const reason = `logged out from ${remote}`;
      await ports.atDoor({ action: 'logout', outcome: 'done', who, door, remote, code: null, reason });
      return new Response(null, {
        status: 204,
        headers: { 'set-cookie': `${COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict` },
      });
    },
  }),
  plain({
    method: 'GET',
    path: '/session',
    summary: 'Who is logged in, and the token that goes back with every change.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: sessionBody },
    handler: ({ clock }, call) => describe(call.session ?? socketSession(call), clock.now()),
  }),
  plain({
    method: 'GET',
    path: '/health',
    summary: 'Does the agent turn? Without login from the box itself.',
    auth: 'loopback',
    response: { status: 200, type: 'application/json', schema: healthBody },
    async handler({ ports }) {
      const status = await ports.status();
      return { ok: status.state !== 'problem', uptime: status.box.uptime };
    },
  }),
];

function describe(session: Omit<Session, 'signal'>, now: number): SessionBody {
  const { name, role, csrf } = session;
  return { name, role, csrf, expiresAt: toUtc(session.expiresAtMs), now: toUtc(now) };
}

/** On the Unix socket the file's permissions are the login; there is nothing to expire. */
function socketSession(call: Call): Omit<Session, 'signal'> {
  return { name: call.party.name, role: call.party.role, csrf: '', expiresAtMs: Date.UTC(9999, 0, 1) };
}
