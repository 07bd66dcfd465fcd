import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

/** CPU time and memory of a process and all that it starts. */
export interface Meter {
  /** Nanoseconds on a CPU since the meter was made. */
  cpuNs(): number;
  /** Proportional set size: shared pages are counted in parts, so that sums are true. */
  pssBytes(): number;
  pids(): number[];
  close(): void;
}

const CPUACCT = '/sys/fs/cgroup/cpuacct';

/**
 * Meters processes and their children from now on. Uses a cgroup of its own where version 1 is mounted (exact to the
 * nanosecond, and children that ended are counted); else the scheduler's figures of the processes that live.
 */
export function meter(name: string, roots: number | readonly number[]): Meter {
  const pids = typeof roots === 'number' ? [roots] : roots;
  return existsSync(`${CPUACCT}/cpuacct.usage`) ? cgroupMeter(name, pids) : treeMeter(pids);
}

function cgroupMeter(name: string, roots: readonly number[]): Meter {
  const dir = `${CPUACCT}/bluelight-${process.pid}-${name}`;
  mkdirSync(dir, { recursive: true });
  for (const one of roots.flatMap(descendants)) move(one, dir);
  const pids = (): number[] => readFileSync(`${dir}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
  return {
    cpuNs: () => Number(readFileSync(`${dir}/cpuacct.usage`, 'utf8')),
    pssBytes: () => sum(pids().map(pss)),
    pids,
    close() {
      // A process may start another one while they are moved.
      for (let left = pids(); left.length > 0; left = pids()) for (const one of left) move(one, CPUACCT);
      rmdirSync(dir);
    },
  };
}

/** Into a group; one that ended meanwhile needs none. */
function move(pid: number, dir: string): void {
  try {
    writeFileSync(`${dir}/cgroup.procs`, String(pid));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function treeMeter(roots: readonly number[]): Meter {
  const all = (): number[] => roots.flatMap(descendants);
  const base = sum(all().map(cpuOf));
  return {
    cpuNs: () => sum(all().map(cpuOf)) - base,
    pssBytes: () => sum(all().map(pss)),
    pids: all,
    close: () => undefined,
  };
}

export function descendants(pid: number): number[] {
  const found = [pid];
  for (const parent of found) {
    const children = read(`/proc/${parent}/task/${parent}/children`);
    // A worker thread that forks is the parent: ask every thread.
    const threads = children === undefined ? [] : tasks(parent);
    for (const task of threads) {
      const list = read(`/proc/${parent}/task/${task}/children`) ?? '';
      for (const child of list.trim().split(/\s+/).filter(Boolean)) found.push(Number(child));
    }
  }
  return found;
}

function tasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function pss(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '');
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** First field of schedstat: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst). */
function cpuOf(pid: number): number {
  return sum(tasks(pid).map((task) => Number((read(`/proc/${pid}/task/${task}/schedstat`) ?? '0').split(' ')[0])));
}

/** A process may end between two looks: then it has nothing to say any more. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export function sum(values: number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
