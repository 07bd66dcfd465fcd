import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { buildSync } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFootage } from './media.js';
import { checkClosed, filesBelow, limits, Rig } from './rig.js';

const STREAMS = ['a.main', 'a.sub', 'b.main', 'b.sub'];

/** What the child said last before it died. */
export interface LastWord {
  now: number;
  /** Where the run of each stream began: what was before it was never handed over. */
  began: Record<string, number>;
  written: Record<string, number>;
  committed: Record<string, number>;
  state: string;
  problem: string | null;
  usedBytes: number;
  heads: Record<string, { seq: number; link: string }>;
}

export interface Round {
  /** Largest time that a stream had handed over and that is gone, ms. */
  lostMs: number;
  closed: number;
  problems: string[];
}

/** A seeded sequence in [0, 1): mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One file that starts in a fraction of the time: campaigns start it a thousand times. */
function bundleChild(): string {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const root = join(here, '../../..');
  const directory = mkdtempSync(join(mkdirp(join(root, 'node_modules/.cache')), 'ring-load-'));
  buildSync({
    entryPoints: [join(here, 'load-child.ts')],
    outfile: join(directory, 'child.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  copyFileSync(join(root, 'src/ring/schema.sql'), join(directory, 'schema.sql'));
  return join(directory, 'child.mjs');
}

function mkdirp(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

/** Prepares what all rounds share: the footage and the place where time goes on. */
export class RingCampaign {
  readonly work = mkdtempSync(join(tmpdir(), 'campaign-'));
  readonly footageFile = join(this.work, 'footage.mp4');
  readonly quotaBytes: number;
  wallMs = Date.UTC(2026, 0, 1);
  #boots = 0;
  readonly #child: string;

  constructor(quotaBytes: number) {
    this.quotaBytes = quotaBytes;
    writeFileSync(this.footageFile, makeFootage());
    this.#child = bundleChild();
  }

  /**
   * Starts the child and calls `strike` after it has said something `steps` times. Resolves with its last whole line,
   * when it is dead.
   */
  async run(directory: string, steps: number, strike: (pid: number) => void): Promise<LastWord> {
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${this.footageFile}.clock`, String(this.wallMs));
    const child = spawn(
      process.execPath,
      [this.#child, directory, this.footageFile, String(this.quotaBytes), `boot-${++this.#boots}`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let last: LastWord | undefined;
    let rest = '';
    let errors = '';
    let lines = 0;
    let struck = false;
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => {
      // What arrives after the blow was said by a process that did not know yet.
      if (struck) return;
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop()!;
      for (const line of parts) {
        last = JSON.parse(line) as LastWord;
        if (++lines < steps) continue;
        struck = true;
        strike(child.pid!);
        return;
      }
    });
    await new Promise((resolve) => child.on('close', resolve));
    if (last === undefined || !struck) throw new Error(`the recording process died by itself: ${errors}`);
    return last;
  }

  /** Starts the ring again and holds everything that the child said against what is there. */
  inspect(directory: string, said: LastWord, allowLostMs: number): Round {
    const rig = new Rig({ limits: limits({ quotaBytes: this.quotaBytes }), bootId: `after-${this.#boots}` }, directory);
    const problems: string[] = [];
    // With room for all, a ring that does not record has been hurt before it was struck.
    if (said.state !== 'ok') problems.push(`it was ${said.state}: ${said.problem}`);
    rig.clock.wall = said.now + 5_000;
    rig.open();
    const closed = checkClosed(rig, STREAMS);
    const files = filesBelow(join(directory, 'media'));
    if (files.length !== closed) problems.push(`${files.length} files for ${closed} rows`);
    if (existsSync(join(directory, 'orphans')))
      problems.push(`orphans: ${readdirSync(join(directory, 'orphans')).join()}`);
    const integrity = rig.integrity();
    if (integrity !== 'ok') problems.push(`integrity: ${integrity}`);
    let lostMs = 0;
    for (const stream of STREAMS) {
      const newest = rig.ring.status().streams.find((s) => s.stream === stream)?.newestMs ?? 0;
      const lost = said.written[stream]! - Math.max(newest, said.began[stream]!);
      lostMs = Math.max(lostMs, lost);
      if (lost > allowLostMs) problems.push(`${stream}: lost ${lost} ms`);
      if (newest < said.committed[stream]!) {
        problems.push(`${stream}: ${said.committed[stream]! - newest} ms were claimed to be safe and are gone`);
      }
      const head = said.heads[stream]!;
      const now = rig.ring.heads()[stream];
      if (now === undefined || now.seq < head.seq) problems.push(`${stream}: closed segment ${head.seq} is gone`);
      else if (now.seq === head.seq && now.link !== head.link) problems.push(`${stream}: another head at ${head.seq}`);
      const { spans, gaps } = rig.ring.coverage(stream, said.now - 60_000, said.now);
      const told = [...spans, ...gaps].reduce((sum, x) => sum + x.toMs - x.fromMs, 0);
      if (told !== 60_000 && said.now - 60_000 > this.wallMs)
        problems.push(`${stream}: coverage tells ${told} of 60000 ms`);
    }
    this.wallMs = Math.max(this.wallMs, said.now + 10_000);
    rig.ring.dropHandles();
    return { lostMs, closed, problems };
  }

  remove(): void {
    rmSync(this.work, { recursive: true, force: true });
    rmSync(dirname(this.#child), { recursive: true, force: true });
  }
}

/** N rounds of load and SIGKILL at random on one directory. */
export async function killCampaign(options: {
  rounds: number;
  seed: number;
  untilMs?: number;
  now: () => number;
}): Promise<{ rounds: number; worstLostMs: number; problems: string[] }> {
  const random = randomOf(options.seed);
  const campaign = new RingCampaign(6e6);
  const directory = join(campaign.work, 'ring');
  const problems: string[] = [];
  let worstLostMs = 0;
  let rounds = 0;
  try {
    for (; rounds < options.rounds && options.now() < (options.untilMs ?? Infinity); rounds++) {
      const said = await campaign.run(directory, 1 + Math.floor(random() * 120), (pid) => process.kill(pid, 'SIGKILL'));
      // Whatever was handed to the system survives the process: at most the fragment in the hand is lost.
      const round = campaign.inspect(directory, said, 0);
      worstLostMs = Math.max(worstLostMs, round.lostMs);
      problems.push(...round.problems.map((p) => `round ${rounds}: ${p}`));
    }
  } finally {
    campaign.remove();
  }
  return { rounds, worstLostMs, problems };
}

/** A small ext4 on a loop device that can lose its power. Needs root. */
export class LoopDisk {
  readonly directory: string;
  readonly image: string;
  readonly #place: string;
  #placed = false;

  constructor(work: string, megabytes: number) {
    this.image = join(work, 'disk.img');
    this.#place = join(work, 'place');
    this.directory = join(this.#place, 'mnt');
    mkdirSync(this.directory, { recursive: true });
    execFileSync('truncate', ['-s', `${megabytes}M`, this.image]);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', this.image]);
  }

  /** @param image another disk in the place of this one */
  mount(image = this.image): void {
    // Whoever makes a mount namespace meanwhile (`ip netns exec`) gets a copy of every mount, which keeps the disk in
    // use after ours is gone, unless the place of the mount is shared.
    if (!this.#placed) {
      execFileSync('mount', ['--bind', this.#place, this.#place]);
      execFileSync('mount', ['--make-shared', this.#place]);
      this.#placed = true;
    }
    execFileSync('mount', ['-o', 'loop', image, this.directory]);
  }

  /** Everything that is not on the disk yet is gone and every further call fails: EXT4_IOC_SHUTDOWN, no log flush. */
  cutPower(): void {
    const code =
      'import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))';
    execFileSync('/usr/bin/python3', ['-c', code, this.directory]);
  }

  /** @throws Error while files on it are open */
  umount(): void {
    execFileSync('umount', [this.directory], { stdio: 'pipe' });
  }

  /** Off, whether it is mounted or not and whoever has files open there. */
  remove(): void {
    spawnSync('umount', ['-l', this.directory], { stdio: 'ignore' });
    if (this.#placed) execFileSync('umount', ['-l', this.#place]);
    this.#placed = false;
  }
}

/** Root, loop devices and ext4 are needed to cut the power. */
export function canCutPower(): boolean {
  return process.getuid?.() === 0 && existsSync('/dev/loop-control') && existsSync('/usr/bin/python3');
}

/** N rounds of load and a power cut at random. */
export async function powercutCampaign(options: {
  rounds: number;
  seed: number;
  untilMs?: number;
  now: () => number;
}): Promise<{ rounds: number; worstLostMs: number; problems: string[] }> {
  const random = randomOf(options.seed);
  const campaign = new RingCampaign(12e6);
  const disk = new LoopDisk(campaign.work, 96);
  const problems: string[] = [];
  let worstLostMs = 0;
  let rounds = 0;
  try {
    for (; rounds < options.rounds && options.now() < (options.untilMs ?? Infinity); rounds++) {
      disk.mount();
      const directory = join(disk.directory, 'ring');
      const said = await campaign.run(directory, 1 + Math.floor(random() * 80), (pid) => {
        disk.cutPower();
        process.kill(pid, 'SIGKILL');
      });
      disk.umount();
      disk.mount();
      const round = campaign.inspect(directory, said, 1_500);
      worstLostMs = Math.max(worstLostMs, round.lostMs);
      problems.push(...round.problems.map((p) => `round ${rounds}: ${p}`));
      disk.umount();
    }
  } finally {
    disk.remove();
    campaign.remove();
  }
  return { rounds, worstLostMs, problems };
}
