import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { median, meter, type Meter } from './meter.js';

/** Programs that are measured as one: their processes and all that these start. */
export interface Party {
  name: string;
  pids: number[];
}

/** How a comparison measures: both sides in the same slices of time, so that what else runs here touches both. */
export interface Slices {
  warmUpS: number;
  count: number;
  seconds: number;
}

export const sleep = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, seconds) * 1000));

/** CPU of each party by slice, in per cent of one core. */
export async function measureCpu(parties: readonly Party[], slices: Slices): Promise<Map<string, number[]>> {
  const meters = parties.map(({ name, pids }) => ({ name, meter: meter(name, pids) }));
  const figures = new Map<string, number[]>(parties.map(({ name }) => [name, []]));
  try {
    await sleep(slices.warmUpS);
    for (let i = 0; i < slices.count; i++) {
      const started = process.hrtime.bigint();
      const before = meters.map((one) => one.meter.cpuNs());
      await sleep(slices.seconds);
      const wallNs = Number(process.hrtime.bigint() - started);
      meters.forEach((one, k) => figures.get(one.name)!.push((100 * (one.meter.cpuNs() - before[k]!)) / wallNs));
    }
    return figures;
  } finally {
    for (const one of meters) one.meter.close();
  }
}

/** Megabytes (10^6) of proportional set size, median of some looks a second apart. */
export async function measurePss(party: Party, looks = 5): Promise<number> {
  const one: Meter = meter(`${party.name}-pss`, party.pids);
  try {
    const seen: number[] = [];
    for (let i = 0; i < looks; i++) {
      if (i > 0) await sleep(1);
      seen.push(one.pssBytes() / 1e6);
    }
    return median(seen);
  } finally {
    one.close();
  }
}

/** A program of others that runs until it is ended; it dies with this process. Its last words are kept. */
export class Foreign {
  readonly child: ChildProcess;
  #words = '';

  constructor(command: string, args: readonly string[]) {
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr!.on('data', (chunk: Buffer) => (this.#words = (this.#words + chunk.toString()).slice(-4_000)));
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get words(): string {
    return this.#words;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.alive) return;
    const closed = once(this.child, 'close');
    this.child.kill(signal);
    const kill = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
    await closed;
    clearTimeout(kill);
  }
}

/** Throws with what they said last if one of them is gone: a peer that does nothing is cheap. */
export function mustLive(programs: readonly Foreign[]): void {
  const gone = programs.find((program) => !program.alive);
  if (gone !== undefined) throw new Error(`what we compare with ended: ${gone.words}`);
}

export function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Ratio slice by slice, then the median: what disturbs a slice disturbs both sides of it. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, i) => value / theirs[i]!));
}

export function show(values: readonly number[]): string {
  return values.map((value) => value.toFixed(2)).join(' ');
}
