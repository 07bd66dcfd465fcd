import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Codec } from '../../src/media/stream.js';

export interface GstMount {
  /** `/main` */
  path: string;
  /** Elementary stream (Annex B), played in a loop. */
  file: string;
  codec: Codec;
  fps: number;
  audio?: 'pcmu';
  transport?: 'any' | 'tcp' | 'udp';
  /** Seconds between repeated parameter sets; -1: before every key frame. */
  configInterval?: number;
}

export interface GstOptions {
  mounts: GstMount[];
  auth?: 'none' | 'digest' | 'basic';
  user?: string;
  password?: string;
  /** 0: any free port. */
  port?: number;
}

export type GstEvent = 'ready' | 'connected' | 'described' | 'playing';

export interface GstServer {
  port: number;
  pid: number;
  /** Without credentials. */
  uri(path: string): string;
  /** How often an event was seen. */
  count(event: GstEvent): number;
  /** Another file from now on, as a camera changes its settings. */
  switchFile(path: string, file: string): void;
  /** Freezes and thaws the whole server (SIGSTOP, SIGCONT). */
  freeze(): void;
  thaw(): void;
  kill(): Promise<void>;
}

/** GStreamer's RTSP server on loopback: a camera that was not written by us. */
export async function startGst(options: GstOptions): Promise<GstServer> {
  const script = fileURLToPath(new URL('gst_rtsp_server.py', import.meta.url));
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', '/usr/bin/python3', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin.write(JSON.stringify({ auth: 'none', port: 0, ...options }) + '\n');
  const counts = new Map<string, number>();
  const port = await new Promise<number>((resolve, reject) => {
    void gone.then(() => reject(new Error('the RTSP server of GStreamer did not start')));
    createInterface(child.stdout).on('line', (line) => {
      const event = JSON.parse(line) as { event: string; port?: number };
      counts.set(event.event, (counts.get(event.event) ?? 0) + 1);
      if (event.event === 'ready') resolve(event.port ?? 0);
    });
  });
  const pid = child.pid ?? -1;
  return {
    port,
    pid,
    uri: (path) => `rtsp://127.0.0.1:${port}${path}`,
    count: (event) => counts.get(event) ?? 0,
    switchFile: (path, file) => void child.stdin.write(JSON.stringify({ command: 'switch', path, file }) + '\n'),
    freeze: () => void process.kill(pid, 'SIGSTOP'),
    thaw: () => void process.kill(pid, 'SIGCONT'),
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
