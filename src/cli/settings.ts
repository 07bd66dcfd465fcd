import type { Command } from 'commander';
import { explainSettings } from '../settings/explain.js';
import { action } from './context.js';
import { line } from './output.js';

export function addSettingsCommand(program: Command): void {
  const settings = program.command('settings').description('the configuration file');
  settings
    .command('explain [key]')
    .description('every setting with its default and its consequence')
    .action(
      action((context, key: string | undefined) => {
        const rows = explainSettings().filter((row) => key === undefined || row.key.startsWith(key));
        context.show(rows, () => {
          for (const row of rows) line(`${row.key} = ${row.default}\n    ${row.consequence}`);
        });
        return rows.length > 0 ? 0 : 2;
      }),
    );
  settings
    .command('check')
    .description('check the configuration file without starting anything')
    .action(
      action((context) => {
        const values = context.settings();
        context.show(values, () => line('the configuration is good'));
      }),
    );
}
