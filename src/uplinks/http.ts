import { request as httpRequest, type Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BluelightError } from '../base/errors.js';

export interface HttpAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

const MAX_ANSWER_BYTES = 64 * 1024;

/** A small request whose answer fits in memory. Follows no redirect: credentials and footage go to one host only. */
export function request(
  agent: HttpAgent,
  ask: {
    method: 'GET' | 'PUT' | 'DELETE';
    url: string;
    json?: unknown;
    headers?: Record<string, string>;
    signal: AbortSignal;
  },
): Promise<HttpAnswer> {
  const body = ask.json === undefined ? undefined : Buffer.from(JSON.stringify(ask.json));
  const headers = {
    ...ask.headers,
    ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }),
  };
  const send = ask.url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const req = send(ask.url, { method: ask.method, agent, headers, signal: ask.signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) {
          response.destroy(new BluelightError('ANSWER_TOO_BIG', `${new URL(ask.url).host} answers with too much`));
        } else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    req.on('error', reject);
    req.end(body);
  });
}
