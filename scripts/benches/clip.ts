import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { EvidenceBox } from '../../test/proof/delivered.js';
import { footage } from '../../test/ring/support/media.js';
import { rangeText } from '../../test/web/real-footage.js';

/** Seconds into the recording at which the clips begin; it goes on behind them. */
const FROM_S = 30;
const HOUR_S = 3_600;

interface Taken {
  firstMs: number;
  totalMs: number;
  bytes: number;
}

/**
 * Clips of 60 s and of 1 h out of a ring of 10 s segments of 2.2 Mbit/s, taken by curl through the API of the box, and
 * the same segments joined by `ffmpeg -f concat -c copy` to a fragmented MP4 on a pipe. The ring lies in memory for
 * both, so that no disk is compared.
 */
export async function run(args: string[]): Promise<Record<string, number | string>> {
  const { values } = parseArgs({ args, options: { runs: { type: 'string' } } });
  const runs = Number(values.runs ?? 3);
  const work = mkdtempSync('/dev/shm/bench-clip-');
  try {
    const { startMs, files } = record(work);
    const server = await serve(join(work, 'ring'));
    const figures: Record<string, number> = {};
    const highest: number[] = [];
    for (const [name, seconds] of [
      ['60s', 60],
      ['1h', HOUR_S],
    ] as const) {
      const query = rangeText(startMs, { fromMs: FROM_S * 1000, toMs: (FROM_S + seconds) * 1000 });
      // The first of each is a rehearsal.
      const ours = (await repeat(runs + 1, () => fromUs(server.socket, query))).slice(1);
      highest.push(await server.highestRss());
      const theirs = await repeat(runs, () => fromFfmpeg(work, files(FROM_S, FROM_S + seconds)));
      const our = medianOf(ours);
      const their = medianOf(theirs);
      figures[`first_byte_ms_${name}`] = round(our.firstMs);
      figures[`total_ms_${name}`] = round(our.totalMs);
      figures[`ffmpeg_first_byte_ms_${name}`] = round(their.firstMs);
      figures[`ffmpeg_total_ms_${name}`] = round(their.totalMs);
      figures[`total_ratio_${name}`] = round(our.totalMs / their.totalMs, 1e4);
      figures[`mb_${name}`] = round(our.bytes / 1e6);
    }
    figures['rss_mb_60s'] = round(highest[0]! / 1e6);
    figures['rss_mb_1h'] = round(highest[1]! / 1e6);
    await server.stop();
    return figures;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** An hour and a bit, by the ring itself. */
function record(work: string): { startMs: number; files: (fromS: number, toS: number) => string[] } {
  const scene = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=1280x720:rate=10,noise=alls=12:allf=t', '-t', '20'];
  const rate = ['-b:v', '2200k', '-minrate', '2200k', '-maxrate', '2200k', '-bufsize', '2200k'];
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '10', '-bf', '0', ...rate];
  const movie = ['-video_track_timescale', '90000', '-movflags', 'frag_keyframe+empty_moov+default_base_moof'];
  execFileSync('ffmpeg', [...scene, ...encode, '-pix_fmt', 'yuv420p', ...movie, join(work, 'footage.mp4')]);
  footage(join(work, 'footage.mp4'));
  mkdirSync(join(work, 'ring'));
  const box = new EvidenceBox({ segmentMs: 10_000, directory: join(work, 'ring') });
  box.record(HOUR_S + 2 * FROM_S);
  box.rig.end('door.main');
  const plan = box.rig.ring.plan('door.main', 0, 4e12);
  const paths = new Map(box.rig.files().map((path) => [Number(/(\d+)\.mp4$/.exec(path)![1]), path]));
  box.rig.ring.close();
  return {
    startMs: box.startMs,
    files: (fromS, toS) =>
      plan.files
        .flatMap((file) => file.segments)
        .filter((s) => s.endMs > box.startMs + fromS * 1000 && s.startMs < box.startMs + toS * 1000)
        .map((s) => paths.get(s.seq)!),
  };
}

async function serve(
  directory: string,
): Promise<{ socket: string; highestRss(): Promise<number>; stop(): Promise<void> }> {
  const path = fileURLToPath(new URL('../../test/web/footage-child.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', path, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('the server has ended');
    return line.value;
  };
  const socket = await next();
  return {
    socket,
    async highestRss() {
      child.stdin!.write('\n');
      return Number(await next());
    },
    async stop() {
      child.stdin!.end();
      await once(child, 'exit');
    },
  };
}

async function fromUs(socket: string, query: string): Promise<Taken> {
  const what = '%{http_code} %{time_starttransfer} %{time_total} %{size_download}';
  const args = ['-sS', '-o', '/dev/null', '-w', what, '--unix-socket', socket, `http://box/api/v1/export.mp4?${query}`];
  const { stdout } = await promisify(execFile)('curl', args);
  const [status, first, total, bytes] = stdout.split(' ').map(Number);
  if (status !== 200) throw new Error(`the box answered ${status}`);
  return { firstMs: first! * 1000, totalMs: total! * 1000, bytes: bytes! };
}

async function fromFfmpeg(work: string, files: readonly string[]): Promise<Taken> {
  const list = join(work, 'list.txt');
  writeFileSync(list, files.map((file) => `file '${file}'\n`).join(''));
  const movie = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4', 'pipe:1'];
  const args = ['-v', 'error', '-f', 'concat', '-safe', '0', '-i', list, '-c', 'copy', ...movie];
  const started = performance.now();
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let firstMs = 0;
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    firstMs ||= performance.now() - started;
    bytes += chunk.length;
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`ffmpeg ended with ${code}`);
  return { firstMs, totalMs: performance.now() - started, bytes };
}

async function repeat<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i++) results.push(await work());
  return results;
}

function medianOf(all: readonly Taken[]): Taken {
  const of = (pick: (taken: Taken) => number): number => all.map(pick).sort((a, b) => a - b)[all.length >> 1]!;
  return { firstMs: of((t) => t.firstMs), totalMs: of((t) => t.totalMs), bytes: of((t) => t.bytes) };
}

function round(value: number, by = 10): number {
  return Math.round(value * by) / by;
}
