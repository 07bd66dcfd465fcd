import type { Problem, SessionBody } from '../../contract/http.js';
import { t } from './strings.js';

const BASE = '/api/v1';

/** What the box answered instead of what was asked: in words, with the fix. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

let csrf = '';
let lost: () => void = () => undefined;

/** What to do when the session is over. */
export function onSessionLost(run: () => void): void {
  lost = run;
}

export function useSession(session: SessionBody): void {
  csrf = session.csrf;
}

export function url(path: string, query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `${BASE}${path}${search === '' ? '' : `?${search}`}`;
}

async function send(
  method: string,
  path: string,
  options: { query?: Record<string, string>; body?: object; signal?: AbortSignal },
) {
  const headers: Record<string, string> = method === 'GET' ? {} : { 'x-csrf-token': csrf };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url(path, options.query), {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
    });
  } catch (cause) {
    if (options.signal?.aborted === true) throw cause;
    throw new ApiError(unreachable());
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (problem.code === 'UNAUTHENTICATED' && path !== '/login') lost();
  throw new ApiError(problem);
}

async function readProblem(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return { ...unreachable(), status: response.status };
  }
}

function unreachable(): Problem {
  const { title, detail, fix } = t.unreachable;
  return { type: 'about:blank', title, status: 0, code: 'UNREACHABLE', detail, fix, retryable: true };
}

export async function get<T>(path: string, query?: Record<string, string>, signal?: AbortSignal): Promise<T> {
  return (await send('GET', path, { query, signal })).json() as Promise<T>;
}

export async function getStream(path: string, query: Record<string, string>, signal: AbortSignal): Promise<Response> {
  return send('GET', path, { query, signal });
}

export async function post<T>(path: string, body?: object): Promise<T> {
  const response = await send('POST', path, { body });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export async function remove(path: string): Promise<void> {
  await send('DELETE', path, {});
}

/** Any error as two sentences for a person. */
export function inWords(error: unknown): { what: string; fix: string } {
  if (error instanceof ApiError) return { what: error.problem.detail, fix: error.problem.fix ?? '' };
  return { what: error instanceof Error ? error.message : String(error), fix: t.unexpected };
}
