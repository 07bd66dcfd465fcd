import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.js';
import { runToEnd, systemProcesses } from '../../src/base/processes.js';
import { parseInit, listFragments, accessUnitsOf } from '../../src/media/mp4.js';
import type { AccessUnit, VideoFormat } from '../../src/media/stream.js';
import { FRAME_HEIGHT, FRAME_WIDTH } from '../../src/motion/grid.js';

export const clock = systemClock();
export const processes = systemProcesses(clock);

export interface VideoSpec {
  codec?: 'libx264' | 'libx265';
  gop?: number;
  fps?: number;
  size?: string;
  extra?: string[];
}

/** Frames of 320x180 gray as a fragmented MP4, as a camera would encode them. */
export async function encode(frames: Uint8Array[], spec: VideoSpec = {}): Promise<Buffer> {
  const codec = spec.codec ?? 'libx264';
  const gop = String(spec.gop ?? 20);
  const still = codec === 'libx264' ? ['-x264-params', 'scenecut=0'] : ['-x265-params', 'scenecut=0:log-level=none'];
  return runToEnd(
    processes,
    {
      command: 'ffmpeg',
      args: [
        ...['-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'gray', '-s', `${FRAME_WIDTH}x${FRAME_HEIGHT}`],
        ...['-r', String(spec.fps ?? 10), '-i', 'pipe:0', '-vf', `scale=${spec.size ?? '640x360'}`],
        ...['-pix_fmt', 'yuv420p', '-c:v', codec, '-preset', 'veryfast', '-bf', '0', '-g', gop, ...still],
        ...(spec.extra ?? []),
        ...['-f', 'mp4', '-video_track_timescale', '90000'],
        ...['-movflags', '+empty_moov+default_base_moof+frag_keyframe', 'pipe:1'],
      ],
    },
    { input: Buffer.concat(frames) },
  );
}

export function unitsOf(file: Buffer): { format: VideoFormat; units: AccessUnit[] } {
  const fragments = listFragments(file, file.indexOf('moof', 0, 'latin1') - 4);
  const first = fragments[0]!;
  const init = parseInit(file.subarray(0, first.offset))!;
  const units = fragments.flatMap((one) => {
    const at = one.decodeTime / 90;
    return accessUnitsOf(file.subarray(one.offset, one.offset + one.bytes), { wallMs: at, monoMs: at });
  });
  return { format: init.format, units };
}

/** A directory that is gone after `use`. */
export async function inTemp<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'bluelight-motion-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
