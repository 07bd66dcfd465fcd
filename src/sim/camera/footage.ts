import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { BluelightError, errorMessage } from '../../base/errors.js';
import { runToEnd, type ProcessSpec, type Processes } from '../../base/processes.js';
import { RENDERER_VERSION, Scene, type SceneTruth } from '../scene/index.js';
import type { EncodingOptions, PictureFault, VideoSource } from './options.js';

/** Encoded once: two elementary streams that show the same moments, and stills of the main one. */
export interface Footage {
  main: Uint8Array;
  sub: Uint8Array | undefined;
  /** JPEG, one every `SNAPSHOT_SECONDS` of the loop. */
  snapshots: Uint8Array[];
  truth: SceneTruth | undefined;
}

export const SNAPSHOT_SECONDS = 5;

/** Elementary streams; which codec is for the request to say. */
const MAIN = 'main.video';
const SUB = 'sub.video';

export interface FootageRequest {
  source: VideoSource;
  main: EncodingOptions;
  sub: EncodingOptions | undefined;
  fault?: PictureFault;
}

/** Raised when the encoder's settings change, so that older cached footage is not used. */
const ENCODER_VERSION = 2;
const DEFAULT_FILE_SECONDS = 300;

/** Takes footage from the cache or makes it (a minute of 1080p takes about 6 s of two cores). */
export async function prepareFootage(
  request: FootageRequest,
  cacheDir: string,
  processes: Processes,
): Promise<Footage> {
  const directory = join(cacheDir, `footage-${await footageKey(request)}`);
  if (!existsSync(directory)) {
    await make(directory, (building) => fill(request, cacheDir, building, processes));
  }
  return load(directory);
}

async function footageKey(request: FootageRequest): Promise<string> {
  const { source } = request;
  const about = source.kind === 'file' ? await fileIdentity(source.path) : { renderer: RENDERER_VERSION };
  const text = JSON.stringify([
    ...[ENCODER_VERSION, about, source, request.main, request.sub ?? null],
    ...(request.fault === undefined ? [] : [request.fault, SPOILING[request.fault]]),
  ]);
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

async function fileIdentity(path: string): Promise<object> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { path: resolve(path), size, mtimeMs };
  } catch (cause) {
    throw new BluelightError('SIM_SOURCE', `the video file ${path} cannot be read: ${errorMessage(cause)}`, {
      fix: 'give the path of a video file that ffmpeg can read',
      cause,
    });
  }
}

async function make(directory: string, write: (building: string) => Promise<void>): Promise<void> {
  const building = `${directory}.${randomBytes(4).toString('hex')}`;
  await mkdir(building, { recursive: true });
  try {
    await write(building);
    await rename(building, directory);
  } catch (error) {
    // Another process may have been faster; its result is as good.
    if (!existsSync(directory)) throw error;
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function fill(request: FootageRequest, cacheDir: string, building: string, processes: Processes): Promise<void> {
  const { fault, ...clean } = request;
  if (fault !== undefined) {
    const footage = await prepareFootage(clean, cacheDir, processes);
    await spoilFootage(footage, request, fault, building, processes);
  } else if (request.source.kind === 'scene') await makeFromScene(request, building, processes);
  else await makeFromFile(request, building, processes);
}

/** ffmpeg filters that make of a good picture what a camera in trouble sends; each has a little noise of its own. */
const SPOILING: Record<PictureFault, string> = {
  dark: "lutyuv=y='16+0.02*(val-16)':u=128:v=128,noise=c0s=3:c0f=t",
  white: 'lutyuv=y=235:u=128:v=128,noise=c0s=2:c0f=t',
  covered: "scale=8:4:flags=area,scale=W:H:flags=bicubic,lutyuv=y='40+0.2*val',noise=c0s=3:c0f=t",
  blurred: 'scale=iw/20:-2:flags=area,scale=W:H:flags=bicubic,noise=c0s=2:c0f=t',
  turned: 'scroll=hpos=0.37:vpos=0.2',
};

async function spoilFootage(
  footage: Footage,
  { main, sub }: FootageRequest,
  fault: PictureFault,
  directory: string,
  processes: Processes,
): Promise<void> {
  const spoil = async (bytes: Uint8Array, to: EncodingOptions, args: readonly string[]): Promise<void> => {
    const size = `${String(to.width)}:${String(to.height)}`;
    const input = ['-framerate', String(to.fps), '-f', to.codec === 'h265' ? 'hevc' : 'h264', '-i', 'pipe:0'];
    const filter = SPOILING[fault].replace('W:H', size);
    await runToEnd(processes, ffmpeg([...input, '-vf', `${filter},format=yuv420p`, ...args]), { input: bytes });
  };
  await spoil(footage.main, main, [...encoderArgs(main), join(directory, MAIN)]);
  if (sub !== undefined && footage.sub !== undefined) {
    await spoil(footage.sub, sub, [...encoderArgs(sub), join(directory, SUB)]);
  }
  const stills = ['-r', `1/${String(SNAPSHOT_SECONDS)}`, ...STILL_ARGS, join(directory, 'still-%03d.jpg')];
  await spoil(footage.main, main, stills);
  if (footage.truth !== undefined) await writeFile(join(directory, 'truth.json'), JSON.stringify(footage.truth));
}

async function makeFromScene(request: FootageRequest, directory: string, processes: Processes): Promise<void> {
  if (request.source.kind !== 'scene') return;
  const scene = new Scene(request.source.scene);
  await encodeScene(scene, request.main, join(directory, MAIN), processes);
  if (request.sub !== undefined) await encodeScene(scene, request.sub, join(directory, SUB), processes);
  await sceneStills(scene, request.main, directory, processes);
  await writeFile(join(directory, 'truth.json'), JSON.stringify(scene.truth()));
}

async function encodeScene(scene: Scene, to: EncodingOptions, path: string, processes: Processes): Promise<void> {
  const frames = Math.round(scene.loopSeconds * to.fps);
  const seconds = Array.from({ length: frames }, (_, i) => i / to.fps);
  await pipePictures(scene, to, seconds, ['-r', String(to.fps)], [...encoderArgs(to), path], processes);
}

async function sceneStills(scene: Scene, main: EncodingOptions, dir: string, processes: Processes): Promise<void> {
  const count = Math.max(1, Math.floor(scene.loopSeconds / SNAPSHOT_SECONDS));
  const seconds = Array.from({ length: count }, (_, i) => i * SNAPSHOT_SECONDS);
  await pipePictures(scene, main, seconds, ['-r', '1'], [...STILL_ARGS, join(dir, 'still-%03d.jpg')], processes);
}

const STILL_ARGS = ['-c:v', 'mjpeg', '-q:v', '4', '-pix_fmt', 'yuvj420p'];

async function pipePictures(
  scene: Scene,
  size: { width: number; height: number },
  seconds: readonly number[],
  inputArgs: readonly string[],
  outputArgs: readonly string[],
  processes: Processes,
): Promise<void> {
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${String(size.width)}x${String(size.height)}`];
  const spec = ffmpeg([...raw, ...inputArgs, '-i', 'pipe:0', ...outputArgs]);
  const child = processes.start(spec);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString('utf8')).slice(-2_000)));
  const renderer = scene.renderer(size.width, size.height);
  for (const second of seconds) {
    if (child.stdin.destroyed) break;
    // The pipe keeps a reference until the bytes are gone; the renderer's buffer is used again at once.
    const written = child.stdin.write(Buffer.from(renderer.render(second).bytes));
    if (!written) await Promise.race([once(child.stdin, 'drain'), child.ended]);
  }
  child.stdin.end();
  const end = await child.ended;
  if (end.code !== 0) {
    throw new BluelightError('SIM_ENCODE', `ffmpeg could not encode the scene: ${end.error?.message ?? errors}`, {
      fix: 'check that ffmpeg with libx264 is installed',
    });
  }
}

async function makeFromFile(request: FootageRequest, directory: string, processes: Processes): Promise<void> {
  if (request.source.kind !== 'file') return;
  const input = ['-t', String(request.source.maxSeconds ?? DEFAULT_FILE_SECONDS), '-i', request.source.path];
  const fit = (to: EncodingOptions): string => {
    const size = `${String(to.width)}:${String(to.height)}`;
    return `fps=${String(to.fps)},scale=${size}:force_original_aspect_ratio=decrease,pad=${size}:-1:-1,format=yuv420p`;
  };
  const output = (to: EncodingOptions, name: string): string[] => {
    return ['-map', '0:v:0', '-vf', fit(to), ...encoderArgs(to), join(directory, name)];
  };
  const stills = `fps=1/${String(SNAPSHOT_SECONDS)}:round=up`;
  await runToEnd(
    processes,
    ffmpeg([
      ...input,
      ...output(request.main, MAIN),
      ...(request.sub === undefined ? [] : output(request.sub, SUB)),
      ...['-map', '0:v:0', '-vf', stills, ...STILL_ARGS, join(directory, 'still-%03d.jpg')],
    ]),
  );
}

function ffmpeg(args: string[]): ProcessSpec {
  return { command: 'ffmpeg', args: ['-v', 'error', '-nostdin', '-y', ...args] };
}

/** ultrafast with the tools switched back on that halve the size for a tenth more time: High profile as cameras send it. */
function encoderArgs(to: EncodingOptions): string[] {
  const gop = String(Math.round(to.fps * to.gopSeconds));
  const rate = `${String(to.kbps)}k`;
  const bounds = ['-g', gop, '-keyint_min', gop, '-maxrate', rate, '-bufsize', rate];
  if (to.codec === 'h265') {
    // Repeated parameter sets and closed GOPs, as cameras send them.
    const x265 = 'bframes=0:open-gop=0:scenecut=0:repeat-headers=1:log-level=error:info=0';
    return ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', x265, ...bounds, '-crf', '28', '-f', 'hevc'];
  }
  return [
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-x264-params', 'cabac=1:deblock=0,0:8x8dct=1', '-bf', '0'],
    ...bounds,
    ...['-sc_threshold', '0', '-crf', '24', '-f', 'h264'],
  ];
}

async function load(directory: string): Promise<Footage> {
  const names = await readdir(directory);
  const read = (name: string): Promise<Uint8Array> => readFile(join(directory, name));
  const stills = names.filter((name) => name.startsWith('still-')).sort();
  const truth = names.includes('truth.json') ? await readFile(join(directory, 'truth.json'), 'utf8') : undefined;
  return {
    main: await read(MAIN),
    sub: names.includes(SUB) ? await read(SUB) : undefined,
    snapshots: await Promise.all(stills.map(read)),
    truth: truth === undefined ? undefined : (JSON.parse(truth) as SceneTruth),
  };
}
