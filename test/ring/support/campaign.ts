import { spawn } from 'node:child_process';
import { buildSync } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LoopDisk } from './loop-disk.js';
import { makeFootage } from './media.js';
import { checkClosed, filesBelow, limits, Rig, tempDir } from './rig.js';
import { inspectState, type StateAck } from './state/load.js';

const STREAMS = ['a.main', 'a.sub', 'b.main', 'b.sub'];

/** A fragment that the ring took, said before the next one is handed over. */
interface TookWord {
  took: string;
  fromMs: number;
  toMs: number;
}

/** What the ring claims after a step. */
interface StepWord {
  now: number;
  committed: Record<string, number>;
  state: string;
  problem: string | null;
  usedBytes: number;
  heads: Record<string, { seq: number; link: string }>;
  acked?: StateAck;
}

export type ChildWord = TookWord | StepWord;

/** Everything that counts of what the child said before it was struck. */
interface Said extends StepWord {
  /** By stream: the spans of time that the ring took, fragment after fragment. */
  taken: Map<string, { fromMs: number; toMs: number }[]>;
  /** With room for all, a ring that does not record has been hurt before it was struck. */
  early: StepWord | undefined;
}

export interface Round {
  /** Longest footage of one stream that the ring had taken and that is gone, ms. */
  lostMs: number;
  closed: number;
  /** Closed segments that do not fit their hash or their chain, or have no file. */
  unreadable: number;
  /** Files more or fewer than rows. */
  unaccounted: number;
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
  // Both databases look for their schema beside their code.
  buildSync({
    entryPoints: { 'load-child': join(here, 'load-child.ts'), 'state/load': join(here, 'state/load.ts') },
    outdir: directory,
    external: ['./state/load.js'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  copyFileSync(join(root, 'src/ring/schema.sql'), join(directory, 'schema.sql'));
  copyFileSync(join(root, 'src/store/schema.sql'), join(directory, 'state/schema.sql'));
  return join(directory, 'load-child.js');
}

function mkdirp(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

/** Prepares what all rounds share: the footage and the place where time goes on. */
export class RingCampaign {
  readonly work = tempDir();
  readonly footageFile = join(this.work, 'footage.mp4');
  readonly quotaBytes: number;
  readonly #begunMs = Date.UTC(2026, 0, 1);
  wallMs = this.#begunMs;
  #boots = 0;
  readonly #child: string;

  constructor(quotaBytes: number) {
    this.quotaBytes = quotaBytes;
    writeFileSync(this.footageFile, makeFootage());
    this.#child = bundleChild();
    process.once('exit', () => this.remove());
  }

  /**
   * Starts the child and calls `strike` after it has made `steps` steps. Resolves with what it said, when it is dead.
   *
   * What is lost is counted from what the ring took, to the last fragment before the blow: the child goes on while the
   * blow is on its way, so it is heard to its end, and everything counts that it said while the ring still said `ok`. A
   * disk without power refuses the next write, so a fragment that was taken without an error was taken before the cut,
   * and what was claimed to be safe counts if the disk took another write after the claim.
   */
  async run(directory: string, steps: number, strike: (pid: number) => void): Promise<Said> {
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${this.footageFile}.clock`, String(this.wallMs));
    const child = spawn(
      process.execPath,
      [this.#child, directory, this.footageFile, String(this.quotaBytes), `boot-${++this.#boots}`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const taken: Said['taken'] = new Map();
    let last: StepWord | undefined;
    let early: StepWord | undefined;
    let errors = '';
    let made = 0;
    let [struck, hurt] = [false, false];
    const hear = (line: string): void => {
      const word = JSON.parse(line) as ChildWord;
      if ('took' in word) {
        if (!hurt) extend(taken, word);
        return;
      }
      hurt ||= word.state !== 'ok';
      if (hurt && !struck) early = word;
      if (!hurt || last === undefined) last = word;
      if (struck || (!hurt && ++made < steps)) return;
      struck = true;
      strike(child.pid!);
    };
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    // The last line may be half.
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop()!;
      lines.forEach(hear);
    });
    await new Promise((resolve) => child.on('close', resolve));
    if (last === undefined || !struck) throw new Error(`the recording process died by itself: ${errors}`);
    return { ...last, taken, early };
  }

  /** Starts the ring again and holds everything that the child said against what is there. */
  inspect(directory: string, said: Said, allowLostMs: number): Round {
    const rig = new Rig({ limits: limits({ quotaBytes: this.quotaBytes }), bootId: `after-${this.#boots}` }, directory);
    const problems: string[] = [];
    if (said.early !== undefined) problems.push(`it was ${said.early.state}: ${said.early.problem}`);
    rig.clock.wall = said.now + 5_000;
    rig.open();
    const { closed, bad } = readAll(rig);
    problems.push(...bad);
    const files = filesBelow(join(directory, 'media'));
    const orphans = existsSync(join(directory, 'orphans')) ? readdirSync(join(directory, 'orphans')) : [];
    const unaccounted = Math.abs(files.length - closed) + orphans.length;
    if (files.length !== closed) problems.push(`${files.length} files for ${closed} rows`);
    if (orphans.length > 0) problems.push(`orphans: ${orphans.join()}`);
    const integrity = rig.integrity();
    if (integrity !== 'ok') problems.push(`integrity: ${integrity}`);
    problems.push(...inspectState(directory, said.acked));
    let lostMs = 0;
    for (const stream of STREAMS) {
      const lost = lostOf(rig, stream, said);
      lostMs = Math.max(lostMs, lost);
      if (lost > allowLostMs) problems.push(`${stream}: lost ${lost} ms`);
      const newest = rig.ring.status().streams.find((s) => s.stream === stream)?.newestMs ?? 0;
      if (newest < said.committed[stream]!) {
        problems.push(`${stream}: ${said.committed[stream]! - newest} ms were claimed to be safe and are gone`);
      }
      const head = said.heads[stream]!;
      const now = rig.ring.heads()[stream];
      if (now === undefined || now.seq < head.seq) problems.push(`${stream}: closed segment ${head.seq} is gone`);
      else if (now.seq === head.seq && now.link !== head.link) problems.push(`${stream}: another head at ${head.seq}`);
      const { spans, gaps } = rig.ring.coverage(stream, this.#begunMs, said.now);
      const told = [...spans, ...gaps].reduce((sum, x) => sum + x.toMs - x.fromMs, 0);
      if (told !== said.now - this.#begunMs)
        problems.push(`${stream}: coverage tells ${told} of ${said.now - this.#begunMs} ms`);
    }
    this.wallMs = Math.max(this.wallMs, said.now + 10_000);
    rig.ring.dropHandles();
    return { lostMs, closed, unreadable: bad.length, unaccounted, problems };
  }

  remove(): void {
    rmSync(this.work, { recursive: true, force: true });
    rmSync(dirname(this.#child), { recursive: true, force: true });
  }
}

/** Reads every closed segment of every stream. */
function readAll(rig: Rig): { closed: number; bad: string[] } {
  const bad: string[] = [];
  let closed = 0;
  for (const stream of STREAMS) {
    try {
      closed += checkClosed(rig, [stream]);
    } catch (error) {
      bad.push(String(error));
    }
  }
  return { closed, bad };
}

function extend(taken: Said['taken'], { took, fromMs, toMs }: TookWord): void {
  const spans = taken.get(took) ?? [];
  taken.set(took, spans);
  const last = spans.at(-1);
  if (last?.toMs === fromMs) last.toMs = toMs;
  else spans.push({ fromMs, toMs });
}

/** So much footage of a stream is in the ring whatever it evicts. */
const KEPT_MS = 40_000;

/** Footage that the ring took and that it does not have, ms: at the end or anywhere else. */
function lostOf(rig: Rig, stream: string, { taken }: Said): number {
  const handed = taken.get(stream) ?? [];
  const fromMs = (handed.at(-1)?.toMs ?? 0) - KEPT_MS;
  let lost = 0;
  for (const one of handed) {
    const range = { fromMs: Math.max(one.fromMs, fromMs), toMs: one.toMs };
    if (range.toMs <= range.fromMs) continue;
    const { spans } = rig.ring.coverage(stream, range.fromMs, range.toMs);
    lost += range.toMs - range.fromMs - spans.reduce((sum, span) => sum + span.toMs - span.fromMs, 0);
  }
  return lost;
}

/** N rounds of load and SIGKILL at random on one directory. */
export async function killCampaign(options: {
  rounds: number;
  seed: number;
  untilMs?: number;
  now: () => number;
}): Promise<Omit<Round, 'lostMs'> & { rounds: number; worstLostMs: number }> {
  const random = randomOf(options.seed);
  const campaign = new RingCampaign(6e6);
  const directory = join(campaign.work, 'ring');
  const sum = { rounds: 0, worstLostMs: 0, closed: 0, unreadable: 0, unaccounted: 0, problems: [] as string[] };
  try {
    for (; sum.rounds < options.rounds && options.now() < (options.untilMs ?? Infinity); sum.rounds++) {
      const said = await campaign.run(directory, 1 + Math.floor(random() * 120), (pid) => process.kill(pid, 'SIGKILL'));
      // Whatever was handed to the system survives the process: at most the fragment in the hand is lost.
      const round = campaign.inspect(directory, said, 0);
      sum.worstLostMs = Math.max(sum.worstLostMs, round.lostMs);
      for (const key of ['closed', 'unreadable', 'unaccounted'] as const) sum[key] += round[key];
      sum.problems.push(...round.problems.map((p) => `round ${sum.rounds}: ${p}`));
    }
  } finally {
    campaign.remove();
  }
  return sum;
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
