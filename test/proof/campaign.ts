import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { seeded, type Random } from '../../scripts/lib/random.js';
import { verifyClip } from '../../src/proof/verify.js';
import { changeBytes, sizeOf, smallClip, verdictOn, type ByteChanges } from './byte-changes.js';
import { cleanCase, structuralCase, type Case } from './cases.js';

export interface VerifyCampaign {
  seed: number;
  /** Other values that are tried for each byte of the three files of a real clip; 255: all. */
  values: number;
  /** Only every so many bytes; 1: all. */
  stride?: number;
  /** Among which the values are divided; none: in this one. */
  threads?: number;
  structural: number;
  clean: number;
  /** `Date.now` after which no further bytes are tried. */
  untilMs?: number;
  now: () => number;
}

export interface VerifyResult {
  fileBytes: number;
  /** Changed bytes that were tried; as many as `fileBytes * values` unless the time ran out. */
  byteChanges: number;
  structural: number;
  clean: number;
  problems: string[];
}

/** Everything that is not what the box delivered must be found, and nothing else. */
export async function verifyCampaign(options: VerifyCampaign): Promise<VerifyResult> {
  const random = seeded(options.seed);
  const problems: string[] = [];
  const result: VerifyResult = { fileBytes: 0, byteChanges: 0, structural: 0, clean: 0, problems };
  for (; result.structural < options.structural; result.structural++) await tryCase(structuralCase(random), problems);
  for (; result.clean < options.clean; result.clean++) await tryCase(cleanCase(random), problems);
  await tryBytes(options, random, result);
  return result;
}

async function tryCase({ what, input, expected }: Case, problems: string[]): Promise<void> {
  const { verdict, findings } = await verifyClip(input);
  if (verdict === expected) return;
  problems.push(`${what}: ${verdict} (${findings.map((f) => f.code).join()}) and not ${expected}`);
}

async function tryBytes(options: VerifyCampaign, random: Random, result: VerifyResult): Promise<void> {
  const { stride = 1, threads = 0, untilMs, now } = options;
  const clip = await smallClip();
  const whole = await verdictOn(clip);
  if (whole !== 'authentic') result.problems.push(`the unchanged clip is ${whole}`);
  result.fileBytes = sizeOf(clip);
  const steps = differentSteps(random, options.values);
  const task = { clip, stride, first: random.below(stride), untilMs };
  const shares = Array.from({ length: threads }, (_, i) => steps.filter((_, j) => j % threads === i));
  const done = await Promise.all(
    threads === 0 ? [changeBytes({ ...task, steps }, now)] : shares.map((share) => inThread({ ...task, steps: share })),
  );
  for (const { tried, problems } of done) {
    result.byteChanges += tried;
    result.problems.push(...problems);
  }
}

// Node 20 does not apply `--import tsx` in workers, so the thread registers the loader itself.
const BOOT = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(
  new URL('./byte-worker.ts', import.meta.url).href,
)}); })`;

async function inThread(task: ByteChanges): ReturnType<typeof changeBytes> {
  const worker = new Worker(BOOT, { eval: true, workerData: task });
  const [answer] = (await once(worker, 'message')) as [Awaited<ReturnType<typeof changeBytes>>];
  await worker.terminate();
  return answer;
}

/** `count` different ones of 1 to 255. */
function differentSteps(random: Random, count: number): number[] {
  const all = Array.from({ length: 255 }, (_, i) => i + 1);
  return Array.from({ length: Math.min(count, 255) }, () => all.splice(random.below(all.length), 1)[0]!);
}
