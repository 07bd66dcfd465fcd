import type { Command } from 'commander';
import type { AuditEntry, PolicyDocument } from '../contract/policy.js';
import { action } from './context.js';
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

  const audit = program.command('audit').description('who looked, and who was refused');
  audit
    .command('show')
    .description('the newest entries of the audit log')
    .option('--limit <n>', 'how many', '50')
    .action(
      action(async (context, options: { limit: string }) => {
        const { entries } = await context
          .agent()
          .get<{ entries: AuditEntry[] }>(`/audit?limit=${Number(options.limit)}`);
        context.show(entries, () =>
          context.table(
            entries.map((e) => ({
              at: e.at,
              outcome: e.outcome,
              kind: e.kind,
              who: e.party,
              door: e.door,
              camera: e.camera ?? '-',
              code: e.code ?? '',
              reason: e.reason,
            })),
          ),
        );
      }),
    );
}
