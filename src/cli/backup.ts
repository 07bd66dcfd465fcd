import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import { toUtc } from '../contract/primitives.js';
import { action, type Context } from './context.js';
import { readSecret, readText } from './input.js';
import { line } from './output.js';

const PASSPHRASE = ['--passphrase-file <path>', 'its first line is the passphrase (default: standard input)'] as const;

/** The whole state of a box in one sealed file, and back. */
export function addBackupCommands(program: Command): void {
  program
    .command('backup')
    .description('cameras, passwords, keys, terms and audit log in one sealed file; recordings stay on their disk')
    .requiredOption('--out <file>', 'where to; keep the configuration file beside it')
    .option(...PASSPHRASE)
    .action(
      action(async (context, options: { out: string; passphraseFile?: string }) => {
        const passphrase = await passphraseOf(options.passphraseFile, true);
        await context.agent().save('/backup', options.out, { passphrase });
        context.show({ file: options.out }, () =>
          line(`${options.out}: nobody opens it without the passphrase, which is kept nowhere`),
        );
      }),
    );
  program
    .command('restore <file>')
    .description('puts a backup into the state directory of the configuration; the agent must not run')
    .option(...PASSPHRASE)
    .option('--swap', 'another computer takes the place of the box: it makes its own key, the old one can be revoked')
    .option('--replace', 'what the state directory holds is moved aside, and kept')
    .option('--new-disk', 'the recording disk is another one too: take the one that is there')
    .action(
      action(async (context, file: string, options: RestoreFlags) => {
        const dir = context.settings()['state_dir'];
        const bytes = readBackup(file);
        await refuseIfRunning(context);
        const passphrase = await passphraseOf(options.passphraseFile, false);
        const [{ restoreBackup }, { EXPECTED_DISK }] = await Promise.all([
          import('../store/backup.js'),
          import('../recording.js'),
        ]);
        const done = await restoreBackup({
          dir,
          file: bytes,
          passphrase,
          as: options.swap === true ? 'swap' : 'same',
          forget: options.newDisk === true ? [EXPECTED_DISK] : [],
          replace: options.replace,
          atMs: context.clock.now(),
        });
        context.show(done, () => {
          line(`${dir} is restored as it was at ${toUtc(done.madeMs)}; start the agent`);
          if (done.movedTo !== null) line(`what was there before is in ${done.movedTo}`);
        });
      }),
    );
}

interface RestoreFlags {
  passphraseFile?: string;
  swap?: boolean;
  replace?: boolean;
  newDisk?: boolean;
}

async function passphraseOf(file: string | undefined, fresh: boolean): Promise<string> {
  if (file !== undefined) return readText(file, 'a file with the passphrase').split('\n')[0]!;
  const typed = await readSecret('passphrase of the backup: ');
  // Nobody can open it after a slip of the finger.
  if (!fresh || !process.stdin.isTTY) return typed;
  if ((await readSecret('again: ')) === typed) return typed;
  throw new BluelightError('USAGE', 'the two are not the same', { fix: 'type it again' });
}

function readBackup(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new BluelightError('USAGE', `cannot read ${file}: ${errorCode(cause) ?? errorMessage(cause)}`, {
      fix: 'name a file that `bluelight backup` wrote',
      cause,
    });
  }
}

async function refuseIfRunning(context: Context): Promise<void> {
  try {
    await context.agent().get('/session');
  } catch (error) {
    if (errorCode(error) === 'AGENT_UNREACHABLE') return;
    throw error;
  }
  throw new BluelightError('AGENT_RUNNING', 'the agent runs on this state directory', {
    fix: 'stop it first: `systemctl stop bluelight`',
  });
}
