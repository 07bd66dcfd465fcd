import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BenchSite } from '../lib/bench-site.js';
import { Foreign, measureCpu, measurePss, mustLive, note, ratioOf, round, show, sleep } from '../lib/compare.js';
import { median } from '../lib/meter.js';

const OPTIONS = {
  cameras: { type: 'string', default: '16' },
  'per-packet': { type: 'boolean', default: false },
  /** Length of a slice. */
  seconds: { type: 'string', default: '12' },
  slices: { type: 'string', default: '3' },
  'warm-up': { type: 'string', default: '30' },
} as const;

/** The fragments of our own files hold half a second; a group of pictures is as close as ffmpeg comes to that. */
function copyArgs(url: string, dir: string): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-rtsp_transport', 'tcp', '-i', url],
    ...['-map', '0:v', '-c', 'copy', '-f', 'segment', '-segment_time', '10', '-segment_format', 'mp4'],
    ...['-segment_format_options', 'movflags=frag_keyframe+empty_moov+default_base_moof'],
    join(dir, '%05d.mp4'),
  ];
}

/** Recording only, against one copying ffmpeg per recorded stream, both in the same slices of time. */
export async function run(args: string[]): Promise<Record<string, number>> {
  const { values } = parseArgs({ args, options: OPTIONS });
  const cameras = Number(values.cameras);
  const slices = { warmUpS: Number(values['warm-up']), count: Number(values.slices), seconds: Number(values.seconds) };
  const site = new BenchSite({
    name: 'record',
    cameras,
    cameraArgs: values['per-packet'] ? ['--per-packet'] : [],
    settings: { motion: { enabled: false }, log: { level: 'warn' } },
  });
  try {
    note(`record: ${cameras} virtual cameras (drawn and encoded at the first start)`);
    await site.startCameras();
    const copies = startCopies(site, cameras);
    await sleep(slices.warmUpS);
    mustLive(copies);
    const ffmpegPss = await measurePss({ name: 'ffmpeg', pids: copies.map((copy) => copy.pid) });

    await site.startAgent();
    await site.adopt(site.some(cameras));
    const parties = [
      { name: 'agent', pids: [site.agentPid] },
      { name: 'ffmpeg', pids: copies.map((copy) => copy.pid) },
    ];
    const cpu = await measureCpu(parties, slices);
    mustLive(copies);
    await site.mustRecord();
    await Promise.all(copies.map((copy) => copy.stop('SIGKILL')));
    await sleep(3);
    const agentPss = await measurePss({ name: 'agent', pids: [site.agentPid] });

    const [ours, theirs] = [cpu.get('agent')!, cpu.get('ffmpeg')!];
    note(`record: CPU by slice, per cent of a core: agent ${show(ours)}; ffmpeg ${show(theirs)}`);
    return {
      cameras,
      streams: 2 * cameras,
      per_packet: values['per-packet'] ? 1 : 0,
      cpu_pct_per_camera: round(median(ours) / cameras),
      pss_mb_per_camera: round(agentPss / cameras, 2),
      ffmpeg_cpu_pct_per_camera: round(median(theirs) / cameras),
      ffmpeg_pss_mb_per_camera: round(ffmpegPss / cameras, 2),
      cpu_ratio: round(ratioOf(ours, theirs)),
      pss_ratio: round(agentPss / ffmpegPss),
    };
  } finally {
    await site.close();
  }
}

function startCopies(site: BenchSite, cameras: number): Foreign[] {
  const streams = Array.from({ length: cameras }, (_, i) =>
    ['main', 'sub'].map((role) => ({ i, role }) as const),
  ).flat();
  return streams.map(({ i, role }) => {
    const dir = join(site.dir, 'ffmpeg', `${i}-${role}`);
    mkdirSync(dir, { recursive: true });
    return new Foreign('ffmpeg', copyArgs(site.rtsp(i, role as 'main' | 'sub'), dir));
  });
}
