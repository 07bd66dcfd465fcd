import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { BluelightError, errorCode } from '../base/errors.js';

/** The running agent behind its Unix socket: the same routes as the local page. */
export interface Agent {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  delete<T>(path: string): Promise<T>;
  /** What a path answers, as it is. */
  text(path: string): Promise<string>;
  /** Writes what a path answers into a file; the name appears when all of it is on disk. Gives what the answer says of it. */
  save(path: string, file: string, body?: object): Promise<IncomingHttpHeaders>;
}

interface Problem {
  code?: string;
  title?: string;
  detail?: string;
  fix?: string;
}

export function connectAgent(socketPath: string): Agent {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const { status, text } = await exchange(socketPath, method, `/api/v1${path}`, body);
    const parsed: unknown = text === '' ? undefined : parseJson(text);
    if (status < 400) return parsed as T;
    throw problemOf(status, parsed);
  };
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    put: (path, body) => call('PUT', path, body),
    delete: (path) => call('DELETE', path),
    async text(path) {
      const { status, text } = await exchange(socketPath, 'GET', `/api/v1${path}`, undefined);
      if (status === 200) return text;
      throw problemOf(status, parseJson(text));
    },
    save: (path, file, body) => download(socketPath, `/api/v1${path}`, file, body),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BluelightError('AGENT_ANSWER', 'the agent gave an answer that is not JSON', { cause });
  }
}

/** With a body it is posted, and what comes back is for the owner of the file only. */
async function download(socketPath: string, path: string, file: string, body?: object): Promise<IncomingHttpHeaders> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const method = payload === undefined ? 'GET' : 'POST';
  const typed =
    payload === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) };
  const headers = { host: 'localhost', ...typed };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({ socketPath, path, method, headers }, resolve);
    outgoing.on('error', (cause) => reject(unreachable(socketPath, cause)));
    outgoing.end(payload);
  });
  if (response.statusCode !== 200) {
    throw problemOf(response.statusCode ?? 500, parseJson((await buffer(response)).toString('utf8')));
  }
  const part = `${file}.part`;
  await pipeline(response, createWriteStream(part, { flush: true, ...(payload === undefined ? {} : { mode: 0o600 }) }));
  await rename(part, file);
  return response.headers;
}

function problemOf(status: number, parsed: unknown): BluelightError {
  const problem = (parsed ?? {}) as Problem;
  const message = problem.detail ?? problem.title ?? `the agent answered ${status}`;
  return new BluelightError(problem.code ?? `HTTP_${status}`, message, { fix: problem.fix });
}

function unreachable(socketPath: string, cause: unknown): BluelightError {
  const why = errorCode(cause) === 'EACCES' ? 'this user may not open its socket' : 'nobody answers on its socket';
  return new BluelightError('AGENT_UNREACHABLE', `cannot reach the agent: ${why} (${socketPath})`, {
    fix: 'is it running? `systemctl status bluelight`, or start it with `bluelight run`; with another configuration give --config',
    cause,
  });
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const outgoing = request({ socketPath, method, path, headers: { host: 'localhost', ...headers } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 500, text: Buffer.concat(parts).toString('utf8') }),
      );
      response.on('error', reject);
    });
    outgoing.on('error', (cause) => reject(unreachable(socketPath, cause)));
    outgoing.end(payload);
  });
}
