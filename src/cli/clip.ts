import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import { formatBytes } from '../base/units.js';
import type { Clip } from '../contract/clip.js';
import { mustExist } from './camera.js';
import { action, EXIT, type Context } from './context.js';
import { parseRange } from './input.js';
import { line } from './output.js';

interface MakeOptions {
  from: string;
  to: string;
  rendition: string;
  reason: string;
  send?: boolean;
  out?: string;
}

const CLOSE_WAIT_MS = 60_000;
const CLOSE_LOOK_MS = 1_000;

export function addClipCommands(program: Command): void {
  const clip = program.command('clip').description('clips: continuous ranges of one camera with their proof');
  clip
    .command('make <camera>')
    .description('make a clip of a range, with its signed manifest beside it')
    .requiredOption('--from <time>', '2026-11-23T14:05:00Z, 14:05 or -5m')
    .requiredOption('--to <time>', 'as --from; "now" is possible')
    .addOption(new Option('--rendition <kind>', 'what to make').choices(['original', 'proxy']).default('original'))
    .option('--reason <text>', 'why; it stands in the audit log', 'made on the box')
    .option('--out <dir>', 'write the file and its manifest here')
    .option('--send', 'upload it to the center')
    .action(action(makeClip));
  clip
    .command('get <id>')
    .description('write a clip that was made before, its manifest and what proves that nothing was left out')
    .option('--out <dir>', 'where', '.')
    .action(
      action(async (context, id: string, options: { out: string }) => {
        writable(options.out);
        const files = await saveClip(context, id, options.out);
        context.show({ id, files }, () => {
          for (const file of files) line(file);
        });
      }),
    );
  clip
    .command('list')
    .description('clips and where they are')
    .action(
      action(async (context) => {
        const { clips } = await context.agent().get<{ clips: Clip[] }>('/clips');
        context.show(clips, () =>
          context.table(
            clips.map((c) => ({
              id: c.id,
              camera: c.camera,
              from: c.from,
              to: c.to,
              state: c.state,
              sent: c.bytes === null ? '-' : `${formatBytes(c.sentBytes)} of ${formatBytes(c.bytes)}`,
              detail: c.detail,
            })),
          ),
        );
      }),
    );
}

async function makeClip(context: Context, camera: string, options: MakeOptions): Promise<number> {
  const body = {
    camera,
    ...parseRange(options.from, options.to, context.clock.now()),
    rendition: options.rendition,
    role: options.rendition === 'proxy' ? 'sub' : 'main',
    send: options.send ?? false,
    reason: options.reason,
  };
  // Before anything is made: a clip that cannot be written is not worth an entry in the audit log.
  if (options.out !== undefined) writable(options.out);
  const agent = context.agent();
  const clip = await agent.post<Clip>('/clips', body).catch(async (error: unknown) => {
    if (errorCode(error) === 'NO_COVERAGE') await mustExist(agent, camera);
    throw error;
  });
  const files = options.out === undefined ? [] : await saveClip(context, clip.id, options.out);
  context.show({ ...clip, files }, () => {
    line(`${clip.id}  ${clip.from} to ${clip.to}  ${clip.state}${clip.detail === '' ? '' : `: ${clip.detail}`}`);
    for (const file of files) line(`  ${file}`);
  });
  return EXIT.ok;
}

/** Tries it: a directory can be there and still take nothing, as on a full or read-only stick. */
function writable(dir: string): void {
  const probe = join(dir, `.bluelight-${process.pid}`);
  try {
    mkdirSync(dir, { recursive: true });
    writeFileSync(probe, 'x', { flag: 'wx' });
    rmSync(probe);
  } catch (cause) {
    throw new BluelightError('USAGE', `nothing can be written to ${dir}: ${errorMessage(cause)}`, {
      fix: 'name a directory that you may write to with --out',
      cause,
    });
  }
}

/** The last segment of a clip of now is still being written. */
async function whenClosed<T>({ clock }: Context, work: () => Promise<T>): Promise<T> {
  const until = clock.monotonic() + CLOSE_WAIT_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (errorCode(error) !== 'NOT_YET' || clock.monotonic() > until) throw error;
      await clock.sleep(CLOSE_LOOK_MS);
    }
  }
}

/** Leaves nothing behind that looks like a clip when it fails half way. */
async function saveClip(context: Context, id: string, dir: string): Promise<string[]> {
  const agent = context.agent();
  const files = ['mp4', 'manifest.json', 'anchor.json'].map((end) => join(dir, `${id}.${end}`));
  await whenClosed(context, () => agent.save(`/clips/${id}/file`, files[0]!));
  await agent.save(`/clips/${id}/manifest`, files[1]!);
  const anchored = await agent.save(`/clips/${id}/anchor`, files[2]!).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'NOT_FOUND') return false;
      throw error;
    },
  );
  return anchored ? files : files.slice(0, 2);
}
