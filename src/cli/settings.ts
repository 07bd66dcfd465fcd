import type { Command } from 'commander';
import { BluelightError } from '../base/errors.js';
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
        if (rows.length === 0)
          throw new BluelightError('USAGE', `there is no setting "${key}"`, {
            fix: '`bluelight settings explain` lists what there is',
          });
        context.show(rows, () => {
          for (const row of rows) line(`${row.key} = ${row.default}\n    ${row.consequence}`);
        });
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
