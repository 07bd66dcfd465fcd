import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Grant } from '../../src/contract/grant.js';
import type { AccessRequest } from '../../src/contract/policy.js';
import { toUtc, type TimeRange } from '../../src/contract/primitives.js';
import type { Footage } from '../../src/ring/footage.js';
import { FakeBox, type FakeCamera } from './fake-box.js';
import { startWeb, type Running } from './harness.js';

/** The rest of the agent is played, the footage is that of a real ring. */
class RealFootage extends FakeBox {
  readonly #footage: Footage;

  constructor(footage: Footage, cams: FakeCamera[]) {
    super(cams);
    this.#footage = footage;
    this.footage = footage;
  }

  override async authorise(asked: AccessRequest): Promise<Grant> {
    return super.authorise({ ...asked, range: await this.#footage.roundOut(asked.camera, asked.range) });
  }
}

export interface FootageServer {
  box: FakeBox;
  running: Running;
  /** Plain HTTP to the agent's Unix socket, for players that know no certificates of ours. */
  base: string;
  /** A bare page there with a `<video>`. */
  page: string;
  stop(): Promise<void>;
}

/**
 * The API over a real ring, and a door without TLS and login for players of others.
 * @param shown the page as well, and the cameras that stand on it
 */
export async function serveFootage(
  footage: Footage,
  shown: { pages?: boolean; cams?: FakeCamera[] } = {},
): Promise<FootageServer> {
  const box = new RealFootage(footage, shown.cams ?? []);
  const running = await startWeb(box, { pages: shown.pages });
  const proxy = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    // For a browser: the player and the film must come from one place.
    if (url === '/') return void outgoing.setHeader('content-type', 'text/html').end('<video muted></video>');
    const inner = request({ socketPath: running.socket, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    inner.on('error', () => outgoing.destroy());
    outgoing.on('close', () => inner.destroy());
    inner.end();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const page = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/`;
  return {
    box,
    running,
    page,
    base: `${page}api/v1`,
    async stop() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
      box.stop();
      await running.stop();
    },
  };
}

export function rangeText(startMs: number, { fromMs, toMs }: TimeRange): string {
  return `camera=door&from=${toUtc(startMs + fromMs)}&to=${toUtc(startMs + toMs)}`;
}
