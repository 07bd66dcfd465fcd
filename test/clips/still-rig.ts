import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FootagePort } from '../../src/clips/index.js';
import type { SegmentRecord } from '../../src/contract/evidence.js';
import type { Grant } from '../../src/contract/grant.js';
import { listFragments, parseFile } from '../../src/media/mp4.js';
import { kept } from '../support/kept.js';

/** One stream in which every group of pictures is a segment of its own; the port as clips define it. */
export interface Segments extends FootagePort {
  init: Uint8Array;
  segments: { startMs: number; endMs: number; body: Uint8Array }[];
  /** Segments that end after this are not closed yet. */
  openFromMs: number;
}

/** Pictures are not proved by it. */
const NO_RECORD = {} as SegmentRecord;

/** @param zeroMs wall clock of decode time 0 */
export function segmentsOf(file: Uint8Array, zeroMs: number, groupsEach = 1): Segments {
  const { initBytes, fragments } = parseFile(file);
  const segments: Segments['segments'] = [];
  let groups = 0;
  for (const one of fragments) {
    const bytes = file.subarray(one.offset, one.offset + one.bytes);
    const endMs = zeroMs + (one.decodeTime + one.duration) / 90;
    const last = segments.at(-1);
    if (last === undefined || (one.key && groups++ % groupsEach === 0)) {
      segments.push({ startMs: zeroMs + one.decodeTime / 90, endMs, body: bytes });
      groups = Math.max(groups, 1);
    } else {
      last.body = Buffer.concat([last.body, bytes]);
      last.endMs = endMs;
    }
  }
  const port: Segments = {
    init: file.subarray(0, initBytes),
    segments,
    openFromMs: Infinity,
    plan({ fromMs, toMs }) {
      const touched = segments.filter((one) => one.startMs < toMs && one.endMs > fromMs);
      const closed = touched.filter((one) => one.endMs <= port.openFromMs);
      const planned = closed.map((one) => {
        const { startMs, endMs, body } = one;
        const hash = { sha256: '', link: '', clock: 'ntp', recovered: false, record: NO_RECORD };
        return { seq: segments.indexOf(one) + 1, startMs, endMs, bytes: body.length, ...hash };
      });
      const files = planned.slice(0, 1).map((first) => ({
        run: 'run',
        initHash: 'init',
        initBytes,
        startMs: first.startMs,
        endMs: planned.at(-1)!.endMs,
        bytes: 0,
        segments: planned,
      }));
      return Promise.resolve({ files, gaps: [], open: closed.length < touched.length, disk: '', rebuilding: false });
    },
    readInit: () => Promise.resolve(port.init),
    readBody: (_grant, { seq, offset, length }) =>
      Promise.resolve(segments[seq - 1]!.body.subarray(offset, offset + length)),
  };
  return port;
}

export function someGrant(camera = 'gate'): { grant: Grant; abort: AbortController } {
  const abort = new AbortController();
  const range = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
  const grant = { id: 'g', camera, kind: 'still', range, expiresAtMono: Infinity, signal: abort.signal };
  return { grant: grant as unknown as Grant, abort };
}

/** Brightness of every picture of a file, full range, as ffmpeg decodes the whole of it. */
export function luma(bytes: Uint8Array, size: { width: number; height: number }): Buffer[] {
  const directory = mkdtempSync(join(tmpdir(), 'bl-luma-'));
  const path = join(directory, 'in');
  writeFileSync(path, bytes);
  try {
    const raw = execFileSync(
      'ffmpeg',
      ['-v', 'error', '-i', path, '-fps_mode', 'passthrough', '-pix_fmt', 'yuvj420p', '-f', 'rawvideo', 'pipe:1'],
      { maxBuffer: 1 << 30 },
    );
    const { width, height } = size;
    const whole = (width * height * 3) / 2;
    return Array.from({ length: raw.length / whole }, (_, i) => raw.subarray(i * whole, i * whole + width * height));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** dB. */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10((255 * 255) / (sum / a.length + 1e-9));
}

/** Index of the picture that a JPEG shows, and how alike the two and the next best are. */
export function whichPicture(
  jpeg: Uint8Array,
  pictures: readonly Buffer[],
  size: { width: number; height: number },
): { index: number; db: number; nextDb: number } {
  const shown = luma(jpeg, size)[0]!;
  const scores = pictures.map((picture, index) => ({ index, db: psnr(shown, picture) })).sort((a, b) => b.db - a.db);
  return { ...scores[0]!, nextDb: scores[1]!.db };
}

/** Fragmented MP4 made by ffmpeg with pictures out of order; 4 s, a key frame each second, fragments of half a second. */
export function reordered(codec: 'h264' | 'h265', openGop: boolean): Buffer {
  const file = join(kept('bluelight-test-clips'), `reordered-${codec}-${openGop ? 'open' : 'closed'}.mp4`);
  if (!existsSync(file)) {
    const gop = `keyint=15:min-keyint=15:scenecut=0:bframes=3:b-adapt=0:open-gop=${openGop ? 1 : 0}`;
    const encoder =
      codec === 'h264'
        ? ['libx264', '-x264-params', gop]
        : ['libx265', '-tag:v', 'hvc1', '-x265-params', `${gop}:log-level=error`];
    const part = `${file}.${randomUUID()}.mp4`;
    execFileSync('mkdir', ['-p', kept('bluelight-test-clips')]);
    execFileSync('ffmpeg', [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=15', '-t', '4', '-pix_fmt', 'yuv420p'],
      ...['-c:v', encoder[0]!, '-preset', 'veryfast', ...encoder.slice(1), '-video_track_timescale', '90000'],
      ...['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-frag_duration', '500000', part],
    ]);
    renameSync(part, file);
  }
  return readFileSync(file);
}

/** Presentation times of all pictures, ticks, in order of presentation. */
export function shownAt(file: Uint8Array): number[] {
  return listFragments(file, parseFile(file).initBytes)
    .flatMap((one) => {
      let dts = one.decodeTime;
      return one.samples.map((sample) => {
        const pts = dts + sample.compositionOffset;
        dts += sample.duration;
        return pts;
      });
    })
    .sort((a, b) => a - b);
}
