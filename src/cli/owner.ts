import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { BluelightError, errorMessage } from '../base/errors.js';
import { parseDuration } from '../base/units.js';
import type { z } from 'zod';
import type { approvalsBody, IssuedReceiptBody, receiptsBody } from '../contract/owner.js';
import { toUtc } from '../contract/primitives.js';
import type { PreviewRow } from '../policy/preview.js';
import { action, EXIT, type Context } from './context.js';
import { readSecret, readSecrets } from './input.js';
import { line } from './output.js';

interface Preview {
  words: string[];
  table: PreviewRow[];
  changes: object[];
}

interface Proposal extends Preview {
  id: string;
  version: number;
  note: string;
  document: unknown;
}

/** The same as in the sentences before it, one line of the terms each, to be compared at a glance. */
function previewLine(row: PreviewRow): Record<string, string> {
  return {
    camera: row.name === row.camera ? row.camera : `${row.name} (${row.camera})`,
    hours: row.when,
    mode: row.mode,
    stills: row.stills,
    sightings: row.sightings,
    'clips unasked': row.unasked,
    'days at most': row.retentionMaxDays === null ? '-' : String(row.retentionMaxDays),
    masks: row.masked ? 'yes' : 'no',
  };
}

/** What an owner does: look at terms before consent, sign them, pause, resume, leave. */
export function addOwnerCommands(program: Command, policy: Command): void {
  addTermsCommands(policy);
  addAskCommands(policy);
  addKeyCommands(policy);
  program
    .command('pause')
    .description('stop sharing at once; recording goes on')
    .option('--for <duration>', 'such as 15m or 8h (default: until you resume)')
    .option('--reason <text>', 'why; it stands in the audit log', '')
    .action(
      action(async (context, options: { for?: string; reason: string }) => {
        const until = options.for === undefined ? null : toUtc(context.clock.now() + parseDuration(options.for));
        printReceipt(context, await context.agent().post('/pause', { until, reason: options.reason }));
      }),
    );
  program
    .command('resume')
    .description('sharing goes on under the terms in force')
    .option('--reason <text>', 'why', '')
    .option('--passphrase-stdin', "read the owner's passphrase from standard input")
    .action(
      action(async (context, options: { reason: string; passphraseStdin?: boolean }) => {
        const passphrase = await passphraseOf(options);
        printReceipt(context, await context.agent().post('/resume', { reason: options.reason, passphrase }));
      }),
    );
  program
    .command('receipts [id]')
    .description('what this box stated to its owner: consent, pauses, leaving, and what was added to that later')
    .action(
      action(async (context, id: string | undefined) => {
        if (id !== undefined) {
          const envelope = await context.agent().get<object>(`/receipts/${encodeURIComponent(id)}`);
          context.show(envelope, () => line(JSON.stringify(envelope, null, 2)));
          return;
        }
        const { receipts } = await context.agent().get<z.infer<typeof receiptsBody>>('/receipts');
        const rows = receipts.map(({ madeMs, ...one }) => ({ at: toUtc(madeMs), ...one }));
        context.show(rows, () => context.table(rows));
      }),
    );
  program
    .command('optout')
    .description('leave the program for good; prints the receipt of everything that was ever delivered')
    .option('--reason <text>', 'why', '')
    .option('--erase', 'erase the recordings of this box as well')
    .option('--out <file>', 'keep the signed receipt in this file')
    .option('--passphrase-stdin', "read the owner's passphrase from standard input")
    .action(
      action(async (context, options: { reason: string; erase?: boolean; out?: string; passphraseStdin?: boolean }) => {
        const passphrase = await passphraseOf(options);
        const body = { reason: options.reason, recordings: options.erase === true ? 'erase' : 'keep', passphrase };
        const issued = await context.agent().post<IssuedReceiptBody>('/optout', body);
        if (options.out !== undefined) writeFileSync(options.out, JSON.stringify(issued.envelope, null, 2) + '\n');
        printReceipt(context, issued);
      }),
    );
}

function addAskCommands(policy: Command): void {
  policy
    .command('asks')
    .description("requests of the city that wait for the owner's answer; no answer is no")
    .action(
      action(async (context) => {
        const { approvals } = await context.agent().get<z.infer<typeof approvalsBody>>('/approvals');
        context.show(approvals, () =>
          context.table(approvals.map(({ askedAt: _, ...ask }) => ({ ...ask, case: ask.case ?? '' }))),
        );
      }),
    );
  policy
    .command('answer <id> <yes|no>')
    .description("the owner answers a request; the owner's passphrase is read from standard input")
    .action(
      action(async (context, id: string, word: string) => {
        if (word !== 'yes' && word !== 'no') throw new BluelightError('USAGE', 'the answer is yes or no');
        const passphrase = await readSecret('passphrase of the owner: ');
        await context.agent().post(`/approvals/${encodeURIComponent(id)}`, { yes: word === 'yes', passphrase });
        context.show({ id, answer: word }, () => line(`${id}: ${word}`));
      }),
    );
  policy
    .command('technician')
    .description('until when the technician may see pictures; with --for, the owner lets him')
    .option('--for <duration>', "such as 1h, 24h at most; the owner's passphrase is read from standard input")
    .option('--off', 'no longer')
    .action(
      action(async (context, options: { for?: string; off?: boolean }) => {
        const body = await technicianChange(context, options);
        const agent = context.agent();
        const { until } = await (body === null
          ? agent.get<{ until: string | null }>('/technician')
          : agent.post<{ until: string | null }>('/technician', body));
        const words =
          until === null ? 'the technician sees no pictures' : `the technician sees pictures until ${until}`;
        context.show({ until }, () => line(words));
      }),
    );
}

async function technicianChange(context: Context, options: { for?: string; off?: boolean }): Promise<object | null> {
  if (options.off === true) return { until: null };
  if (options.for === undefined) return null;
  const until = toUtc(context.clock.now() + parseDuration(options.for));
  return { until, passphrase: await readSecret('passphrase of the owner: ') };
}

function addTermsCommands(policy: Command): void {
  policy
    .command('preview <file>')
    .description('what the city could do under these terms, in words and as a table, before anybody consents')
    .action(
      action(async (context, file: string) => {
        const preview = await context.agent().post<Preview>('/policy/preview', { document: readTerms(file) });
        context.show(preview, () => {
          preview.words.forEach((words) => line(words));
          line('');
          context.table(preview.table.map(previewLine));
        });
      }),
    );
  policy
    .command('propose <file>')
    .description('put terms before the owner; nothing changes until he signs')
    .option('--note <text>', 'a word to the owner', '')
    .action(
      action(async (context, file: string, options: { note: string }) => {
        const body = { document: readTerms(file), note: options.note };
        const { id } = await context.agent().post<{ id: string }>('/policy/propose', body);
        context.show({ id }, () => line(`proposal ${id} waits for the owner`));
      }),
    );
  policy
    .command('accept [file]')
    .description('the owner signs: a file, or the proposal that waits; the passphrase is read from standard input')
    .action(
      action(async (context, file: string | undefined) => {
        const document = file === undefined ? await waitingTerms(context) : readTerms(file);
        const passphrase = await readSecret('passphrase of the owner: ');
        printReceipt(context, await context.agent().post('/policy/accept', { document, passphrase }));
      }),
    );
  policy
    .command('owner <name>')
    .description('set up the owner; the passphrase is read from standard input and nobody can reset it')
    .action(
      action(async (context, name: string) => {
        const passphrase = await readSecret('new passphrase of the owner: ');
        const { key } = await context.agent().post<{ key: string }>('/owner', { name, passphrase });
        context.show({ key }, () => line(`owner ${name} signs with ${key}`));
      }),
    );
}

function addKeyCommands(policy: Command): void {
  policy
    .command('passphrase')
    .description('another passphrase for the owner; both are read from standard input, the present one first')
    .action(
      action(async (context) => {
        const [passphrase, next] = await readSecrets(['present passphrase: ', 'new passphrase: ']);
        await context.agent().post('/owner/passphrase', { passphrase, next });
        context.show({ changed: true }, () => line('the passphrase of the owner is another one now'));
      }),
    );
  policy
    .command('owner-lost')
    .description("the owner's passphrase is lost: his key counts no more and sharing ends; nobody can reset it")
    .requiredOption('--reason <text>', 'why; it stands in the audit log and in the receipt')
    .action(
      action(async (context, options: { reason: string }) => {
        printReceipt(context, await context.agent().post('/owner/lost', { reason: options.reason }));
      }),
    );
}

async function waitingTerms(context: Context): Promise<unknown> {
  const { proposals } = await context.agent().get<{ proposals: Proposal[] }>('/policy/proposed');
  const proposal = proposals[0];
  if (proposal === undefined) throw new BluelightError('USAGE', 'no proposal waits', { fix: 'name a file with terms' });
  if (!context.json) proposal.words.forEach((words) => line(words));
  return proposal.document;
}

async function passphraseOf(options: { passphraseStdin?: boolean }): Promise<string | undefined> {
  return options.passphraseStdin === true ? readSecret('passphrase of the owner: ') : undefined;
}

function readTerms(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new BluelightError('POLICY_INVALID', `${path}: ${errorMessage(cause)}`, {
      fix: 'give a JSON file as docs/policy.md describes it',
      cause,
    });
  }
}

function printReceipt(context: Context, issued: IssuedReceiptBody): number {
  context.show(issued, () => {
    line(`receipt ${issued.id}`);
    for (const words of issued.receipt.words) line(`  ${words}`);
    for (const clip of issued.receipt.delivered)
      line(`  ${clip.at}  ${clip.camera}  ${clip.clip}  to ${clip.to_center}`);
  });
  return EXIT.ok;
}
