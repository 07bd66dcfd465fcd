import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { AuditEntry, PolicyDocument } from '../contract/policy.js';
import { action, EXIT } from './context.js';
import { addOwnerCommands } from './owner.js';
import { whole } from './input.js';
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

  const audit = program.command('audit').description('who looked, and who was refused');
  audit
    .command('show')
    .description('the newest entries of the audit log')
    .option('--limit <n>', 'how many', whole, 50)
    .action(
      action(async (context, options: { limit: number }) => {
        const { entries } = await context.agent().get<{ entries: AuditEntry[] }>(`/audit?limit=${options.limit}`);
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
  audit
    .command('export <file>')
    .description('the whole log with its signed head, to be kept or checked elsewhere')
    .action(
      action(async (context, file: string) => {
        await context.agent().save('/audit/export', file);
      }),
    );
  audit
    .command('verify [file]')
    .description(
      'was anything changed or left out? An exported file is checked offline, without a file the running box',
    )
    .option('--key <key>', 'public key of the box: `bluelight status` on it and the console of the center show it')
    .action(
      action(async (context, file: string | undefined, options: { key?: string }) => {
        const { verifyAuditExport } = await import('../policy/audit-export.js');
        const text = file === undefined ? await context.agent().text('/audit/export') : readFileSync(file, 'utf8');
        const verdict = verifyAuditExport(text, options.key === undefined ? [] : [options.key]);
        context.show(verdict, () => {
          if (verdict.fault !== null) line(`TAMPERED at row ${verdict.fault.seq}: ${verdict.fault.why}`);
          else
            line(
              `${verdict.rows} rows, nothing changed or left out${verdict.trusted ? '' : '; by whom is not known: give --key'}`,
            );
        });
        if (verdict.fault !== null) return EXIT.checkFailed;
        return verdict.trusted || options.key === undefined ? EXIT.ok : EXIT.cannotTell;
      }),
    );
}
