import { randomBytes } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { withDeadline } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Credentials } from '../contract/camera.js';
import { authorization, chooseTerms, CLEAR_ONLY, parseChallenges } from '../media/rtsp-auth.js';
import type { LoginDeps } from './ports.js';
import { pinnedAgent } from './reply-guard.js';

const FETCH_MS = 8_000;

/**
 * Gets a file from a camera with HTTP Digest. The password never crosses the line (Basic is refused
 * unless it is allowed for this camera), redirects are
 * not followed, and what is larger than `maxBytes` is cut off. One login at most.
 * Errors: CAMERA_UNREACHABLE, CAMERA_REFUSED, CAMERA_INVALID.
 */
export async function fetchFile(
  deps: LoginDeps,
  url: string,
  credentials: Credentials,
  maxBytes: number,
  certificate?: string,
): Promise<{ type: string; bytes: Buffer }> {
  const stop = new AbortController();
  const late = (): BluelightError => {
    stop.abort();
    return unreachable(`did not send the file within ${String(FETCH_MS / 1000)} s`);
  };
  const allowBasic = deps.basicLogin?.includes(new URL(url).hostname.replace(/^\[|\]$/g, '')) ?? false;
  const login = { ...credentials, allowBasic };
  return withDeadline(deps.clock, FETCH_MS, fetchOnce(url, login, maxBytes, stop.signal, certificate), late);
}

async function fetchOnce(
  url: string,
  { username, password, allowBasic }: Credentials & { allowBasic: boolean },
  maxBytes: number,
  signal: AbortSignal,
  certificate: string | undefined,
): Promise<{ type: string; bytes: Buffer }> {
  const first = await get(url, undefined, signal, certificate);
  if (first.statusCode !== 401) return readAnswer(first, maxBytes);
  first.destroy();
  const { terms, clearOnly } = chooseTerms(parseChallenges(challengesOf(first)), allowBasic);
  if (terms === undefined) {
    const message = clearOnly ? CLEAR_ONLY.message : 'the camera wants a login of an unknown kind';
    const fix = clearOnly ? CLEAR_ONLY.fix : 'switch its HTTP login to digest';
    throw new BluelightError('CAMERA_INVALID', message, { fix });
  }
  const target = new URL(url);
  const header = authorization(terms, {
    username,
    password,
    method: 'GET',
    uri: target.pathname + target.search,
    count: 1,
    cnonce: randomBytes(8).toString('hex'),
  });
  const second = await get(url, header, signal, certificate);
  if (second.statusCode === 401 || second.statusCode === 403) {
    second.destroy();
    throw new BluelightError('CAMERA_REFUSED', 'the camera refused user name and password', {
      fix: 'check both on the camera itself; after some wrong logins it locks itself for about half an hour',
    });
  }
  return readAnswer(second, maxBytes);
}

function challengesOf(response: IncomingMessage): string[] {
  const { rawHeaders } = response;
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'www-authenticate');
}

function get(
  url: string,
  login: string | undefined,
  signal: AbortSignal,
  certificate: string | undefined,
): Promise<IncomingMessage> {
  const secure = url.startsWith('https:');
  const send = secure ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(url, {
      agent: secure ? pinnedAgent(certificate) : false,
      signal,
      rejectUnauthorized: false,
      headers: login === undefined ? {} : { Authorization: login },
    });
    request.on('response', resolve);
    request.on('error', (error) =>
      reject(
        error instanceof BluelightError ? error : unreachable(`broke the connection: ${errorMessage(error)}`, error),
      ),
    );
    request.end();
  });
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<{ type: string; bytes: Buffer }> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw new BluelightError('CAMERA_INVALID', `the camera answered with HTTP status ${String(response.statusCode)}`);
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) {
      throw new BluelightError('CAMERA_INVALID', `the camera sent more than ${String(maxBytes)} bytes`);
    }
    parts.push(part);
  }
  return { type: response.headers['content-type'] ?? '', bytes: Buffer.concat(parts) };
}

function unreachable(what: string, cause?: unknown): BluelightError {
  return new BluelightError('CAMERA_UNREACHABLE', `the camera ${what}`, { retryable: true, cause });
}
