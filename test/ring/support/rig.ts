import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Clock } from '../../../src/base/clock.js';
import { BluelightError } from '../../../src/base/errors.js';
import { silentLog } from '../../../src/base/log.js';
import { recordLink } from '../../../src/proof/chain.js';
import { Journal } from '../../../src/ring/journal.js';
import { realDiskIo } from '../../../src/ring/disk-io.js';
import { Ring } from '../../../src/ring/ring.js';
import type { ClockTrust, RingLimits, RingOptions } from '../../../src/ring/types.js';
import { Source } from './media.js';

/** Wall and monotonic time that move when the test says so. */
export class HandClock implements Clock {
  wall = Date.UTC(2026, 0, 1);
  mono = 1_000_000;
  now(): number {
    return this.wall;
  }
  monotonic(): number {
    return this.mono;
  }
  pass(ms: number): void {
    this.wall += ms;
    this.mono += ms;
  }
  sleep(): Promise<void> {
    return Promise.resolve();
  }
  after(): () => void {
    return () => undefined;
  }
  every(): () => void {
    return () => undefined;
  }
}

export const WIDE: RingLimits = {
  quotaBytes: 1e12,
  reserveBytes: 0,
  floorMs: 0,
  originalsMs: null,
  keepMs: null,
  maximumMs: {},
};

export const limits = (some: Partial<RingLimits>): RingLimits => ({ ...WIDE, ...some });

/** In memory where there is such a file system: what is tested here does not depend on how long a sync takes. */
export function tempDir(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ring-'));
}

/** A ring on a directory with a clock in hand and sources to record. */
export class Rig {
  readonly clock = new HandClock();
  readonly directory: string;
  readonly sources = new Map<string, Source>();
  trust: ClockTrust = 'ntp';
  ring: Ring;
  #options: Partial<RingOptions>;

  constructor(options: Partial<RingOptions> = {}, directory = options.directory ?? tempDir()) {
    this.directory = directory;
    this.#options = options;
    this.ring = this.make();
  }

  make(more: Partial<RingOptions> = {}): Ring {
    return new Ring({
      directory: this.directory,
      create: true,
      clock: this.clock,
      clockTrust: () => this.trust,
      bootId: 'boot-1',
      limits: WIDE,
      log: silentLog,
      ballastBytes: 0,
      ...this.#options,
      ...more,
    });
  }

  open(): this {
    this.ring.open();
    return this;
  }

  /** A clean stop and a start. */
  restart(more: Partial<RingOptions> = {}): this {
    this.ring.close();
    return this.crash(more);
  }

  /** The process is gone without a word: the ring is left as it is and another one is opened. */
  crash(more: Partial<RingOptions> = {}): this {
    releaseLock(this.ring);
    this.sources.clear();
    this.ring = this.make(more);
    return this.open();
  }

  begin(stream: string): Source {
    const source = this.sources.get(stream) ?? new Source(stream);
    this.sources.set(stream, source);
    this.ring.beginRun(source.start(this.clock.wall, this.clock.mono));
    return source;
  }

  end(stream: string, reason: Parameters<Ring['endRun']>[2] = 'camera_offline'): void {
    this.ring.endRun(stream, this.sources.get(stream)?.run.run, reason);
    this.sources.delete(stream);
  }

  /** Half seconds of every stream that has begun, with the ticks in between. */
  record(seconds: number): this {
    for (let i = 0; i < seconds * 2; i++) {
      const ready = [...this.sources.values()].map((source) => ({ source, fragment: source.next() }));
      this.clock.pass(250);
      this.ring.tick();
      this.clock.pass(250);
      for (const { source, fragment } of ready) this.ring.appendFragment(source.stream, source.run.run, fragment);
      this.ring.tick();
    }
    return this;
  }

  journal(): Journal {
    const journal = new Journal(realDiskIo, this.directory, 1e9);
    return journal;
  }

  /** What SQLite says of the index, the running ring closed for it. */
  integrity(): string {
    this.ring.dropHandles();
    const db = new Database(join(this.directory, 'ring.db'));
    const answer = String(db.pragma('integrity_check', { simple: true }));
    db.close();
    this.ring = this.make();
    this.open();
    return answer;
  }

  files(): string[] {
    return filesBelow(join(this.directory, 'media')).filter((path) => path.endsWith('.mp4'));
  }

  remove(): void {
    releaseLock(this.ring);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What the kernel does with the locks and files of a process that died: no code of the ring runs. */
export function releaseLock(ring: Ring): void {
  ring.dropHandles();
}

export function filesBelow(directory: string): string[] {
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

export function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof BluelightError) return error.code;
    throw error;
  }
  return 'none';
}

/** Decodes every picture with ffmpeg; the number of frames, or its complaint. */
export function decode(data: Uint8Array): number | string {
  try {
    const out = execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', 'pipe:0', '-f', 'framecrc', '-'], {
      input: data,
      maxBuffer: 1 << 26,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return out
      .toString()
      .split('\n')
      .filter((line) => /^0,/.test(line)).length;
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error);
  }
}

/** Everything that invariant 2 promises of closed rows, checked from outside. Returns how many there are. */
export function checkClosed(rig: { ring: Ring; directory: string }, streams: readonly string[]): number {
  let count = 0;
  for (const stream of streams) {
    const plan = rig.ring.plan(stream, 0, 4e12);
    const all = plan.files.flatMap((file) => file.segments);
    for (const file of plan.files) {
      for (const segment of file.segments) {
        const path = filesBelow(join(rig.directory, 'media', stream)).find((p) => p.endsWith(`/${segment.seq}.mp4`));
        if (path === undefined) throw new Error(`segment ${segment.seq} of ${stream} has no file`);
        const data = readFileSync(path);
        const init = createHash('sha256').update(data.subarray(0, segment.bodyOffset)).digest('hex');
        const body = createHash('sha256').update(data.subarray(segment.bodyOffset)).digest('hex');
        if (init !== file.initHash || body !== segment.sha256)
          throw new Error(`segment ${segment.seq} of ${stream}: hash`);
        if (recordLink(segment.record) !== segment.link) throw new Error(`segment ${segment.seq} of ${stream}: link`);
        count++;
      }
    }
    all.sort((a, b) => a.seq - b.seq);
    for (let i = 1; i < all.length; i++) {
      if (all[i]!.seq === all[i - 1]!.seq + 1 && all[i]!.record.prev !== all[i - 1]!.link) {
        throw new Error(`the chain of ${stream} breaks at ${all[i]!.seq}`);
      }
    }
  }
  return count;
}
