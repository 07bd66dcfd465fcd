import type { Command } from 'commander';
import type { PolicyDocument } from '../contract/policy.js';
import { action } from './context.js';
import { addOwnerCommands } from './owner.js';
import { line } from './output.js';

export function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('who may see what');
  policy
    .command('show')
    .description('the terms in force')
    .action(
      action(async (context) => {
        const document = await context.agent().get<PolicyDocument>('/policy');
        context.show(document, () => {
          line(`version ${document.version}, set by the ${document.authority}; what is not named here is not shared`);
          context.table(
            document.cameras.map((c) => ({
              camera: c.camera,
              mode: c.mode,
              hours:
                c.hours.length === 0
                  ? 'always'
                  : c.hours.map((h) => `${h.days.join(',')} ${h.from}-${h.to}`).join('; '),
              'clips unasked': c.autoClips ? 'yes' : 'no',
              stills: c.stills ? 'yes' : 'no',
            })),
          );
        });
      }),
    );

  addOwnerCommands(program, policy);
}
