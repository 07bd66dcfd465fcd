import { Agent as HttpAgent, type AgentOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';

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

type Connect = (options: object, done: (error: Error | null, socket: Socket) => void) => Socket;

/** An HTTP agent whose connections are cut as soon as they carry more than a camera has to say. */
export function guardedAgent(secure: boolean, onFlood: () => void): HttpAgent | HttpsAgent {
  const options: AgentOptions = { maxSockets: 2 };
  const agent = secure ? new HttpsAgent(options) : new HttpAgent(options);
  // Documented (http.Agent, agent.createConnection), but not in the type definitions of this Node version.
  const open = agent as unknown as { createConnection: Connect };
  const connect = open.createConnection.bind(agent);
  open.createConnection = (target, done) => {
    const socket = connect(target, done);
    const guard = new ReplyGuard();
    socket.on('data', (chunk: Buffer) => {
      if (guard.accepts(chunk)) return;
      socket.destroy();
      onFlood();
    });
    return socket;
  };
  return agent;
}
