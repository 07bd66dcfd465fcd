import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { groupAccessUnits, splitAnnexB } from '../../src/media/nal.js';
import type { Codec } from '../../src/media/stream.js';
import { kept } from './kept.js';

const run = promisify(execFile);

export interface ClipSpec {
  codec?: Codec;
  width?: number;
  height?: number;
  fps?: number;
  seconds?: number;
  /** Pictures from one key frame to the next. */
  gop?: number;
  bframes?: number;
}

/** An elementary stream (Annex B) of a moving test picture, made once per machine. */
export async function elementaryStream(spec: ClipSpec = {}): Promise<string> {
  const { codec = 'h264', width = 320, height = 180, fps = 15, seconds = 4, gop = 15, bframes = 0 } = spec;
  const dir = kept('bluelight-test-clips');
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `${width}x${height}-${fps}-${seconds}-${gop}-${bframes}.${codec}`);
  if (existsSync(file)) return file;
  const params = `keyint=${gop}:min-keyint=${gop}:scenecut=0:bframes=${bframes}:aud=1:repeat-headers=1`;
  const encoder =
    codec === 'h264'
      ? ['-c:v', 'libx264', '-preset', 'veryfast', '-x264-params', `${params}:sliced-threads=0`]
      : ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', `${params}:log-level=error`];
  // Several tests may make the same clip at the same time.
  const part = `${file}.${randomUUID()}.part`;
  const source = `testsrc2=size=${width}x${height}:rate=${fps}`;
  const format = codec === 'h264' ? 'h264' : 'hevc';
  await run('ffmpeg', [
    '-v',
    'error',
    '-y',
    '-f',
    'lavfi',
    '-i',
    source,
    '-t',
    String(seconds),
    ...encoder,
    '-pix_fmt',
    'yuv420p',
    '-f',
    format,
    part,
  ]);
  renameSync(part, file);
  return file;
}

/** The access units of an elementary stream, as lists of NAL units. */
export function accessUnitsInFile(file: string, codec: Codec): Uint8Array[][] {
  return groupAccessUnits(codec, splitAnnexB(readFileSync(file)));
}

/** What ffmpeg and ffprobe say about a file: stream entry and every line of complaint of a full decode. */
export async function inspect(
  file: string,
): Promise<{ streams: Record<string, unknown>[]; frames: number; errors: string }> {
  const entries = 'stream=codec_name,codec_tag_string,width,height,nb_read_packets,time_base';
  const probe = await run('ffprobe', ['-v', 'error', '-count_packets', '-show_entries', entries, '-of', 'json', file]);
  const parsed = JSON.parse(probe.stdout) as { streams: Record<string, unknown>[] };
  const decode = await run('ffmpeg', ['-v', 'warning', '-xerror', '-i', file, '-f', 'null', '-']);
  return {
    streams: parsed.streams,
    frames: Number(parsed.streams[0]?.['nb_read_packets'] ?? 0),
    errors: probe.stderr + decode.stderr,
  };
}
