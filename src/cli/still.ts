import { Option, type Command } from 'commander';
import { errorCode } from '../base/errors.js';
import { formatBytes } from '../base/units.js';
import { toUtc } from '../contract/primitives.js';
import { mustExist } from './camera.js';
import { action, type Context } from './context.js';
import { parseTime } from './input.js';
import { line } from './output.js';

interface StillOptions {
  at?: string;
  role: 'main' | 'sub';
  out: string;
}

export function addStillCommand(program: Command): void {
  program
    .command('still <camera>')
    .description('one picture of a camera as JPEG, of now or of the past')
    .option('--at <time>', '2026-11-23T14:05:00Z, 14:05 or -5m (default: the newest picture)')
    .addOption(new Option('--role <role>', 'stream').choices(['main', 'sub']).default('main'))
    .requiredOption('--out <file>', 'write it here')
    .action(action(takeStill));
}

async function takeStill(context: Context, camera: string, { at, role, out }: StillOptions): Promise<void> {
  const query = new URLSearchParams({ role });
  if (at !== undefined && at !== 'now') query.set('at', toUtc(parseTime(at, context.clock.now())));
  const agent = context.agent();
  const path = `/cameras/${encodeURIComponent(camera)}/snapshot.jpg?${query.toString()}`;
  const headers = await agent.save(path, out).catch(async (error: unknown) => {
    if (errorCode(error) === 'NO_COVERAGE') await mustExist(agent, camera);
    throw error;
  });
  const still = {
    file: out,
    camera,
    role,
    at: String(headers['x-captured-at']),
    bytes: Number(headers['content-length']),
  };
  context.show(still, () => line(`${out}  picture of ${still.at}, ${formatBytes(still.bytes)}`));
}
