import { Readable, Writable } from 'node:stream';
import ffmpeg from 'fluent-ffmpeg';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Processes } from '../base/processes.js';
import { paintMasks, readPpm, type Polygon } from '../media/mask.js';

/** Footage of one run, of which one picture is wanted. */
export interface StillJob {
  /** `ftyp` + `moov` */
  init: Uint8Array;
  /** `moof` + `mdat` each, in order of decoding, from a key frame on up to the one that holds the picture. */
  fragments: readonly Uint8Array[];
  /** Presentation time of the picture, ticks since the start of the run. */
  pts: number;
  /** Painted over before the picture is encoded. */
  masks?: readonly Polygon[];
}

export interface StillLimits {
  clock: Clock;
  processes: Processes;
  /** Ends the decoder at once. */
  signal: AbortSignal;
  /** For the whole job. */
  deadlineMs?: number;
  /** Of the JPEG. */
  maxBytes?: number;
}

const DEADLINE_MS = 20_000;
const MAX_INPUT_BYTES = 128 * 1024 * 1024;
const MAX_JPEG_BYTES = 16 * 1024 * 1024;
/** 42 million pixels. */
const MAX_RAW_BYTES = 128 * 1024 * 1024;
/** Pictures larger than this are a lie of the stream and would only eat memory (8k is 33 million). */
const MAX_PIXELS = 64 * 1024 * 1024;
/** Recording has the first word. */
const NICENESS = 10;

/**
 * Footage comes from a pipe and may name nothing else. Times are taken as they stand in the fragments: neither shifted
 * to zero nor by an edit list, so that the wanted one is found again.
 */
const INPUT = [
  ...['-hide_banner', '-nostdin', '-v', 'error', '-protocol_whitelist', 'pipe', '-threads', '2'],
  ...['-max_pixels', String(MAX_PIXELS), '-copyts', '-ignore_editlist', '1'],
];

/**
 * Decodes from the key frame up to the wanted picture and gives it as JPEG in its full size. Where the decoder cannot
 * show that very picture (one that leans on a group before), it is the next that it can.
 * Everything stays in memory: bytes in through stdin, bytes out through stdout. The child is gone when this settles.
 * @throws BluelightError STILL_FAILED, STILL_TIMEOUT, TOO_LARGE; the reason of `signal`
 */
export async function decodeStill(job: StillJob, limits: StillLimits): Promise<Buffer> {
  const { clock, processes, signal, deadlineMs = DEADLINE_MS, maxBytes = MAX_JPEG_BYTES } = limits;
  signal.throwIfAborted();
  const bytes = job.fragments.reduce((sum, fragment) => sum + fragment.length, job.init.length);
  if (bytes > MAX_INPUT_BYTES || !Number.isSafeInteger(job.pts)) {
    throw new BluelightError('TOO_LARGE', 'the footage up to this picture is too large to be decoded at once');
  }
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = new AbortController();
  clock.sleep(deadlineMs, timer.signal).then(
    () => stop.abort(tooSlow()),
    () => undefined,
  );
  const through = (stage: Stage, parts: readonly Uint8Array[], most: number): Promise<Buffer> =>
    pass(processes, stage, parts, most, stop);
  try {
    const footage = [job.init, ...job.fragments];
    const { masks = [] } = job;
    if (masks.length === 0) return await through(shown(job.pts, 'mjpeg'), footage, maxBytes);
    const raw = await through(shown(job.pts, 'ppm'), footage, MAX_RAW_BYTES);
    paintMasks(readPpm(raw), masks);
    return await through(AS_JPEG, [raw], maxBytes);
  } catch (cause) {
    stop.signal.throwIfAborted();
    throw cause instanceof BluelightError ? cause : failed(errorMessage(cause), cause);
  } finally {
    timer.abort();
    signal.removeEventListener('abort', onAbort);
  }
}

/** What a child makes of the bytes it is given. */
type Stage = (job: ffmpeg.FfmpegCommand) => ffmpeg.FfmpegCommand;

/** The wanted picture of the footage. */
function shown(pts: number, as: 'mjpeg' | 'ppm'): Stage {
  const format = as === 'mjpeg' ? 'mjpeg' : 'image2pipe';
  return (job) =>
    job
      .inputOptions(INPUT)
      .inputFormat('mp4')
      .outputOptions(['-map', '0:v:0', '-fps_mode', 'passthrough', '-q:v', '3'])
      .videoFilters(`select=gte(pts\\,${String(pts)})`)
      .frames(1)
      .videoCodec(as)
      .format(format);
}

/** A painted picture. */
const AS_JPEG: Stage = (job) =>
  job
    .inputOptions(['-hide_banner', '-nostdin', '-v', 'error', '-protocol_whitelist', 'pipe'])
    .inputFormat('ppm_pipe')
    .outputOptions(['-q:v', '3', '-pix_fmt', 'yuvj420p'])
    .frames(1)
    .videoCodec('mjpeg')
    .format('mjpeg');

/** One child: bytes in, bytes out. @throws the reason of `stop`; whatever the child complains of */
async function pass(
  processes: Processes,
  stage: Stage,
  parts: readonly Uint8Array[],
  maxBytes: number,
  stop: AbortController,
): Promise<Buffer> {
  const job = ffmpeg(Readable.from(parts, { objectMode: false }));
  startBy(processes, job);
  // Else it would start further children to ask which formats there are.
  job.availableFormats = (callback) => callback(NO_ERROR, FORMATS);
  job.availableEncoders = (callback) => callback(NO_ERROR, ENCODERS);
  const output = new Collector(maxBytes, () => stop.abort(tooLarge()));
  await Promise.all([run(stage(job), output, stop.signal), output.finished]);
  stop.signal.throwIfAborted();
  if (output.bytes === 0) throw failed('the decoder gave no picture');
  return output.whole();
}

interface Lines {
  get(): string;
  callback(listener: (line: string) => void): void;
}

/** What the package wants of a child. */
interface Child {
  stdin: Writable;
  stdout: Readable;
  kill(): void;
}

/** The one function by which the package starts a child (2.1.3, its last version). */
interface Starts {
  _spawnFfmpeg(
    args: string[],
    options: object,
    onStart: (child: Child, stdout: Lines, stderr: Lines) => void,
    onEnd: (error: Error | null, stdout: Lines, stderr: Lines) => void,
  ): void;
}

/**
 * Left to itself the package starts children that outlive a `kill -9` of the agent, hands them its whole environment,
 * and throws where nobody can catch it when the system has no process left to give. So it gets its children, as
 * everybody here, from `base/processes`.
 */
function startBy(processes: Processes, job: ffmpeg.FfmpegCommand): void {
  (job as unknown as Starts)._spawnFfmpeg = (args, _options, onStart, onEnd) => {
    let complaint = '';
    const nothing: Lines = { get: () => '', callback: () => undefined };
    const stderr: Lines = { get: () => complaint, callback: () => undefined };
    try {
      const child = processes.start({ command: 'nice', args: ['-n', String(NICENESS), 'ffmpeg', ...args.map(String)] });
      child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(-1_000)));
      onStart({ stdin: child.stdin, stdout: child.stdout, kill: () => child.kill() }, nothing, stderr);
      void child.ended.then(({ code, signal, error }) => {
        const why = error ?? (code === 0 ? null : new Error(`ffmpeg exited with code ${signal ?? String(code)}`));
        onEnd(why, nothing, stderr);
      });
    } catch (error) {
      onEnd(error as Error, nothing, stderr);
    }
  };
}

/** Resolves when the child has ended well; rejects when it has ended otherwise. */
function run(job: ffmpeg.FfmpegCommand, output: Writable, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const kill = (): void => void job.kill('SIGKILL');
    job.once('start', () => {
      if (stop.aborted) kill();
      else stop.addEventListener('abort', kill, { once: true });
    });
    job.once('end', () => resolve());
    job.once('error', reject);
    job.pipe(output, { end: true });
  });
}

/** Keeps what the child writes. It emits no `close`: the package would take that for a reader who went away. */
class Collector extends Writable {
  readonly finished: Promise<void>;
  bytes = 0;
  readonly #parts: Buffer[] = [];

  constructor(maxBytes: number, onTooMany: () => void) {
    super({
      emitClose: false,
      autoDestroy: false,
      write: (chunk: Buffer, _encoding, done) => {
        this.bytes += chunk.length;
        if (this.bytes > maxBytes) onTooMany();
        else this.#parts.push(chunk);
        done();
      },
    });
    this.finished = new Promise((resolve) => this.once('finish', resolve));
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** The types of the package know no call without an error. */
const NO_ERROR = null as unknown as Error;
const FORMATS: ffmpeg.Formats = {
  mp4: { description: 'MP4', canDemux: true, canMux: true },
  mjpeg: { description: 'JPEG', canDemux: true, canMux: true },
  image2pipe: { description: 'pictures', canDemux: true, canMux: true },
  ppm_pipe: { description: 'PPM', canDemux: true, canMux: false },
};
const ENCODER = {
  type: 'video',
  frameMT: false,
  sliceMT: true,
  experimental: false,
  drawHorizBand: false,
  directRendering: false,
} as const;
const ENCODERS: ffmpeg.Encoders = {
  mjpeg: { ...ENCODER, description: 'JPEG' },
  ppm: { ...ENCODER, description: 'PPM' },
};

function failed(why: string, cause?: unknown): BluelightError {
  return new BluelightError('STILL_FAILED', `no picture could be made of this footage: ${why}`, {
    fix: 'take a moment a few seconds earlier or later',
    cause,
  });
}

function tooSlow(): BluelightError {
  return new BluelightError('STILL_TIMEOUT', 'the picture was not decoded in time', {
    fix: 'try again when the box has less to do, or take the substream',
    retryable: true,
  });
}

function tooLarge(): BluelightError {
  return new BluelightError('TOO_LARGE', 'the picture is larger than a still may be');
}
