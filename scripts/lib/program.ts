import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const BLUELIGHT = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Program<Ready> {
  child: ChildProcess;
  pid: number;
  /** The first line on standard output, parsed: each long-running command says as JSON when it is ready, and where. */
  ready: Promise<Ready>;
  /** Everything that it wrote to standard error so far. */
  log(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  input?: string;
  env?: NodeJS.ProcessEnv;
  /** Network namespace to run in. */
  namespace?: string;
  /** Another Node, or flags for it: for profiles. */
  node?: string;
  nodeArgs?: string[];
}

/** Starts a long-running `bluelight` command. It dies with this process. */
export function start<Ready>(args: string[], options: StartOptions = {}): Program<Ready> {
  const node = [options.node ?? process.execPath, ...(options.nodeArgs ?? [])];
  const command = ['--pdeathsig', 'KILL', '--', ...node, BLUELIGHT, '--json', ...args];
  const within = options.namespace === undefined ? [] : ['ip', 'netns', 'exec', options.namespace];
  const [program = '', ...rest] = [...within, 'setpriv', ...command];
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-2_000_000)));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<Ready>((resolve, reject) => {
    lines.once('line', (line) => {
      const value = JSON.parse(line) as Ready & { error?: { message: string } };
      if (value.error === undefined) resolve(value);
      else reject(new Error(`bluelight ${args.join(' ')}: ${value.error.message}`));
    });
    child.once('close', (code) =>
      reject(new Error(`bluelight ${args.join(' ')} ended with ${code}\n${log.slice(-2_000)}`)),
    );
  });
  ready.catch(() => undefined);
  return {
    child,
    pid: child.pid ?? -1,
    ready,
    log: () => log,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill(signal);
      await closed;
    },
  };
}

/** Runs a `bluelight` command to its end and gives what it printed as JSON. */
export async function call<T>(
  args: string[],
  options: { input?: string } = {},
): Promise<{ code: number; value: T; stderr: string }> {
  const child = spawn(process.execPath, [BLUELIGHT, '--json', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number];
  const text = Buffer.concat(out).toString();
  return { code, value: (text === '' ? undefined : JSON.parse(text)) as T, stderr: Buffer.concat(err).toString() };
}

/** As `call`, but anything but exit code 0 is an error with what the command said. */
export async function must<T>(args: string[], options: { input?: string } = {}): Promise<T> {
  const { code, value, stderr } = await call<T>(args, options);
  if (code !== 0) {
    throw new Error(`bluelight ${args.join(' ')} ended with ${code}: ${stderr} ${JSON.stringify(value ?? null)}`);
  }
  return value;
}

/** Asks every `everyMs` until `probe` gives something; undefined after `withinMs`. */
export async function until<T>(
  probe: () => Promise<T | undefined>,
  withinMs: number,
  everyMs = 200,
): Promise<T | undefined> {
  const end = Date.now() + withinMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined || Date.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
