import type { Command } from 'commander';
import { BluelightError, errorMessage } from '../base/errors.js';
import { claimFile } from '../contract/messages.js';
import { action } from './context.js';
import { readText } from './input.js';
import { line } from './output.js';

export function addClaimCommand(program: Command): void {
  program
    .command('claim')
    .description('bind this box to a center')
    .requiredOption('--file <path>', 'the claim file that the center gave')
    .action(
      action(async (context, options: { file: string }) => {
        const claim = readClaim(options.file);
        const bound = await context.agent().post<{ site: string; box: string; center: string }>('/claim', claim);
        context.show(bound, () => line(`this box is now ${bound.site}/${bound.box} of center ${bound.center}`));
      }),
    );
}

function readClaim(path: string): unknown {
  const wrong = (reason: string, cause: unknown): BluelightError =>
    new BluelightError('CLAIM_INVALID', `${path}: ${reason}`, { fix: 'ask the center for a new claim file', cause });
  let data: unknown;
  const text = readText(path, 'the claim file that the center gave');
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw wrong(errorMessage(error), error);
  }
  const checked = claimFile.safeParse(data);
  if (checked.success) return checked.data;
  const first = checked.error.issues[0];
  throw wrong(`${first?.path.join('.') ?? ''}: ${first?.message ?? 'not a claim file'}`, checked.error);
}
