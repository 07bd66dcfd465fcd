import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { withDeadline } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Credentials } from '../contract/camera.js';
import { authorization, chooseTerms, CLEAR_ONLY, parseChallenges } from '../media/rtsp-auth.js';
import { buildRequest, RtspReader, type RtspResponse } from '../media/rtsp.js';
import type { LoginDeps } from './ports.js';

const CHECK_MS = 6_000;
const DEFAULT_PORT = 554;

/**
 * Whether a camera would give this stream: DESCRIBE over TCP (RFC 2326 §10.2) with at most one login.
 * Gives the session description. Errors: CAMERA_UNREACHABLE, CAMERA_REFUSED, CAMERA_INVALID.
 */
export async function describeStream(deps: LoginDeps, uri: string, credentials: Credentials): Promise<string> {
  const { clock, basicLogin = [] } = deps;
  const { host, socket, late } = open(uri);
  try {
    return await withDeadline(
      clock,
      CHECK_MS,
      converse(new Exchange(socket), uri, credentials, basicLogin.includes(host)),
      late,
    );
  } finally {
    socket.destroy();
  }
}

/** How a camera answers DESCRIBE of somebody who does not log in. Errors: CAMERA_UNREACHABLE, CAMERA_INVALID. */
export async function askWithoutLogin({ clock }: LoginDeps, uri: string): Promise<RtspResponse> {
  const { socket, late } = open(uri);
  try {
    return await withDeadline(clock, CHECK_MS, new Exchange(socket).describe(uri, undefined), late);
  } finally {
    socket.destroy();
  }
}

function open(uri: string): { host: string; socket: Socket; late: () => BluelightError } {
  const url = new URL(uri);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const socket = connect(url.port === '' ? DEFAULT_PORT : Number(url.port), host);
  const late = (): BluelightError => unreachable(`did not describe the stream within ${String(CHECK_MS / 1000)} s`);
  return { host, socket, late };
}

async function converse(
  exchange: Exchange,
  uri: string,
  { username, password }: Credentials,
  allowBasic: boolean,
): Promise<string> {
  const first = await exchange.describe(uri, undefined);
  if (first.status !== 401) return bodyOf(first);
  const challenges = parseChallenges(first.headers.get('www-authenticate') ?? []);
  const { terms, clearOnly } = chooseTerms(challenges, allowBasic);
  if (clearOnly) throw new BluelightError('CAMERA_INVALID', CLEAR_ONLY.message, { fix: CLEAR_ONLY.fix });
  if (terms === undefined) {
    throw new BluelightError('CAMERA_INVALID', 'the camera wants a login of an unknown kind', {
      fix: 'switch its RTSP login to digest',
    });
  }
  const cnonce = randomBytes(8).toString('hex');
  const login = authorization(terms, { username, password, method: 'DESCRIBE', uri, count: 1, cnonce });
  const second = await exchange.describe(uri, login);
  if (second.status === 401 || second.status === 403) {
    throw new BluelightError('CAMERA_REFUSED', 'the camera refused user name and password for its stream', {
      fix: 'check that this user may see live video; after some wrong logins the camera locks itself for half an hour',
    });
  }
  return bodyOf(second);
}

function bodyOf(response: RtspResponse): string {
  if (response.status !== 200) {
    throw new BluelightError('CAMERA_INVALID', `the camera answers ${String(response.status)} ${response.reason}`);
  }
  return Buffer.from(response.body).toString('utf8');
}

/** Requests and answers on one connection, one at a time. */
class Exchange {
  #cseq = 0;
  #settle: { answer: (response: RtspResponse) => void; fail: (error: Error) => void } | undefined;

  constructor(private readonly socket: Socket) {
    const reader = new RtspReader({
      response: (response) => this.#settle?.answer(response),
      request: () => undefined,
      frame: () => undefined,
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#settle?.fail(new BluelightError('CAMERA_INVALID', errorMessage(error)));
        socket.destroy();
      }
    });
    socket.on('error', (error) => this.#settle?.fail(unreachable(`broke the connection: ${error.message}`, error)));
    socket.on('close', () => this.#settle?.fail(unreachable('closed the connection')));
  }

  describe(uri: string, login: string | undefined): Promise<RtspResponse> {
    this.#cseq++;
    const headers: [string, string][] = [
      ['CSeq', String(this.#cseq)],
      ['Accept', 'application/sdp'],
    ];
    if (login !== undefined) headers.push(['Authorization', login]);
    return new Promise((answer, fail) => {
      this.#settle = { answer, fail };
      this.socket.write(buildRequest('DESCRIBE', uri, headers));
    });
  }
}

function unreachable(what: string, cause?: unknown): BluelightError {
  return new BluelightError('CAMERA_UNREACHABLE', `the camera ${what}`, { retryable: true, cause });
}
