import type { Command } from 'commander';
import { parseDuration } from '../base/units.js';
import type { IssuedCodeBody, LoginsBody } from '../contract/logins.js';
import { action } from './context.js';
import { readSecret, readSecrets } from './input.js';
import { line } from './output.js';

export function addLoginCommands(program: Command): void {
  const login = program.command('login').description('who may log in to the local page');
  login
    .command('list')
    .description('every login, and until when it is good')
    .action(
      action(async (context) => {
        const { logins } = await context.agent().get<LoginsBody>('/logins');
        context.show(logins, () => context.table(logins.map((one) => ({ ...one, expiresAt: one.expiresAt ?? '-' }))));
      }),
    );
  login
    .command('technician')
    .description('a new code for the technician, shown once; the one before no longer opens')
    .option('--for <duration>', 'how long it is good (default: web.technician)')
    .action(
      action(async (context, options: { for?: string }) => {
        const seconds = options.for === undefined ? undefined : Math.round(parseDuration(options.for) / 1_000);
        const issued = await context.agent().post<IssuedCodeBody>('/logins/technician', { seconds });
        context.show(issued, () => line(`${issued.code}   good until ${issued.expiresAt}`));
      }),
    );
  login
    .command('viewer <name>')
    .description('somebody who may look and nothing else; his password is read from standard input')
    .option('--owner', "the owner's passphrase is read from standard input first, a line of its own")
    .action(
      action(async (context, name: string, options: { owner?: boolean }) => {
        const asked = [...(options.owner === true ? ['passphrase of the owner: '] : []), `password of ${name}: `];
        const [password, passphrase] = (await readSecrets(asked)).reverse();
        await context.agent().post('/logins/viewer', { name, password, passphrase });
        context.show({ name }, () => line(`${name} may look`));
      }),
    );
  login
    .command('remove <name>')
    .description('take a login away and end its sessions')
    .option('--owner', "the owner's passphrase is read from standard input")
    .action(
      action(async (context, name: string, options: { owner?: boolean }) => {
        const passphrase = options.owner === true ? await readSecret('passphrase of the owner: ') : undefined;
        await context.agent().post('/logins/remove', { name, passphrase });
        context.show({ name }, () => line(`${name} may no longer log in`));
      }),
    );
}
