import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifyUsernameToken, type DigestServer, type LoginGuard } from './login.js';
import { DEVICE_ANSWERS, MEDIA2_ANSWERS, MEDIA_ANSWERS, SERVICES, type DeviceFacts } from './onvif-answers.js';
import { readSoap, soapAnswer, soapFault, type SoapRequest } from './soap.js';

export interface OnvifServerOptions {
  address: string;
  port: number;
  facts: DeviceFacts;
  guard: LoginGuard;
  digest: DigestServer;
  soapAuth: 'both' | 'digest' | 'wsse';
  /** JPEG of a channel as it looks now. */
  snapshot(channel: number): Uint8Array | undefined;
}

const MAX_BODY_BYTES = 256 * 1024;

/** What may be asked without a login (ONVIF Core, access class PRE_AUTH). */
const PRE_AUTH = new Set(['GetSystemDateAndTime', 'GetServices', 'GetServiceCapabilities', 'GetCapabilities']);
/** What real cameras ask a login for nevertheless; only the time stays free, as clients need it to log in. */
const FREE = new Set(['GetSystemDateAndTime']);

/** HTTP side of one device: ONVIF device and media services, and snapshots. */
export class OnvifServer {
  #server: Server | undefined;
  #port: number;

  constructor(private readonly options: OnvifServerOptions) {
    this.#port = options.port;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
    server.listen(this.#port, this.options.address);
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    const shot = /^\/snapshot\/(\d+)$/.exec(path);
    if (request.method === 'GET' && shot !== null) return this.#snapshot(request, response, Number(shot[1]));
    const service = Object.values(SERVICES).find((s) => s.path === path);
    if (request.method !== 'POST' || service === undefined) return void response.writeHead(404).end();
    const body = await readBody(request);
    const soap = body === undefined ? undefined : readSoap(body);
    if (soap === undefined) return answer(response, 400, soapFault('Sender', 'ter:WellFormed', 'not a SOAP request'));
    if (!this.#authorised(request, response, soap)) return;
    // Clients send everything to the path they were given; the namespace says which service is meant.
    const answers = answersFor(soap.namespace === '' ? service.namespace : soap.namespace);
    const make = answers[soap.action];
    if (make === undefined) {
      return answer(response, 500, soapFault('Receiver', 'ter:ActionNotSupported', 'optional action not implemented'));
    }
    const result = make(this.options.facts, (name) => soap.field(name));
    if (result === undefined) return answer(response, 400, soapFault('Sender', 'ter:InvalidArgVal', 'no such token'));
    answer(response, 200, soapAnswer(result));
  }

  /** True if the request may go on; otherwise it has been answered. */
  #authorised(request: IncomingMessage, response: ServerResponse, soap: SoapRequest): boolean {
    const { soapAuth, digest, guard, facts } = this.options;
    if (FREE.has(soap.action)) return true;
    if (soapAuth !== 'digest' && soap.token !== undefined) {
      if (verifyUsernameToken(soap.token, guard, facts.nowMs())) return true;
      answer(response, 400, soapFault('Sender', 'ter:NotAuthorized', 'Sender not Authorized'));
      return false;
    }
    if (soapAuth === 'wsse') {
      answer(response, 400, soapFault('Sender', 'ter:NotAuthorized', 'Sender not Authorized'));
      return false;
    }
    const verdict = digest.verify('POST', request.headers.authorization);
    if (verdict === 'ok') return true;
    // Without any login: what the standard leaves open is answered, the rest is challenged.
    if (verdict === 'absent' && soapAuth === 'both' && PRE_AUTH.has(soap.action)) return true;
    response.writeHead(401, { 'WWW-Authenticate': digest.challenges(verdict === 'stale') }).end();
    return false;
  }

  #snapshot(request: IncomingMessage, response: ServerResponse, channel: number): void {
    const { digest } = this.options;
    const verdict = digest.verify('GET', request.headers.authorization);
    if (verdict !== 'ok') {
      response.writeHead(401, { 'WWW-Authenticate': digest.challenges(verdict === 'stale') }).end();
      return;
    }
    const jpeg = this.options.snapshot(channel);
    if (jpeg === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': 'image/jpeg', 'Content-Length': jpeg.length }).end(jpeg);
  }
}

function answersFor(namespace: string): typeof DEVICE_ANSWERS {
  if (namespace === SERVICES.media.namespace) return MEDIA_ANSWERS;
  if (namespace === SERVICES.media2.namespace) return MEDIA2_ANSWERS;
  return DEVICE_ANSWERS;
}

function answer(response: ServerResponse, status: number, xml: string): void {
  response.writeHead(status, { 'Content-Type': 'application/soap+xml; charset=utf-8' }).end(xml);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
