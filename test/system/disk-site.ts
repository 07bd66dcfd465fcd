import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { until } from '../../scripts/lib/program.js';
import { connectAgent } from '../../src/cli/agent.js';
import type { StatusBody } from '../../src/contract/http.js';
import type { Heartbeat } from '../../src/contract/messages.js';
import { mosquitto } from '../center/mosquitto.js';
import { LoopDisk } from '../ring/support/loop-disk.js';
import { openSite, type TestSite } from './site.js';

/**
 * Runs in the main thread of the agent: how late its loop and its name look-ups are, worst of each half second. For the
 * loop without the time in which the thread was ready and the kernel gave the processor to somebody else (second figure
 * of schedstat, ns; Linux, Documentation/scheduler/sched-stats.rst): that says something of the machine.
 */
const PROBE = `
import { isMainThread } from 'node:worker_threads';
import { lookup } from 'node:dns';
import { appendFileSync, readFileSync } from 'node:fs';
if (isMainThread) {
  const queued = () => Number(readFileSync('/proc/self/task/' + process.pid + '/schedstat', 'utf8').split(' ')[1]) / 1e6;
  let worst = { loop: 0, dns: 0 };
  let last = performance.now();
  let waited = queued();
  setInterval(() => {
    const now = performance.now();
    const wait = queued();
    worst.loop = Math.max(worst.loop, now - last - 20 - (wait - waited));
    last = now;
    waited = wait;
  }, 20).unref();
  const ask = () => {
    const asked = performance.now();
    const told = setInterval(() => (worst.dns = Math.max(worst.dns, performance.now() - asked)), 100).unref();
    lookup('localhost', () => {
      clearInterval(told);
      worst.dns = Math.max(worst.dns, performance.now() - asked);
      setTimeout(ask, 50).unref();
    });
  };
  ask();
  setInterval(() => { appendFileSync(PROBE_FILE, JSON.stringify({ at: Date.now(), ...worst }) + '\\n'); worst = { loop: 0, dns: 0 }; }, 500).unref();
}
`;

const THROTTLE = '/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device';

export const HEARTBEAT_MS = 1_000;

/** How the main thread answered while something was done to the disk, worst of all, ms. */
export interface Answers {
  loop: number;
  dns: number;
  http: number;
  /** Beyond the time between two. */
  heartbeat: number;
}

export interface Beat {
  at: number;
  beat: Heartbeat;
}

/** A site of one camera whose recordings and whose state.db are on one small disk that can be hurt. */
export class DiskSite implements AsyncDisposable {
  readonly beats: Beat[] = [];
  readonly disk: LoopDisk;
  readonly #work: string;
  readonly #http: { at: number; ms: number }[] = [];
  #site!: TestSite;
  #throttled: string | undefined;
  readonly #closing: (() => unknown)[] = [];

  private constructor(work: string) {
    this.#work = work;
    this.disk = new LoopDisk(work, 192);
    this.disk.mount();
    // A run that was broken off may have left this loop device throttled.
    this.throttle(0);
  }

  static async open(address: string, recording: Record<string, unknown>): Promise<DiskSite> {
    const site = new DiskSite(mkdtempSync(join(tmpdir(), 'bluelight-disk-')));
    await site.#start(address, recording);
    return site;
  }

  async #start(address: string, recording: Record<string, unknown>): Promise<void> {
    const broker = await mosquitto();
    await broker.start();
    this.#closing.push(() => broker.kill());
    const probe = join(this.#work, 'probe.mjs');
    writeFileSync(probe, `const PROBE_FILE = ${JSON.stringify(this.#probeFile)};\n${PROBE}`);
    writeFileSync(this.#probeFile, '');
    this.#site = await openSite({
      cameras: 1,
      address,
      stateDir: join(this.disk.directory, 'state'),
      centerArgs: ['--broker', broker.url],
      nodeArgs: ['--import', probe],
      settings: {
        recording: { dir: this.ring, reserve: '4MB', floor: '5s', segment: '4s', ...recording },
        center: { heartbeat: `${HEARTBEAT_MS}ms` },
      },
    });
    const client = await connectAsync(broker.url, { protocolVersion: 5 });
    this.#closing.push(() => client.endAsync(true));
    client.on('message', (_, payload) =>
      this.beats.push({ at: Date.now(), beat: JSON.parse(payload.toString()) as Heartbeat }),
    );
    await client.subscribeAsync('bluelight/v1/+/+/heartbeat');
    this.#askPage();
  }

  get ring(): string {
    return join(this.disk.directory, 'ring');
  }

  get log(): string {
    return this.#site.site.agent.log();
  }

  get pid(): number {
    return this.#site.site.agent.pid;
  }

  get #probeFile(): string {
    return join(this.#work, 'probe.jsonl');
  }

  cli<T>(args: string[]): Promise<T> {
    return this.#site.site.cli<T>(args);
  }

  /** With the exit code. */
  async tryCli<T>(args: string[]): Promise<{ code: number; value: T }> {
    return this.#site.site.tryCli<T>(args);
  }

  stopAgent(): Promise<void> {
    return this.#site.site.agent.stop();
  }

  status(): Promise<StatusBody> {
    return connectAgent(this.#site.site.socketPath).get<StatusBody>('/status');
  }

  /** Alarms of the disks in the newest heartbeat. */
  get alarms(): string[] {
    const all = this.beats.at(-1)?.beat.alarms ?? [];
    return all.filter((kind) => /^(system_)?disk\./.test(kind));
  }

  /** Both streams have bytes on the disk that are fresh. */
  async recording(withinMs: number): Promise<StatusBody | undefined> {
    return until(async () => {
      const status = await this.status();
      const alive = status.streams.filter((s) => s.state === 'recording' && s.ageMs !== null && s.ageMs < 3_000);
      return alive.length === 2 && /^(ok|rebuilding)$/.test(status.disk.state) ? status : undefined;
    }, withinMs);
  }

  /** Until the center heard of an alarm of this kind; ms since `sinceMs`, Infinity: it did not in 20 s. */
  async heardOf(kind: RegExp, sinceMs: number): Promise<number> {
    const heard = (): Beat | undefined =>
      this.beats.find(({ at, beat }) => at >= sinceMs && (beat.alarms ?? []).some((one) => kind.test(one)));
    const found = await until(async () => heard(), 20_000, 50);
    return found === undefined ? Infinity : found.at - sinceMs;
  }

  answersSince(sinceMs: number): Answers {
    const probe = readFileSync(this.#probeFile, 'utf8').trim().split('\n');
    const inside = probe.map((text) => JSON.parse(text) as { at: number; loop: number; dns: number });
    const worst = (values: number[]): number => Math.round(Math.max(0, ...values));
    const beats = this.beats.filter(({ at }) => at >= sinceMs - 2 * HEARTBEAT_MS);
    return {
      loop: worst(inside.filter(({ at }) => at > sinceMs).map(({ loop }) => loop)),
      dns: worst(inside.filter(({ at }) => at > sinceMs).map(({ dns }) => dns)),
      http: worst(this.#http.filter(({ at }) => at >= sinceMs).map(({ ms }) => ms)),
      heartbeat: worst(beats.slice(1).map(({ at }, i) => at - beats[i]!.at - HEARTBEAT_MS)),
    };
  }

  /** Fills the disk to the last block; again and again, since the ring gives way. */
  async fillUntil(full: () => Promise<boolean>): Promise<void> {
    const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => join(this.disk.directory, `foreign-${n}`));
    for (const path of all) {
      await once(spawn('dd', ['if=/dev/zero', `of=${path}`, 'bs=64k'], { stdio: 'ignore' }), 'close');
      await sleep(700);
      if (await full()) return;
    }
  }

  removeForeign(): void {
    spawnSync('sh', ['-c', `rm -f ${this.disk.directory}/foreign-*`]);
  }

  /** Bytes that the disk takes a second; 0: as fast as it can. */
  throttle(bytes: number): void {
    const { directory } = this.disk;
    const source = execFileSync('findmnt', ['-no', 'SOURCE', directory], { encoding: 'utf8' }).trim();
    const device = readFileSync(join('/sys/block', basename(source), 'dev'), 'utf8').trim();
    writeFileSync(THROTTLE, `${device} ${bytes}`);
    this.#throttled = bytes === 0 ? undefined : device;
  }

  /** Not even lazily: that it works shows that the agent holds nothing on a disk that failed. */
  async unmount(withinMs: number): Promise<boolean> {
    const done = await until(async () => {
      const { status } = spawnSync('umount', [this.disk.directory], { stdio: 'ignore' });
      return status === 0 ? true : undefined;
    }, withinMs);
    return done === true;
  }

  /** Asks the page for its health again and again, and notes how long each answer took. */
  #askPage(): void {
    const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
    let over = false;
    const ask = (url: URL): Promise<void> =>
      new Promise((resolve) => {
        const request = get(url, { agent }, (response) => response.resume().on('end', resolve));
        request.on('error', () => resolve());
      });
    const work = (async () => {
      const url = new URL('/api/v1/health', (await this.#site.site.agent.ready).page);
      while (!over) {
        const asked = Date.now();
        await ask(url);
        this.#http.push({ at: asked, ms: Date.now() - asked });
        await sleep(100);
      }
    })();
    this.#closing.push(async () => {
      over = true;
      await work;
      agent.destroy();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    spawnSync('fsfreeze', ['-u', this.disk.directory], { stdio: 'ignore' });
    for (const close of this.#closing.reverse()) await close();
    // It would go on for whoever gets this loop device next.
    if (this.#throttled !== undefined) writeFileSync(THROTTLE, `${this.#throttled} 0`);
    await this.#site[Symbol.asyncDispose]();
    this.disk.remove();
    rmSync(this.#work, { recursive: true, force: true });
  }
}
