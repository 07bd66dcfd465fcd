import type { z } from 'zod';
import type { Clock } from '../base/clock.js';
import type { Connections } from '../base/unsent.js';
import { BluelightError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Grant, GrantKind } from '../contract/grant.js';
import type { LocalRole } from '../contract/http.js';
import type { Door, Party } from '../contract/policy.js';
import type { TimeRange } from '../contract/primitives.js';
import type { LoginLimit } from './login-limit.js';
import type { WebPorts } from './ports.js';
import type { Session, Sessions } from './sessions.js';
import type { Transfer } from './stream.js';

export interface Services {
  clock: Clock;
  log: Log;
  ports: WebPorts;
  sessions: Sessions;
  logins: LoginLimit;
  connections: Connections;
}

export type LocalParty = Extract<Party, { kind: 'local' }>;

/** One request, checked: who, through which door, what. */
export interface Call<Q = unknown, B = unknown> {
  params: Record<string, string>;
  query: Q;
  body: B;
  party: LocalParty;
  door: Door;
  session: Session | null;
  token: string | null;
  remote: string;
  /** Cuts a transfer in the middle, with what the kernel has not sent yet. */
  cut: () => void;
  /** Resolves when the client has acknowledged the whole answer; false: it went before. */
  taken: () => Promise<boolean>;
  header(name: string): string | undefined;
  /** Only what the answer would be is asked (HEAD). */
  head: boolean;
  /** Aborts when the client is gone or the session is over. */
  signal: AbortSignal;
}

/** Whose footage of when; the gate is asked for each. */
export interface Target {
  camera: string;
  range: TimeRange;
  reason?: string;
}

/** What the gate gave for this request, by camera. */
export class Grants {
  readonly #byCamera: ReadonlyMap<string, Grant>;

  constructor(grants: readonly Grant[]) {
    this.#byCamera = new Map(grants.map((grant) => [grant.camera, grant]));
  }

  of(camera: string): Grant | undefined {
    return this.#byCamera.get(camera);
  }

  all(): Grant[] {
    return [...this.#byCamera.values()];
  }

  /** Of a route that has one target. */
  one(): Grant {
    const first = this.all()[0];
    if (first === undefined) throw new BluelightError('POLICY_DENIED', 'There is no grant for this request.');
    return first;
  }
}

/** What a handler gives back: `Response` and `Transfer` as they are, anything else becomes JSON. */
export type Reply = Response | Transfer | object;

/** The part of a WebSocket that a live handler needs. */
export interface Socket {
  send(data: string | Uint8Array): void;
  close(code: number, reason: string): void;
  /** Ends it at once: what has not reached the client never does. */
  cut(): void;
  /** Bytes that the client has not taken yet. */
  readonly buffered: number;
}

export interface SocketHandler {
  open(socket: Socket): void;
  close(): void;
}

/** `loopback`: open to programs on the box itself, else a session. A list: a session with one of these roles. */
export type RouteAuth = 'public' | 'loopback' | 'session' | readonly LocalRole[];

export interface ResponseDoc {
  status: 200 | 201 | 202 | 204 | 101;
  type: string;
  schema?: z.ZodType;
}

interface Common {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/api/v1`, parameters in braces. */
  path: string;
  summary: string;
  auth: RouteAuth;
  query?: z.ZodType;
  body?: z.ZodType;
  response: ResponseDoc;
  /** A file of which parts can be asked for: `Range`, `If-Range`, 206 and 416. */
  ranges?: true;
}

export interface PlainRoute extends Common {
  access: null;
  handler(services: Services, call: Call): Promise<Reply> | Reply;
}

export interface FootageRoute extends Common {
  /** What is asked of the gate, for every target, before the handler runs. */
  access: GrantKind;
  /** True for lists over many cameras: what the gate refuses is left out instead of refusing the whole. */
  omitDenied: boolean;
  targets(services: Services, call: Call): Promise<Target[]> | Target[];
  handler?(services: Services, call: Call, grants: Grants): Promise<Reply> | Reply;
  /** Instead of `handler`: the request becomes a WebSocket. */
  socket?(services: Services, call: Call, grants: Grants): SocketHandler;
}

export type Route = PlainRoute | FootageRoute;

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** Ties the types of query and body to the handler; the table itself does not know them any more. */
export function plain<Q extends z.ZodType | undefined = undefined, B extends z.ZodType | undefined = undefined>(
  route: Omit<PlainRoute, 'access' | 'query' | 'body' | 'handler'> & {
    query?: Q;
    body?: B;
    handler(services: Services, call: Call<Parsed<Q>, Parsed<B>>): Promise<Reply> | Reply;
  },
): PlainRoute {
  return { ...route, access: null } as unknown as PlainRoute;
}

/** A route that shows footage. */
export function footage<Q extends z.ZodType | undefined = undefined, B extends z.ZodType | undefined = undefined>(
  route: Omit<FootageRoute, 'omitDenied' | 'query' | 'body' | 'targets' | 'handler' | 'socket'> & {
    omitDenied?: boolean;
    query?: Q;
    body?: B;
    targets(services: Services, call: Call<Parsed<Q>, Parsed<B>>): Promise<Target[]> | Target[];
    handler?(services: Services, call: Call<Parsed<Q>, Parsed<B>>, grants: Grants): Promise<Reply> | Reply;
    socket?(services: Services, call: Call<Parsed<Q>, Parsed<B>>, grants: Grants): SocketHandler;
  },
): FootageRoute {
  return { omitDenied: false, ...route } as unknown as FootageRoute;
}

export function json(body: object, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  });
}

export function rangeOf(query: { from: string; to: string }): TimeRange {
  return { fromMs: Date.parse(query.from), toMs: Date.parse(query.to) };
}
