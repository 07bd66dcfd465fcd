import { readdirSync, statSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decodeSettings } from '../../src/settings/load.js';
import type { ThreadsBody } from '../../src/contract/http.js';
import { BenchSite } from '../lib/bench-site.js';
import { measureCpu, measurePss, mustLive, note, ratioOf, round, show, sleep, type Foreign } from '../lib/compare.js';
import { median } from '../lib/meter.js';
import { needMotion, startMotion } from '../lib/motion-daemon.js';

const OPTIONS = {
  cameras: { type: 'string', default: '8' },
  /** Per cent of the time in which something moves. */
  activity: { type: 'string', default: '10' },
  /** Least length of a slice. */
  seconds: { type: 'string', default: '15' },
  slices: { type: 'string', default: '3' },
  'warm-up': { type: 'string', default: '40' },
} as const;

const EVENT_S = 20;

interface Step {
  cameras: number;
  ours: number[];
  theirs: number[];
  pss: number;
  motionPss: number;
  /** Processes that wanted a CPU, on the average of the last minute of it: how disturbed the figures are. */
  load: number;
}

/**
 * Recording and motion, against Debian's `motion` on the same streams in the same slices of time: first with a quarter
 * of the cameras, then with half, then with all of them.
 */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const { values } = parseArgs({ args, options: OPTIONS });
  const [cameras, activity] = [Number(values.cameras), Number(values.activity)];
  // One event and the quiet that belongs to it.
  const loop = Math.round(activity > 0 ? (EVENT_S * 100) / activity : 60);
  const version = needMotion();
  const site = new BenchSite({
    name: 'watch',
    cameras,
    cameraArgs: ['--loop', String(loop), '--activity', String(activity / 100)],
    settings: { log: { level: 'warn' } },
  });
  const settings = motionSettings();
  note(`watch: motion ${version}; our settings (the defaults): ${settings}`);
  try {
    note(`watch: ${cameras} virtual cameras (drawn and encoded at the first start)`);
    await site.startCameras();
    await site.startAgent();
    const steps: Step[] = [];
    for (const count of [...new Set([cameras / 4, cameras / 2, cameras].map((n) => Math.max(1, Math.floor(n))))]) {
      steps.push(await step(site, count, loop, values));
    }
    const late = await lateness(site);
    return { ...figures(steps), ...late, activity_pct: activity, motion_settings: settings, motion_version: version };
  } finally {
    await site.close();
  }
}

async function step(
  site: BenchSite,
  cameras: number,
  loop: number,
  values: { seconds: string; slices: string; 'warm-up': string },
): Promise<Step> {
  const chosen = site.some(cameras);
  await site.adopt(chosen);
  const dir = join(site.dir, `motion-${cameras}`);
  const daemon: Foreign = startMotion(
    dir,
    chosen.map((i) => ({ sub: site.rtsp(i, 'sub'), main: site.rtsp(i, 'main') })),
  );
  // The cameras show the same scene one after the other: in this time each moment of it was seen once.
  const whole = loop / cameras;
  const seconds = whole * Math.ceil(Number(values.seconds) / whole);
  // With few cameras a slice is long, and one tells as much as many short ones.
  const count = Math.max(1, Math.round((Number(values.slices) * 30) / seconds));
  const slices = { warmUpS: Number(values['warm-up']), count: Math.min(Number(values.slices), count), seconds };
  const [agent, motion] = [
    { name: 'agent', pids: [site.agentPid] },
    { name: 'motion', pids: [daemon.pid] },
  ];
  const cpu = await measureCpu([agent, motion], slices);
  const load = loadavg()[0]!;
  mustLive([daemon]);
  await site.mustRecord();
  // While ours runs beside it, libraries that both use are counted half: so theirs is told too small, not too large.
  const motionPss = await measurePss(motion);
  await daemon.stop();
  if (moviesIn(dir) === 0) note(`watch: motion wrote no movie: ${daemon.words}`);
  await sleep(3);
  // Decoders come and go with what moves.
  const pss = await measurePss(agent, Math.ceil(Math.max(10, whole)));
  const [ours, theirs] = [cpu.get('agent')!, cpu.get('motion')!];
  note(
    `watch: ${cameras} cameras, CPU by slice of ${seconds.toFixed(0)} s: agent ${show(ours)}; motion ${show(theirs)}`,
  );
  note(`watch: ${cameras} cameras, memory: agent ${pss.toFixed(0)} MB, motion ${motionPss.toFixed(0)} MB`);
  note(`watch: ${cameras} cameras, load of the machine ${load.toFixed(1)} on ${availableParallelism()} cores`);
  return { cameras, ours, theirs, pss, motionPss, load };
}

function figures(steps: readonly Step[]): Record<string, number> {
  const [first, last] = [steps[0]!, steps[steps.length - 1]!];
  const before = steps[steps.length - 2] ?? first;
  const n = last.cameras;
  const added = n - before.cameras;
  const perCamera = (step: Step): number => median(step.ours) / step.cameras;
  const [growth, motionGrowth] = [last.pss - before.pss, last.motionPss - before.motionPss];
  return {
    cameras: n,
    cpu_pct_per_camera: round(perCamera(last)),
    pss_mb_per_camera: round(last.pss / n, 2),
    motion_cpu_pct_per_camera: round(median(last.theirs) / n),
    motion_pss_mb_per_camera: round(last.motionPss / n, 2),
    cpu_ratio: round(ratioOf(last.ours, last.theirs)),
    pss_ratio: round(last.pss / last.motionPss),
    pss_growth_mb: added > 0 ? round(growth / added, 2) : 0,
    motion_pss_growth_mb: added > 0 ? round(motionGrowth / added, 2) : 0,
    pss_growth_ratio: added > 0 ? round(growth / motionGrowth) : 0,
    quarter_cameras: first.cameras,
    quarter_cpu_pct_per_camera: round(perCamera(first)),
    cpu_growth_ratio: round(perCamera(last) / perCamera(first)),
    load: round(last.load, 1),
  };
}

/** p99 of the worst of some looks, after everything else was measured: looking costs. */
async function lateness(site: BenchSite): Promise<Record<string, number>> {
  const seen: Record<string, number[]> = {};
  for (let i = 0; i < 4; i++) {
    const { threads } = await site.api.get<ThreadsBody>('/threads?ms=5000');
    for (const { thread, p99Ms } of threads) (seen[thread] ??= []).push(p99Ms);
  }
  return Object.fromEntries(
    Object.entries(seen).map(([thread, ms]) => [`${thread}_loop_p99_ms`, round(median(ms), 2)]),
  );
}

/** As the agent of this benchmark has them: nothing is set, so they are the defaults. */
function motionSettings(): string {
  const all = Object.entries(decodeSettings('', 'defaults')).filter(([key]) => key.startsWith('motion.'));
  return all.map(([key, value]) => `${key}=${String(value)}`).join(' ');
}

function moviesIn(dir: string): number {
  const files = readdirSync(join(dir, 'movies'));
  return files.filter((file) => statSync(join(dir, 'movies', file)).size > 0).length;
}
