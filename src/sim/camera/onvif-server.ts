import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.js';
import { EVENT_PATH, type EventService } from './event-service.js';
import { verifyUsernameToken, type DigestServer, type LoginGuard } from './login.js';
import {
  DEVICE_ANSWERS,
  DEVICEIO_ANSWERS,
  MEDIA2_ANSWERS,
  MEDIA_ANSWERS,
  SERVICES,
  servicesOf,
  type DeviceFacts,
} from './onvif-answers.js';
import type { CameraFaults } from './options.js';
import { readSoap, soapAnswer, soapFault, type SoapRequest } from './soap.js';
import { trickle } from './trickle.js';

export interface OnvifServerOptions {
  clock: Clock;
  /** Where it listens from the next start on. */
  address: () => string;
  port: number;
  /** Of all services but the device service; undefined: the same. */
  servicesPort: number | undefined;
  brokenMedia2: boolean;
  /** Key and certificate, PEM, in one text; undefined: plain HTTP. */
  certificate: () => string | undefined;
  facts: DeviceFacts;
  faults: Readonly<CameraFaults>;
  events: EventService;
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
/** Namespace of Renew and Unsubscribe. */
const NOTIFICATION = 'http://docs.oasis-open.org/wsn/b-2';

/** HTTP side of one device: its ONVIF services, and snapshots. */
export class OnvifServer {
  #servers: Server[] = [];
  #port: number;
  #servicesPort: number | undefined;

  constructor(private readonly options: OnvifServerOptions) {
    this.#port = options.port;
    this.#servicesPort = options.servicesPort;
  }

  get servicesPort(): number {
    return this.#servicesPort ?? this.#port;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    this.#port = await this.#listen(this.#port);
    if (this.#servicesPort !== undefined) this.#servicesPort = await this.#listen(this.#servicesPort);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  }

  /** Ends every connection; the camera itself goes on. */
  reset(): void {
    for (const server of this.#servers) server.closeAllConnections();
  }

  async #listen(port: number): Promise<number> {
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch(() => response.destroy());
    };
    const pem = this.options.certificate();
    const server = pem === undefined ? createServer(listener) : createSecureServer({ key: pem, cert: pem }, listener);
    server.listen(port, this.options.address());
    await once(server, 'listening');
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { faults } = this.options;
    // Taken, and never answered.
    if (faults.halfOpen) return;
    if (faults.redirectTo !== '') {
      const to = `http://${faults.redirectTo}:${String(this.#port)}${request.url ?? '/'}`;
      return void response.writeHead(307, { Location: to }).end();
    }
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    const shot = /^\/snapshot\/(\d+)$/.exec(path);
    if (request.method === 'GET' && shot !== null) return this.#snapshot(request, response, Number(shot[1]));
    const service = servicesOf(this.options.facts).find((s) => path === s.path || path.startsWith(`${EVENT_PATH}/`));
    if (request.method !== 'POST' || service === undefined || !this.#isAt(request, path)) {
      return void response.writeHead(404).end();
    }
    const body = await readBody(request);
    const soap = body === undefined ? undefined : readSoap(body);
    if (soap === undefined) {
      return this.#send(response, 400, soapFault('Sender', 'ter:WellFormed', 'not a SOAP request'));
    }
    if (!this.#authorised(request, response, soap)) return;
    // Clients send everything to the path they were given; the namespace says which service is meant.
    await this.#perform(response, path, { ...soap, namespace: soap.namespace || service.namespace });
  }

  /** Whether the service of this path is on the port that was asked. */
  #isAt(request: IncomingMessage, path: string): boolean {
    const port = path === SERVICES.device.path ? this.#port : this.servicesPort;
    return request.socket.localPort === port;
  }

  async #perform(response: ServerResponse, path: string, soap: SoapRequest): Promise<void> {
    if (soap.namespace === SERVICES.events.namespace || soap.namespace === NOTIFICATION) {
      const verdict = await this.options.events.answer(soap.action, path, (name) => soap.field(name));
      if ('status' in verdict) return void response.writeHead(verdict.status).end('<html>busy</html>');
      if ('xml' in verdict) return this.#send(response, 200, soapAnswer(verdict.xml));
      return this.#send(response, 500, soapFault('Receiver', 'ter:Action', verdict.fault));
    }
    // Relay actions bear the device service's namespace also on DeviceIO; only their address tells.
    const namespace = path === SERVICES.deviceio.path ? SERVICES.deviceio.namespace : soap.namespace;
    const broken = this.options.brokenMedia2 && namespace === SERVICES.media2.namespace;
    const make = broken ? undefined : answersFor(namespace)[soap.action];
    if (make === undefined) {
      const reason = 'optional action not implemented';
      return this.#send(response, 500, soapFault('Receiver', 'ter:ActionNotSupported', reason));
    }
    const result = await make(this.options.facts, (name) => soap.field(name));
    if (result === undefined) {
      return this.#send(response, 400, soapFault('Sender', 'ter:InvalidArgVal', 'no such token'));
    }
    return this.#send(response, 200, soapAnswer(result));
  }

  /** True if the request may go on; otherwise it has been answered. */
  #authorised(request: IncomingMessage, response: ServerResponse, soap: SoapRequest): boolean {
    const { soapAuth, digest, guard, facts } = this.options;
    if (FREE.has(soap.action)) return true;
    const refuse = (): false => {
      const fault = soapFault('Sender', 'ter:NotAuthorized', 'Sender not Authorized');
      response.writeHead(400, SOAP_TYPE).end(fault);
      return false;
    };
    if (soapAuth !== 'digest' && soap.token !== undefined) {
      return verifyUsernameToken(soap.token, guard, facts.nowMs()) ? true : refuse();
    }
    if (soapAuth === 'wsse') return refuse();
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

  async #send(response: ServerResponse, status: number, xml: string): Promise<void> {
    const { clock, faults } = this.options;
    response.writeHead(status, SOAP_TYPE);
    const is = { slow: () => faults.slow, alive: () => !response.destroyed };
    await trickle(clock, Buffer.from(xml), (bytes) => response.write(bytes), is);
    response.end();
  }
}

const SOAP_TYPE = { 'Content-Type': 'application/soap+xml; charset=utf-8' };

function answersFor(namespace: string): typeof DEVICE_ANSWERS {
  if (namespace === SERVICES.media.namespace) return MEDIA_ANSWERS;
  if (namespace === SERVICES.media2.namespace) return MEDIA2_ANSWERS;
  if (namespace === SERVICES.deviceio.namespace) return DEVICEIO_ANSWERS;
  return DEVICE_ANSWERS;
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
