import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { BluelightError, errorMessage } from '../base/errors.js';

/** Opens a connection to the center over an uplink. */
export type EnrolDial = (target: {
  host: string;
  port: number;
  tls?: { servername: string };
  purpose: 'mqtt';
}) => Promise<Duplex>;

export interface EnrolAnswer {
  status: number;
  body: string;
}

/** One question to the center, before there is anything else between box and center. */
export type EnrolHttp = (ask: {
  method: 'GET' | 'POST';
  url: string;
  json?: unknown;
  signal: AbortSignal;
}) => Promise<EnrolAnswer>;

const MOST_BYTES = 256 * 1024;

/** Follows no redirect: what is asked is for this address only. */
export function enrolHttp(dial: EnrolDial): EnrolHttp {
  return async (ask) => {
    const url = new URL(ask.url);
    const secure = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
    try {
      const socket = await dial({ host, port, purpose: 'mqtt', ...(secure ? { tls: { servername: host } } : {}) });
      return await exchange(socket, url, ask);
    } catch (cause) {
      throw unreachable(url, errorMessage(cause), cause);
    }
  };
}

export function unreachable(url: URL, why: string, cause?: unknown): BluelightError {
  return new BluelightError('CENTER_UNREACHABLE', `the center does not answer at ${url.host}: ${why}`, {
    retryable: true,
    fix: 'check the address and the uplink of the box; the claim completes by itself as soon as the center answers',
    cause,
  });
}

function exchange(
  socket: Duplex,
  url: URL,
  ask: { method: string; json?: unknown; signal: AbortSignal },
): Promise<EnrolAnswer> {
  const body = ask.json === undefined ? undefined : Buffer.from(JSON.stringify(ask.json));
  const headers: Record<string, string | number> = { host: url.host, connection: 'close' };
  if (body !== undefined) Object.assign(headers, { 'content-type': 'application/json', 'content-length': body.length });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    const path = `${url.pathname}${url.search}`;
    const outgoing = request(
      { method: ask.method, path, headers, createConnection: () => socket, signal: ask.signal },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > MOST_BYTES) response.destroy(new BluelightError('ANSWER_TOO_BIG', 'it answers with too much'));
        });
        response.on('error', reject);
        response.on('end', () => {
          socket.destroy();
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
