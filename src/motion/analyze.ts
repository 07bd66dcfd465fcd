import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { silentLog, type Log } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { MotionZones } from '../contract/zones.js';
import { accessUnitsOf, BoxReader, parseInit } from '../media/mp4.js';
import { concatBytes } from '../media/nal.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { FfmpegDecoders } from './decoders.js';
import { timeOf, Watcher, type Cadence, type Reason, type WatchStats } from './watcher.js';

/** Times in seconds of the file. */
export interface FoundEvent {
  start: number;
  end: number;
  /** When a live box could first have reported it. */
  decidedAt: number;
  score: number;
  reason: string;
}

export interface Analysis {
  events: FoundEvent[];
  /** Spans that were decoded at full rate, and why, in seconds. */
  fullRate: { start: number; end: number; reason: Reason }[];
  stats: WatchStats;
  duration: number;
}

export interface AnalyzeOptions {
  processes: Processes;
  clock: Clock;
  path: string;
  /** Default: as live. */
  cadence?: Cadence;
  /** What of the motion is told; schedules do not count. */
  zones?: MotionZones;
  log?: Log;
}

/** A decoder that reorders pictures keeps some back: do not wait longer than this for them. */
const PATIENCE_MS = 1_000;

/** Runs a video file through the detector, cadence and decoders that run live, as fast as they can. */
export async function analyzeFile(options: AnalyzeOptions): Promise<Analysis> {
  const { clock, processes } = options;
  const decoders = new FfmpegDecoders({ clock, processes, log: options.log ?? silentLog });
  const events: FoundEvent[] = [];
  const fullRate: Analysis['fullRate'] = [];
  const watcher = new Watcher({
    decoders,
    cadence: options.cadence ?? 'adaptive',
    wallTime: false,
    onIncident: ({ phase, incident }) => {
      if (phase !== 'end') return;
      const { start, end, decidedAt, score, reason } = incident;
      events.push({ start: seconds(start), end: seconds(end), decidedAt: seconds(decidedAt), score, reason });
    },
    onFullRate: ({ from, to, reason }) => fullRate.push({ start: seconds(from), end: seconds(to), reason }),
  });
  if (options.zones !== undefined) watcher.detector.zones.set(options.zones, 'UTC');
  let duration = 0;
  // How many pictures the decoder keeps back because it puts them in order; found out by waiting in vain once.
  let keepsBack = 0;
  try {
    for await (const { format, unit } of accessUnits(processes, options.path)) {
      if (format !== undefined) watcher.runStart(format);
      watcher.accessUnit(unit);
      duration = Math.max(duration, timeOf(unit) + unit.duration / 90);
      if (decoders.waiting > keepsBack && !(await settled(clock, decoders))) keepsBack = decoders.waiting;
    }
    watcher.runEnd();
  } finally {
    decoders.stop();
  }
  return { events, fullRate, stats: watcher.stats, duration: seconds(duration) };
}

async function settled(clock: Clock, decoders: FfmpegDecoders): Promise<boolean> {
  const stop = new AbortController();
  const late = clock.sleep(PATIENCE_MS, stop.signal).then(
    () => false,
    () => true,
  );
  const done = await Promise.race([decoders.idle().then(() => true), late]);
  stop.abort();
  return done;
}

/** The access units of the first video stream of any file that ffmpeg can read, without re-encoding. */
async function* accessUnits(
  processes: Processes,
  path: string,
): AsyncGenerator<{ format: VideoFormat | undefined; unit: AccessUnit }> {
  const child = processes.start({
    command: 'ffmpeg',
    args: [
      ...['-hide_banner', '-nostdin', '-v', 'error', '-i', path, '-map', '0:v:0', '-c', 'copy', '-f', 'mp4'],
      ...['-video_track_timescale', '90000', '-movflags', '+empty_moov+default_base_moof+frag_keyframe', 'pipe:1'],
    ],
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(-500)));
  child.stdin.end();
  const reader = new BoxReader(256 * 1024 * 1024);
  let head: Uint8Array[] = [];
  let format: VideoFormat | undefined;
  let started = false;
  let whole = false;
  try {
    for await (const chunk of child.stdout) {
      for (const box of reader.push(chunk as Buffer) ?? []) {
        head.push(box.bytes);
        if (box.type === 'moov') {
          format = parseInit(concatBytes(head))?.format;
          head = [];
        } else if (box.type === 'mdat') {
          for (const unit of accessUnitsOf(concatBytes(head.slice(-2)))) {
            if (format === undefined) continue;
            yield { format: started ? undefined : format, unit };
            started = true;
          }
          head = [];
        }
      }
    }
    whole = true;
  } finally {
    if (!whole) child.kill();
  }
  const end = await child.ended;
  if (started && end.code === 0) return;
  throw new BluelightError('VIDEO_UNREADABLE', `${path} has no video that can be analysed: ${complaint.trim()}`, {
    fix: 'give a file with H.264 or H.265 video, e.g. a segment or clip of this box',
  });
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
