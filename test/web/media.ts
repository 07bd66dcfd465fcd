import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fragmented MP4 that can be played without end: fragment n of the loop, its decode time moved on. */
export interface Loop {
  init: Uint8Array;
  /** Length of a fragment in ms; all are equal and start at a key frame. */
  fragmentMs: number;
  fragment(n: number): Uint8Array;
  width: number;
  height: number;
  codec: string;
}

interface Box {
  type: string;
  bytes: Uint8Array;
}

function topBoxes(file: Uint8Array): Box[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const boxes: Box[] = [];
  for (let at = 0; at < file.length;) {
    const size = view.getUint32(at);
    const type = Buffer.from(file.subarray(at + 4, at + 8)).toString('latin1');
    boxes.push({ type, bytes: file.subarray(at, at + size) });
    at += size;
  }
  return boxes;
}

const FPS = 10;

/** Made by ffmpeg: its test picture, or a file scaled to size. Baseline, so that every Chromium plays it. */
export function makeLoop(options: { width: number; height: number; seconds: number; source?: string }): Loop {
  const directory = mkdtempSync(join(tmpdir(), 'bluelight-web-'));
  const path = join(directory, 'loop.mp4');
  const { width, height, seconds } = options;
  const input =
    options.source === undefined
      ? ['-f', 'lavfi', '-i', `testsrc2=size=${width}x${height}:rate=${FPS}`]
      : ['-stream_loop', '-1', '-i', options.source];
  const encode = ['-vf', `scale=${width}:${height},fps=${FPS}`, '-an', '-c:v', 'libx264', '-profile:v', 'main'];
  const gop = ['-preset', 'ultrafast', '-crf', '30', '-pix_fmt', 'yuv420p', '-bf', '0', '-g', String(FPS / 2)];
  const container = ['-sc_threshold', '0', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4'];
  try {
    execFileSync('ffmpeg', ['-v', 'error', ...input, '-t', String(seconds), ...encode, ...gop, ...container, path]);
    return loopOf(readFileSync(path), options);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function loopOf(file: Uint8Array, size: { width: number; height: number; seconds: number }): Loop {
  const boxes = topBoxes(file);
  const init = Buffer.concat(boxes.filter((box) => box.type === 'ftyp' || box.type === 'moov').map((box) => box.bytes));
  const moofs = boxes.map((box, i) => (box.type === 'moof' ? i : -1)).filter((i) => i >= 0);
  const fragments = moofs.map((i) => Buffer.concat([boxes[i]!.bytes, boxes[i + 1]!.bytes]));
  const mdhd = init.indexOf('mdhd');
  const timescale = init.readUInt32BE(mdhd + 4 + 4 + 8);
  const avcC = init.indexOf('avcC');
  const codec = `avc1.${init.subarray(avcC + 5, avcC + 8).toString('hex')}`;
  const fragmentMs = 500;
  return {
    init,
    fragmentMs,
    ...size,
    codec,
    fragment(n) {
      const copy = Buffer.from(fragments[n % fragments.length]!);
      // tfdt version 1: 64-bit decode time after 4 bytes of version and flags.
      copy.writeBigUInt64BE(BigInt(Math.round((n * fragmentMs * timescale) / 1000)), copy.indexOf('tfdt') + 8);
      return copy;
    },
  };
}
