import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { SourceUrl } from './source.js';

/** Of what came before, so that nothing hides at the edge of two chunks. */
const TAIL_BYTES = 512;
/** A status line stands within these. */
const VERDICT_BYTES = 32;

/**
 * The way of a foreign RTSP client to one camera and to nothing else: it connects here, what it says goes to the camera,
 * and an answer that would lead it elsewhere (RFC 2326 §11.3 redirects; `source` of a UDP transport, §12.39) is not
 * passed on but ends the connection. ffmpeg follows both without asking. What is sent over UDP does not pass here: the
 * answer is made to name the camera's address, so that the client listens to it alone and sends it its reports.
 */
export class RedirectGuard {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #camera: Pick<SourceUrl, 'host' | 'port'>;
  #tail = '';
  /** The beginning of the camera's answer to the newest login. */
  #verdict: string | undefined;
  /** The client asked for UDP: what the camera says on this connection is text. */
  #udp = false;
  /** The beginning of a line that is not complete yet. */
  #line = '';
  /** The camera wanted to send the client to another address. */
  led = false;
  /** The camera answered a login with 401 or 403. */
  refused = false;

  /** The client would have sent the password readable, and may not. */
  clear = false;

  private constructor(
    camera: Pick<SourceUrl, 'host' | 'port'>,
    private readonly allowBasic: boolean,
  ) {
    this.#camera = camera;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async open(camera: Pick<SourceUrl, 'host' | 'port'>, allowBasic = false): Promise<RedirectGuard> {
    const guard = new RedirectGuard(camera, allowBasic);
    guard.#server.listen(0, '127.0.0.1');
    await once(guard.#server, 'listening');
    return guard;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(client: Socket): void {
    this.#tail = '';
    this.#verdict = undefined;
    this.#udp = false;
    this.#line = '';
    const { host, port } = this.#camera;
    const camera = connect(port, host);
    for (const [from, to] of [
      [client, camera],
      [camera, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      // How it ended is told by the client, which sees its connection end.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    let asked = '';
    client.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      asked = (asked + text).slice(-TAIL_BYTES - text.length);
      if (!this.allowBasic && /^authorization[ \t]*:[ \t]*basic/im.test(asked)) {
        this.clear = true;
        return client.destroy();
      }
      if (/^authorization[ \t]*:/im.test(text)) this.#verdict = '';
      if (/^transport[ \t]*:[^\r\n]*client_port=/im.test(text)) this.#udp = true;
      if (camera.write(chunk)) return;
      client.pause();
      camera.once('drain', () => client.resume());
    });
    camera.on('data', (chunk: Buffer) => {
      this.#judgeLogin(chunk);
      if (this.#leadsElsewhere(chunk)) {
        this.led = true;
        camera.destroy();
      } else if (!client.write(this.#udp ? this.#nameSource(chunk, camera.remoteAddress ?? host) : chunk)) {
        camera.pause();
        client.once('drain', () => camera.resume());
      }
    });
  }

  #judgeLogin(chunk: Buffer): void {
    if (this.#verdict === undefined || this.#verdict.length > VERDICT_BYTES) return;
    this.#verdict += chunk.toString('latin1', 0, VERDICT_BYTES);
    if (/^RTSP\/\S{0,16}[ \t]+40[13]\b/.test(this.#verdict)) this.refused = true;
  }

  /** A line may come in pieces; only the one that is looked for is waited for, because a body may end without a break. */
  #nameSource(chunk: Buffer, address: string): Buffer {
    const text = this.#line + chunk.toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    const partial = text.slice(end).toLowerCase();
    const waits = partial !== '' && (partial.startsWith('transport') || 'transport'.startsWith(partial));
    this.#line = waits ? text.slice(end, end + TAIL_BYTES) : '';
    const whole = waits ? text.slice(0, end) : text;
    const named = whole.replace(/^transport[ \t]*:[^\r\n]*/gim, (line) =>
      /source=|RTP\/AVP\/TCP/i.test(line) ? line : `${line};source=${address}`,
    );
    return Buffer.from(named, 'latin1');
  }

  #leadsElsewhere(chunk: Buffer): boolean {
    const edge = this.#tail + chunk.toString('latin1', 0, TAIL_BYTES);
    this.#tail = (chunk.length < TAIL_BYTES ? edge : chunk.toString('latin1', chunk.length - TAIL_BYTES)).slice(
      -TAIL_BYTES,
    );
    const suspicious = chunk.length > TAIL_BYTES && (chunk.includes('RTSP/') || chunk.includes('ource='));
    return leads(edge, this.#camera.host) || (suspicious && leads(chunk.toString('latin1'), this.#camera.host));
  }
}

function leads(text: string, host: string): boolean {
  if (/RTSP\/\S{0,16}[ \t]+[+0]*3\d\d/i.test(text)) return true;
  for (const [line, source] of text.matchAll(/transport[ \t]*:[^\r\n]*?source=([^;,\s]+)[^\r\n]*/gi)) {
    if (!/RTP\/AVP\/TCP/i.test(line) && source!.toLowerCase() !== host.toLowerCase()) return true;
  }
  return false;
}
