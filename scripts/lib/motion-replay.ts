import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AccessUnit, VideoFormat } from '../../src/media/stream.js';
import { FRAME_BYTES } from '../../src/motion/grid.js';
import type { Cadence, Decoders, Watcher } from '../../src/motion/watcher.js';
import type { Span } from './motion-score.js';

/** A clip decoded once: what the detector would see of each picture, and how large it was. */
export interface DecodedClip {
  pictures: { pts: number; key: boolean; bytes: number }[];
  gray: Buffer;
}

/** Decodes as the agent does, and keeps the result beside the file. */
export function decodeClip(path: string, cache: string): DecodedClip {
  const [list, gray] = [`${cache}.json`, `${cache}.gray`];
  if (!existsSync(list)) {
    const packets = execFileSync('ffprobe', [
      ...['-v', 'error', '-select_streams', 'v:0', '-show_entries', 'packet=pts_time,flags,size', '-of', 'json', path],
    ]).toString();
    const scaled = [
      '-vf',
      'scale=320:180:flags=area',
      '-pix_fmt',
      'gray',
      '-fps_mode',
      'passthrough',
      '-f',
      'rawvideo',
    ];
    spawnSync('ffmpeg', ['-v', 'error', '-y', '-skip_loop_filter', 'all', '-i', path, ...scaled, gray], {
      stdio: 'inherit',
    });
    type Packet = { pts_time: string; flags: string; size: string };
    const found = (JSON.parse(packets) as { packets: Packet[] }).packets;
    const pictures = found
      .map((one) => ({
        pts: Math.round(Number(one.pts_time) * 90_000),
        key: one.flags.startsWith('K'),
        bytes: Number(one.size),
      }))
      .sort((a, b) => a.pts - b.pts);
    writeFileSync(list, JSON.stringify(pictures));
  }
  return { pictures: JSON.parse(readFileSync(list, 'utf8')) as DecodedClip['pictures'], gray: readFileSync(gray) };
}

export interface Replayed {
  events: (Span & { decidedAt: number; reason: string })[];
  fullRate: Span[];
}

/** Runs a clip through a watcher whose decoders answer at once. The class is given: it may be a changed one. */
export function replay(clip: DecodedClip, watcher: typeof Watcher, cadence: Cadence): Replayed {
  const events: Replayed['events'] = [];
  const fullRate: Span[] = [];
  const frame = (unit: AccessUnit): Uint8Array => {
    const from = (unit as AccessUnit & { index: number }).index * FRAME_BYTES;
    return clip.gray.subarray(from, from + FRAME_BYTES);
  };
  const decoders: Decoders = {
    key: (_format, unit, done) => done(frame(unit)),
    open: (_format, onFrame) => ({
      feed: (unit, wanted) => (wanted && onFrame(unit, frame(unit)), true),
      close: () => undefined,
    }),
  };
  const one = new watcher({
    decoders,
    cadence,
    onIncident({ phase, incident: { start, end, decidedAt, reason } }) {
      if (phase !== 'end') return;
      events.push({ start: start / 1000, end: end / 1000, decidedAt: decidedAt / 1000, reason });
    },
    onFullRate: ({ from, to }) => fullRate.push({ start: from / 1000, end: to / 1000 }),
  });
  const format: VideoFormat = { codec: 'h264', width: 640, height: 360, parameterSets: [] } as unknown as VideoFormat;
  one.runStart(format);
  const pictures = clip.pictures.slice(0, Math.floor(clip.gray.length / FRAME_BYTES));
  pictures.forEach(({ pts, key, bytes }, index) => {
    const unit = {
      pts,
      dts: pts,
      duration: 9_000,
      key,
      wallMs: pts / 90,
      monoMs: pts / 90,
      data: new Uint8Array(bytes),
      index,
    };
    one.accessUnit(unit as unknown as AccessUnit);
  });
  one.runEnd();
  return { events, fullRate };
}
