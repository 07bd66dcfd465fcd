import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ulid } from '../../../src/base/ids.js';
import { buildInit, accessUnitsOf, buildFragment, parseFile } from '../../../src/media/mp4.js';
import type { AccessUnit, Fragment, RunStart, VideoFormat } from '../../../src/media/stream.js';

/** A small real recording: access units of an H.264 stream made by libx264. */
export interface Footage {
  format: VideoFormat;
  units: AccessUnit[];
}

let cached: Footage | undefined;

/** 20 s, 10 pictures a second, a key frame each second; made once per test process, or read from `file`. */
export function footage(file?: string): Footage {
  cached ??= read(file === undefined ? makeFootage() : readFileSync(file));
  return cached;
}

export function makeFootage(): Buffer {
  const movie = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4', '-'];
  const scene = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=128x96:rate=10', '-t', '20'];
  const x264 = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-tune',
    'zerolatency',
    '-threads',
    '1',
    '-g',
    '10',
    '-bf',
    '0',
  ];
  return execFileSync('ffmpeg', [...scene, ...x264, '-b:v', '100k', '-video_track_timescale', '90000', ...movie], {
    maxBuffer: 1 << 26,
  });
}

function read(file: Uint8Array): Footage {
  const info = parseFile(file);
  const units = info.fragments.flatMap((f) =>
    accessUnitsOf(file.subarray(f.offset, f.offset + f.bytes)).map((unit, i) => {
      const dts = f.decodeTime + i * 9000;
      return { ...unit, dts, pts: dts, data: unit.data.slice() };
    }),
  );
  return { format: info.init!.format, units };
}

/**
 * Feeds one stream: fragments of half a second from the small recording, over and over, with decode times that run on.
 */
export class Source {
  readonly stream: string;
  #index = 0;
  #run: RunStart | undefined;

  constructor(stream: string) {
    this.stream = stream;
  }

  start(wallMs: number, monoMs: number): RunStart {
    const [camera = '', role] = this.stream.split('.');
    this.#index = 0;
    this.#run = {
      stream: this.stream,
      camera,
      role: role === 'sub' ? 'sub' : 'main',
      run: ulid(wallMs),
      engine: 'native',
      format: footage().format,
      init: buildInit(footage().format),
      wallMs,
      monoMs,
    };
    return this.#run;
  }

  get run(): RunStart {
    return this.#run!;
  }

  /** Wall time at which the newest fragment ended. */
  get endMs(): number {
    return this.run.wallMs + this.#index * 500;
  }

  /** The next half second. */
  next(): Fragment {
    const { units } = footage();
    const index = this.#index++;
    const frames = 5;
    const at = (index * frames) % units.length;
    const picked = units.slice(at, at + frames).map((unit, i) => {
      const dts = (index * frames + i) * 9000;
      return { ...unit, dts, pts: dts, duration: 9000 };
    });
    const bytes = buildFragment(index, picked);
    return {
      index,
      key: picked[0]!.key,
      decodeTime: index * frames * 9000,
      duration: frames * 9000,
      frames,
      wallMs: this.run.wallMs + index * 500,
      monoMs: this.run.monoMs + index * 500,
      bytes,
    };
  }
}
