import { Agent as HttpAgent, type AgentOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { BluelightError } from '../base/errors.js';
import type { Endpoint } from './addresses.js';

/** The replies of the largest recorders have some hundred kilobytes. */
const MAX_BYTES = 1024 * 1024;
const MAX_TAGS = 60_000;
const MAX_DEPTH = 200;

const LESS = 0x3c;
const GREATER = 0x3e;
const SLASH = 0x2f;

/**
 * Watches XML as it comes in, before anything parses it: the parser of `onvif` is recursive and knows no limits, so
 * a megabyte of opening tags would stop the whole thread for seconds. False as soon as it exceeds the limits.
 */
export class ReplyGuard {
  #bytes = 0;
  #tags = 0;
  #depth = 0;
  #last = 0;

  accepts(chunk: Uint8Array): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_BYTES) return false;
    for (const byte of chunk) {
      if (this.#last === LESS) this.#tag(byte);
      // `/>` closes what was counted as opened.
      if (byte === GREATER && this.#last === SLASH) this.#depth--;
      this.#last = byte;
      if (this.#depth > MAX_DEPTH || this.#tags > MAX_TAGS) return false;
    }
    return true;
  }

  #tag(next: number): void {
    this.#tags++;
    if (next === SLASH) this.#depth--;
    // Declarations and comments (`<?`, `<!`) open nothing.
    else if (next !== 0x3f && next !== 0x21) this.#depth++;
  }
}

type Connect = (options: object, done: (error: Error | null, socket?: Socket) => void) => Socket | undefined;

export interface GuardedAgent {
  agent: HttpAgent | HttpsAgent;
  /** SHA-256 of the certificate shown last. */
  certificate(): string | undefined;
}

/**
 * An HTTP agent for one device. Its connections are cut as soon as they carry more than a camera has to say; over TLS
 * they come about only if the device shows the certificate that was pinned, before a byte of a login is sent.
 */
export function guardedAgent(endpoint: Endpoint, onBroken: (error: BluelightError) => void): GuardedAgent {
  let shown: string | undefined;
  if (endpoint.secure) {
    const agent = pinnedAgent(
      endpoint.certificate,
      (socket) => guard(socket, onBroken),
      (print) => (shown = print),
    );
    return { agent, certificate: () => shown };
  }
  const agent = new HttpAgent({ maxSockets: 2 });
  const open = opener(agent);
  const connect = open.createConnection.bind(agent);
  open.createConnection = (target, done) => {
    const socket = connect(target, done);
    if (socket !== undefined) guard(socket, onBroken);
    return socket;
  };
  return { agent, certificate: () => undefined };
}

/** An agent whose connections come about only if the other side shows this certificate (any, if undefined). */
export function pinnedAgent(
  certificate: string | undefined,
  onOpen: (socket: Socket) => void = () => undefined,
  onShown: (fingerprint: string) => void = () => undefined,
): HttpsAgent {
  // No session is resumed: every connection has to show the certificate anew.
  const options: AgentOptions & { maxCachedSessions: number } = { maxSockets: 2, maxCachedSessions: 0 };
  const agent = new HttpsAgent(options);
  const open = opener(agent);
  const connect = open.createConnection.bind(agent);
  open.createConnection = (target, done) => {
    const socket = connect(target, () => undefined) as TLSSocket;
    let settled = false;
    const settle = (error: Error | null): void => {
      if (settled) return;
      settled = true;
      done(error, socket);
    };
    socket.on('error', settle);
    socket.once('secureConnect', () => {
      const shown = fingerprintOf(socket);
      onShown(shown);
      if (certificate === undefined || shown === certificate) {
        onOpen(socket);
        return settle(null);
      }
      settle(certificateChanged());
      socket.destroy();
    });
    return undefined;
  };
  return agent;
}

/** Documented (http.Agent, agent.createConnection), but not in the type definitions of this Node version. */
function opener(agent: HttpAgent | HttpsAgent): { createConnection: Connect } {
  return agent as unknown as { createConnection: Connect };
}

function fingerprintOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256;
}

function certificateChanged(): BluelightError {
  return new BluelightError('CAMERA_CERTIFICATE', 'the camera shows another certificate than when it was adopted', {
    fix: 'if it was reset or got new firmware, accept the new one with `bluelight camera trust ID`; if not, somebody may be listening in',
  });
}

function guard(socket: Socket, onBroken: (error: BluelightError) => void): void {
  const watch = new ReplyGuard();
  socket.on('data', (chunk: Buffer) => {
    if (watch.accepts(chunk)) return;
    socket.destroy();
    onBroken(new BluelightError('CAMERA_INVALID', 'the camera sent far more than an answer'));
  });
}
