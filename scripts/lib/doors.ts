import { COMMANDS } from '../../src/contract/commands.js';
import type { GrantKind } from '../../src/contract/grant.js';
import { EVENT_ACCESS, topics } from '../../src/contract/messages.js';
import type { AccessRequest, Door, Party } from '../../src/contract/policy.js';
import type { Route } from '../../src/web/route.js';
import { ROUTES } from '../../src/web/routes/table.js';

/** One way out of the box, and as what it is asked of the gate; null: it shows nothing of what a camera sees. */
export interface WayOut {
  door: Door;
  name: string;
  kind: GrantKind | null;
}

/** The doors by which the ways of this side are used. */
const PEOPLE: readonly Door[] = ['page', 'http', 'socket'];

/**
 * What each topic that the box writes to may carry. `event` and `job` are asked of the gate by what is in them
 * (`EVENT_ACCESS`, `COMMANDS`). A new topic does not compile without its entry.
 */
export const TOPICS: Record<keyof ReturnType<typeof topics>, 'event' | 'command' | 'no footage' | 'read' | 'prefix'> = {
  root: 'prefix',
  status: 'no footage',
  info: 'no footage',
  heartbeat: 'no footage',
  enrolment: 'no footage',
  policyReported: 'no footage',
  event: 'event',
  job: 'command',
  command: 'read',
  ack: 'read',
  operators: 'read',
  policyProposed: 'read',
};

/** Every way out that the product has, read from its own tables: what is new there is new here. */
export function waysOut(routes: readonly Route[] = ROUTES): WayOut[] {
  return [
    ...routes.flatMap((route) =>
      PEOPLE.map((door): WayOut => ({ door, name: `${route.method} ${route.path}`, kind: route.access })),
    ),
    ...Object.entries(COMMANDS).map(([name, { access }]): WayOut => ({ door: 'mqtt', name, kind: access })),
    ...Object.entries(EVENT_ACCESS).map(([name, kind]): WayOut => ({ door: 'auto', name, kind })),
    { door: 'auto', name: 'clips of motion', kind: 'clip' },
    { door: 'mqtt', name: 'upload of what a command asked for', kind: 'clip' },
    { door: 'socket', name: 'upload of what somebody at the box sends', kind: 'clip' },
  ];
}

/** Who comes by a door at all. */
const WHO: Record<Door, readonly Party[]> = {
  page: people(),
  http: people(),
  socket: people(),
  mqtt: [{ kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' }],
  courier: [{ kind: 'agent' }],
  auto: [{ kind: 'agent' }],
};

function people(): Party[] {
  return (['technician', 'owner', 'viewer'] as const).map((role) => ({ kind: 'local', role, name: role }));
}

/** What is asked when somebody uses this way: one request for each person who may come by it. */
export function requestsOf(way: WayOut, camera: string, range: AccessRequest['range']): AccessRequest[] {
  const { kind, door, name } = way;
  if (kind === null) return [];
  return WHO[door].map((party) => ({ party, door, kind, camera, range, reason: name }));
}

/** Files that look like footage by their type and hold none. */
const NO_FOOTAGE: readonly string[] = ['POST /backup'];
const FOOTAGE_TYPES = /^(video|image|audio|multipart)\/|octet-stream|playback/;

/** Routes that would show footage beside the gate: their answer is pictures, and nobody is asked. */
export function ungatedRoutes(routes: readonly Route[] = ROUTES): string[] {
  return routes
    .filter((route) => route.access === null && FOOTAGE_TYPES.test(route.response.type))
    .map((route) => `${route.method} ${route.path}`)
    .filter((name) => !NO_FOOTAGE.includes(name));
}

/** Topics of a box that no table knows. */
export function unknownTopics(names: object = topics('site', 'box')): string[] {
  return Object.keys(names).filter((name) => !(name in TOPICS));
}
