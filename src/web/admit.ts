import { BluelightError } from '../base/errors.js';
import { checkCsrf, checkOrigin, cookieValue, isLoopback, type Peer } from './guard.js';
import { COOKIE } from './routes/session.js';
import type { LocalParty, Route, Services } from './route.js';
import type { Session } from './sessions.js';
import type { Door } from '../contract/policy.js';

export interface Admission {
  party: LocalParty;
  door: Door;
  session: Session | null;
  token: string | null;
}

export interface Knock {
  header(name: string): string | undefined;
  peer: Peer;
  /** Came over the agent's Unix socket, whose file permissions are the login. */
  viaSocket: boolean;
}

/** Who knocks, whether or not he is let in; null: nobody knows. */
export function whoKnocks(services: Services, knock: Knock): Pick<Admission, 'door'> & { party: LocalParty | null } {
  if (knock.viaSocket) return { party: OF_SOCKET, door: 'socket' };
  const { bearer, token } = keyOf(knock);
  const session = token === null ? null : services.sessions.find(token);
  const party = session === null ? null : ({ kind: 'local', role: session.role, name: session.name } as const);
  return { party, door: bearer ? 'http' : 'page' };
}

function keyOf(knock: Knock): { bearer: boolean; token: string | null } {
  const bearer = /^Bearer ([A-Za-z0-9_-]+)$/.exec(knock.header('authorization') ?? '')?.[1];
  return { bearer: bearer !== undefined, token: bearer ?? cookieValue(knock.header('cookie'), COOKIE) ?? null };
}

const OF_SOCKET: LocalParty = { kind: 'local', role: 'technician', name: 'socket' };
const NOBODY: LocalParty = { kind: 'local', role: 'viewer', name: '' };

/** Who this is and whether this route is open to them; rejects with 401 or 403 before anything else is looked at. */
export function admit(services: Services, route: Route, knock: Knock): Admission {
  if (knock.viaSocket) {
    return { party: OF_SOCKET, door: 'socket', session: null, token: null };
  }
  const upgrade = isSocketRoute(route) && knock.header('upgrade') !== undefined;
  const changes = route.method !== 'GET' || upgrade;
  checkOrigin(knock.header('origin'), knock.header('host'), false);
  const { bearer, token } = keyOf(knock);
  const session = token === null ? null : services.sessions.find(token);
  const door: Door = bearer ? 'http' : 'page';
  if (session === null) {
    const open = route.auth === 'public' || (route.auth === 'loopback' && isLoopback(knock.peer.remoteAddress));
    if (!open) throw loginNeeded();
    return { party: NOBODY, door, session: null, token: null };
  }
  if (Array.isArray(route.auth) && !route.auth.includes(session.role)) throw roleNeeded(route.auth);
  if (!bearer && changes && route.auth !== 'public') {
    checkOrigin(knock.header('origin'), knock.header('host'), true);
    // A WebSocket cannot carry a header of the page's choice; its Origin, which is needed, does the same.
    if (!upgrade) checkCsrf(knock.header('x-csrf-token'), session.csrf);
  }
  return { party: { kind: 'local', role: session.role, name: session.name }, door, session, token };
}

export function isSocketRoute(route: Route): boolean {
  return route.access !== null && route.socket !== undefined;
}

function loginNeeded(): BluelightError {
  return new BluelightError('UNAUTHENTICATED', 'This needs a login.', { fix: 'Log in with the code of this box.' });
}

function roleNeeded(roles: readonly string[]): BluelightError {
  return new BluelightError('FORBIDDEN', `This is for: ${roles.join(', ')}.`, {
    fix: 'Log in with a code that has this role.',
  });
}
