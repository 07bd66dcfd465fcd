import { BluelightError } from '../base/errors.js';
import { silentLog, type Log } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { MotionZones } from '../contract/zones.js';
import { accessUnitsOf, BoxReader, parseInit } from '../media/mp4.js';
import { concatBytes } from '../media/nal.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { decodeAll, FilePictures } from './file-pictures.js';
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
  path: string;
  /** Default: as live. */
  cadence?: Cadence;
  /** What of the motion is told; schedules do not count. */
  zones?: MotionZones;
  log?: Log;
}

/**
 * Runs a video file through the detector and cadence that run live, as fast as they can. The result is a function of
 * the file alone, however slow the machine is.
 */
export async function analyzeFile(options: AnalyzeOptions): Promise<Analysis> {
  const { processes, log = silentLog } = options;
  const decoders = new FilePictures();
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
  const file = await openFile(processes, options.path);
  watcher.runStart(file.format);
  for await (const decoded of decodeAll({ processes, log, format: file.format }, file.units)) {
    const { unit } = decoded;
    decoders.take(decoded);
    watcher.accessUnit(unit);
    duration = Math.max(duration, timeOf(unit) + unit.duration / 90);
  }
  watcher.runEnd();
  if (duration === 0) throw unreadable(options.path, 'it has no pictures');
  return { events, fullRate, stats: watcher.stats, duration: seconds(duration) };
}

/** The first video stream of any file that ffmpeg can read, without re-encoding. */
async function openFile(
  processes: Processes,
  path: string,
): Promise<{ format: VideoFormat; units: AsyncGenerator<AccessUnit> }> {
  const boxes = boxesOf(processes, path);
  let head: Uint8Array[] = [];
  for (;;) {
    const next = await boxes.next();
    if (next.done === true) throw unreadable(path, 'it has no H.264 or H.265 stream');
    head.push(next.value.bytes);
    if (next.value.type !== 'moov') continue;
    const format = parseInit(concatBytes(head))?.format;
    if (format !== undefined) return { format, units: unitsOf(boxes) };
    head = [];
  }
}

async function* unitsOf(boxes: AsyncGenerator<Box>): AsyncGenerator<AccessUnit> {
  let before: Uint8Array = new Uint8Array(0);
  for await (const { type, bytes } of boxes) {
    if (type === 'mdat') yield* accessUnitsOf(concatBytes([before, bytes]));
    before = bytes;
  }
}

interface Box {
  type: string;
  bytes: Uint8Array;
}

async function* boxesOf(processes: Processes, path: string): AsyncGenerator<Box> {
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
  let whole = false;
  try {
    for await (const chunk of child.stdout) yield* reader.push(chunk as Buffer) ?? [];
    whole = true;
  } finally {
    if (!whole) child.kill();
  }
  const end = await child.ended;
  if (end.code !== 0) throw unreadable(path, complaint.trim());
}

function unreadable(path: string, why: string): BluelightError {
  return new BluelightError('VIDEO_UNREADABLE', `${path} has no video that can be analysed: ${why}`, {
    fix: 'give a file with H.264 or H.265 video, e.g. a segment or clip of this box',
  });
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
