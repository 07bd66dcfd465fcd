import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Log, Redactor } from '../base/log.js';
import type { Processes, RunningProcess } from '../base/processes.js';
import { BoxReader, parseInit, parseMoof } from '../media/mp4.js';
import { TIMESCALE } from '../media/stream.js';
import { classifyEnd, CLEAR, isHarmless, NOT_RECORDED, REFUSED } from './complaint.js';
import { Holes } from './holes.js';
import { RateLimit } from './rate.js';
import type { EndCause, Engine, EngineEnd, EngineEvents, EngineSession, EngineSource } from './ports.js';
import { RedirectGuard } from './redirect-guard.js';
import { encodeStrict, ffconcatScript } from './source.js';

export interface FfmpegDeps {
  clock: Clock;
  processes: Processes;
  log: Log;
  redactor: Redactor;
  maxAccessUnitBytes: number;
}

/** Options of the inner RTSP input. `timeout` (µs) is what ends a dead connection; without it ffmpeg waits for ever. */
const RTSP_OPTIONS = {
  // UDP only where the camera refuses TCP, and then from the camera's address only (the guard names it).
  rtsp_transport: 'udp+tcp',
  rtsp_flags: 'prefer_tcp+filter_src',
  // Only with a queue for what comes out of order is a packet that is missing told, over TCP too.
  reorder_queue_size: '16',
  timeout: '10000000',
  // Audio is not even set up: recording it needs a decision of law that is not ours.
  allowed_media_types: 'video',
  // Less probing: the frame rate is measured from the pictures themselves.
  fpsprobesize: '0',
  analyzeduration: '500000',
};

/**
 * `hev1`, which the muxer picks for H.265, keeps parameter sets inside the samples; `hvc1` would strip them. One
 * fragment per picture carries its time and length without a container of our own.
 */
const ARGS = [
  ...['-hide_banner', '-nostats', '-nostdin', '-loglevel', 'repeat+warning'],
  ...['-f', 'concat', '-safe', '0', '-protocol_whitelist', 'pipe,fd,rtsp,tcp,rtp,udp', '-i', 'pipe:0'],
  ...['-map', '0:v:0', '-c', 'copy', '-flush_packets', '1'],
  ...['-f', 'mp4', '-movflags', 'frag_every_frame+empty_moov+default_base_moof', 'pipe:1'],
];

const LED: EngineEnd = {
  cause: 'invalid',
  detail: 'the camera wants to send us to another address; this is not followed',
};
const KEPT_LINES = 20;
/** How libavformat/rtpdec.c tells of packets that did not come; the picture that lacks them comes out after it. */
const LOST = /RTP: missed (-?\d+) packets|RTP: PT=\w+: bad cseq/;
const STOP_GRACE_MS = 2_000;

/** A copying ffmpeg child per stream: speaks to whatever ffmpeg speaks to, at several times the cost of the native engine. */
export function ffmpegEngine(deps: FfmpegDeps): Engine {
  return { name: 'ffmpeg', open: (source, events) => new FfmpegSession(deps, source, events) };
}

class FfmpegSession implements EngineSession {
  readonly ended: Promise<EngineEnd>;
  readonly #deps: FfmpegDeps;
  readonly #source: EngineSource;
  readonly #events: EngineEvents;
  readonly #boxes: BoxReader;
  readonly #lines: string[] = [];
  readonly #complaints: RateLimit;
  #process: RunningProcess | undefined;
  #own: EngineEnd | undefined;
  #moof: Uint8Array | undefined;
  #scale = 1;
  #accepted = false;
  readonly #holes = new Holes();

  constructor(deps: FfmpegDeps, source: EngineSource, events: EngineEvents) {
    this.#deps = deps;
    this.#source = source;
    this.#events = events;
    this.#boxes = new BoxReader(deps.maxAccessUnitBytes + 8);
    this.#complaints = new RateLimit(deps.clock, { count: 10, perMs: 60_000 });
    this.ended = this.#run();
  }

  stop(): void {
    this.#finish({ cause: 'stopped', detail: '' });
  }

  /** Our own reason to end; the exit of the process then says nothing new. */
  #finish(end: EngineEnd): void {
    if (this.#own !== undefined) return;
    this.#own = end;
    void this.#process?.stop(STOP_GRACE_MS);
  }

  async #run(): Promise<EngineEnd> {
    const { url, username, password, allowBasic = false } = this.#source;
    const guard = await RedirectGuard.open(url, allowBasic);
    try {
      const way = { ...url, host: '127.0.0.1', port: guard.port };
      const end = await this.#converse(ffconcatScript(way, username, password, RTSP_OPTIONS));
      if (this.#own !== undefined) return end;
      // However ffmpeg ended and whatever it printed: another try would be another refused login.
      if (guard.clear) return CLEAR;
      return guard.led ? LED : guard.refused && !this.#accepted ? REFUSED : end;
    } catch (error) {
      if (!(error instanceof BluelightError)) throw error;
      return { cause: 'invalid', detail: `${error.message}; ${error.fix ?? ''}` };
    } finally {
      guard.close();
    }
  }

  async #converse(script: string): Promise<EngineEnd> {
    const process = this.#deps.processes.start({ command: 'ffmpeg', args: ARGS });
    this.#process = process;
    process.stdin.end(script);
    process.stdout.on('data', (chunk: Uint8Array) => void afterNextRead().then(() => this.#onOutput(chunk)));
    let rest = '';
    process.stderr.on('data', (chunk: Uint8Array) => {
      const lines = (rest + Buffer.from(chunk).toString('utf8')).split(/\r?\n|\r/);
      rest = (lines.pop() ?? '').slice(-4_000);
      for (const line of lines) this.#onComplaint(line);
    });
    const end = await process.ended;
    await afterNextRead();
    if (rest !== '') this.#onComplaint(rest);
    if (this.#own !== undefined) return this.#own;
    if (end.error !== undefined) return { cause: 'broken', detail: `ffmpeg: ${errorMessage(end.error)}` };
    return classifyEnd(this.#lines, end.code, end.signal);
  }

  #onComplaint(line: string): void {
    const clean = this.#scrub(line);
    if (LOST.test(clean)) this.#onLoss(clean);
    if (clean.trim() === '' || isHarmless(clean)) return;
    this.#lines.push(clean);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    if (!this.#complaints.allow()) return;
    const dropped = this.#complaints.takeDropped();
    this.#deps.log.debug(
      { stream: this.#source.stream, line: clean, ...(dropped > 0 ? { dropped } : {}) },
      'ffmpeg says',
    );
  }

  #onLoss(line: string): void {
    this.#holes.missed();
    if (this.#own !== undefined) return;
    const packets = LOST.exec(line)?.[1];
    this.#events.lost(
      packets === undefined ? 'packets of the camera are missing' : `${packets} packets of the camera are missing`,
    );
  }

  /** The password in every form in which it was handed over, and any user info in an address. */
  #scrub(line: string): string {
    const { password } = this.#source;
    let clean = this.#deps.redactor.clean(line).replace(/\/\/[^/\s]*@/g, '//');
    if (password !== '') {
      for (const form of [password, encodeStrict(password)]) clean = clean.replaceAll(form, '[redacted]');
    }
    return clean;
  }

  #onOutput(chunk: Uint8Array): void {
    if (this.#own !== undefined && this.#own.cause !== 'stopped') return;
    this.#events.received(chunk.length);
    const boxes = this.#boxes.push(chunk);
    if (boxes === undefined)
      return this.#refuse('invalid', 'a picture of the camera is larger than any picture can be');
    for (const box of boxes) {
      if (box.type === 'moov') this.#onInit(box.bytes);
      else if (box.type === 'moof') this.#moof = box.bytes;
      else if (box.type === 'mdat') this.#onSamples(box.bytes);
    }
  }

  #refuse(cause: EndCause, detail: string): void {
    this.#finish({ cause, detail });
  }

  #onInit(moov: Uint8Array): void {
    const init = parseInit(moov);
    if (init === undefined) return this.#finish(NOT_RECORDED);
    this.#scale = TIMESCALE / init.timescale;
    this.#accepted = true;
    this.#events.accepted();
    this.#events.parameterSets(init.format.codec, init.format.parameterSets);
  }

  #onSamples(mdat: Uint8Array): void {
    const moof = this.#moof === undefined ? undefined : parseMoof(this.#moof);
    if (this.#moof === undefined || moof === undefined)
      return this.#refuse('broken', 'ffmpeg wrote a fragment that cannot be read');
    let at = moof.dataOffset - this.#moof.length;
    let dts = moof.decodeTime;
    const now = this.#deps.clock.monotonic();
    for (const sample of moof.samples) {
      if (at < 8 || at + sample.size > mdat.length)
        return this.#refuse('broken', 'ffmpeg wrote a fragment that cannot be read');
      const picture = {
        data: mdat.subarray(at, at + sample.size),
        dts: Math.round(dts * this.#scale),
        pts: Math.round((dts + sample.compositionOffset) * this.#scale),
        // ffmpeg keeps a picture until it has seen the start of the next but one (parser, then muxer).
        arrivedMs: now - (2 * sample.duration * this.#scale * 1000) / TIMESCALE,
      };
      if (this.#holes.passes(picture.dts, now)) this.#events.picture(picture);
      at += sample.size;
      dts += sample.duration;
    }
  }
}

/** After the event loop has looked at every pipe once more: what ffmpeg said before it wrote is read before it. */
async function afterNextRead(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}
