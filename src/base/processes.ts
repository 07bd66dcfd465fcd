import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from './clock.js';
import { BluelightError } from './errors.js';

export interface ProcessSpec {
  command: string;
  args: readonly string[];
  /** Only these variables are passed on, beside PATH, HOME and LANG. */
  env?: Record<string, string>;
  cwd?: string;
}

export interface RunningProcess {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once, when the process is gone and its pipes are closed. Never rejects: a failed start is exit code -1. */
  readonly ended: Promise<ProcessEnd>;
  /** TERM, then KILL after `graceMs`; resolves when it is gone. */
  stop(graceMs?: number): Promise<ProcessEnd>;
  kill(): void;
}

export interface ProcessEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not be started, if so. */
  error?: Error;
}

/** Child processes as an input: argv arrays only, never a shell. */
export interface Processes {
  start(spec: ProcessSpec): RunningProcess;
}

/**
 * Real child processes. Each dies with the thread that started it, even on `kill -9` of the agent
 * (`setpriv --pdeathsig KILL`, prctl(2) PR_SET_PDEATHSIG), so no orphan goes on writing.
 */
export function systemProcesses(clock: Clock): Processes {
  return {
    start(spec) {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', spec.command, ...spec.args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        shell: false,
        cwd: spec.cwd,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C.UTF-8', ...spec.env },
      });
      return wrap(child, clock);
    },
  };
}

function wrap(child: ChildProcess, clock: Clock): RunningProcess {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) {
    throw new BluelightError('PROCESS_START', 'a child process was started without its pipes');
  }
  // A child that ends early closes its stdin under our writes; its end is reported by `ended`, not by EPIPE.
  stdin.on('error', () => undefined);
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('error', (error) => resolve({ code: -1, signal: null, error }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const kill = (): void => void child.kill('SIGKILL');
  return {
    pid: child.pid ?? -1,
    stdin,
    stdout,
    stderr,
    ended,
    kill,
    async stop(graceMs = 2_000) {
      child.kill('SIGTERM');
      const patience = new AbortController();
      clock.sleep(graceMs, patience.signal).then(kill, () => undefined);
      const end = await ended;
      patience.abort();
      return end;
    },
  };
}

/** Runs a finite program to its end and gives what it printed; throws PROCESS_FAILED with the end of its stderr. */
export async function runToEnd(
  processes: Processes,
  spec: ProcessSpec,
  options: { input?: string | Uint8Array; signal?: AbortSignal; maxBytes?: number } = {},
): Promise<Buffer> {
  const child = processes.start(spec);
  const abort = (): void => child.kill();
  options.signal?.addEventListener('abort', abort, { once: true });
  const out: Buffer[] = [];
  let size = 0;
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > (options.maxBytes ?? 256 * 1024 * 1024)) child.kill();
    else out.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err = (err + chunk.toString('utf8')).slice(-4_000);
  });
  child.stdin.end(options.input ?? '');
  const end = await child.ended;
  options.signal?.removeEventListener('abort', abort);
  options.signal?.throwIfAborted();
  if (end.code !== 0) {
    const reason = end.error?.message ?? err.trim().split('\n').slice(-3).join(' | ');
    throw new BluelightError(
      'PROCESS_FAILED',
      `${spec.command} ended with ${end.signal ?? String(end.code)}: ${reason}`,
    );
  }
  return Buffer.concat(out);
}
