import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A mosquitto of the distribution on a free loopback port, with its default settings unless told otherwise. */
export interface Mosquitto {
  port: number;
  url: string;
  start(): Promise<void>;
  /** kill -9: what it had not saved is gone. */
  kill(): Promise<void>;
}

export async function mosquitto(config: string[] = ['allow_anonymous true']): Promise<Mosquitto> {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-mosquitto-'));
  const port = await freePort();
  const file = join(dir, 'mosquitto.conf');
  writeFileSync(
    file,
    [`listener ${port} 127.0.0.1`, 'persistence true', `persistence_location ${dir}/`, 'user root', ...config, ''].join(
      '\n',
    ),
  );
  let child: ChildProcess | undefined;
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    async start() {
      // A failed test must not leave a broker behind.
      child = spawn('setpriv', ['--pdeathsig', 'KILL', '/usr/sbin/mosquitto', '-c', file], { stdio: 'ignore' });
      await until(() => canConnect(port), 10_000);
    },
    async kill() {
      if (child === undefined) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      child = undefined;
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Waits for a condition of another process, which has no event to wait for. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Messages as mosquitto_sub, a client that nobody here wrote, sees them: `topic payload` per line. */
export function subscribe(
  port: number,
  topic: string,
  login: string[] = [],
): { lines: { topic: string; retained: boolean; payload: string }[]; stop: () => Promise<void> } {
  const args = ['-h', '127.0.0.1', '-p', String(port), '-V', '5', '-t', topic, '-q', '1', '-F', '%r %t %p', ...login];
  const child = spawn('mosquitto_sub', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: { topic: string; retained: boolean; payload: string }[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const [retained = '', name = ''] = part.split(' ', 2);
      lines.push({ retained: retained === '1', topic: name, payload: part.slice(retained.length + name.length + 2) });
    }
  });
  return {
    lines,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
