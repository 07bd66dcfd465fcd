import { readFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { signedManifest } from '../contract/clip.js';
import type { AuditDigest, AuditEntry, AuditVerdict } from '../contract/audit.js';
import { RECEIPT_TYPE, receipt as receiptSchema } from '../contract/receipt.js';
import { toUtc } from '../contract/primitives.js';
import { BluelightError } from '../base/errors.js';
import { action, EXIT, type Context } from './context.js';
import { parseTime, readText, whole } from './input.js';
import { line } from './output.js';

const FILE = 'read a copy that `audit export` wrote instead of asking the running box';

interface ShowOptions {
  limit: number;
  before?: number;
  camera?: string;
  refused?: boolean;
  looks?: boolean;
  outside?: boolean;
  from?: string;
  to?: string;
  file?: string;
}

/** Who looked: as it happened, as a week, as a year; and whether anything of it was changed. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('who looked, and who was refused');
  audit
    .command('show')
    .description('the newest entries of the audit log, in plain words')
    .option('--limit <n>', 'how many', whole, 50)
    .option('--before <seq>', 'only entries before this number: the next page', whole)
    .option('--camera <id>', 'only of this camera')
    .option('--refused', 'only what was refused')
    .option('--looks', 'only looks and what they took, no settings, logins and keys')
    .option('--outside', 'only what people outside the box got and asked for')
    .option('--from <time>', 'such as 2026-11-23T14:05:00Z, 14:05 or -7d')
    .option('--to <time>')
    .option('--file <path>', FILE)
    .action(
      action(async (context, options: ShowOptions) => {
        const entries = await shown(context, options);
        context.show(entries, () => entries.forEach(({ seq, words }) => line(`${seq}  ${words}`)));
      }),
    );
  addNumbers(audit);
  audit
    .command('export <file>')
    .description('the whole log with its signed head, to be kept or checked elsewhere')
    .action(
      action(async (context, file: string) => {
        await context.agent().save('/audit/export', file);
        context.show({ file }, () => line(`${file}: check it with \`bluelight audit verify ${file}\``));
      }),
    );
  addVerify(audit);
}

function addNumbers(audit: Command): void {
  audit
    .command('digest')
    .description('who looked in the last week')
    .option('--weeks <n>', 'so many weeks back instead of the last one; 1 is the week before', whole, 0)
    .option('--file <path>', FILE)
    .action(
      action(async (context, options: { weeks: number; file?: string }) => {
        const toMs = context.clock.now() - options.weeks * WEEK_MS;
        const range = { fromMs: toMs - WEEK_MS, toMs };
        const query = `from=${toUtc(range.fromMs)}&to=${toUtc(toMs)}`;
        const digest =
          options.file === undefined
            ? await context.agent().get<AuditDigest>(`/audit/digest?${query}`)
            : await offlineDigest(options.file, () => range);
        printDigest(context, digest, true);
      }),
    );
  audit
    .command('numbers')
    .description('the numbers of a year, as ordinances on public oversight of surveillance ask for them')
    .requiredOption('--year <year>', 'calendar year of the site', year)
    .option('--file <path>', FILE)
    .action(
      action(async (context, options: { year: number; file?: string }) => {
        const { yearOf } = await import('../policy/audit-report.js');
        const digest =
          options.file === undefined
            ? await context.agent().get<AuditDigest>(`/audit/numbers?year=${options.year}`)
            : await offlineDigest(options.file, (zone) => yearOf(options.year, zone));
        printDigest(context, digest, false);
      }),
    );
}

function addVerify(audit: Command): void {
  audit
    .command('verify [file]')
    .description('was anything changed, left out or cut off? A copy is checked offline, without a file the running box')
    .option('--key <key>', 'public key of the box: `bluelight status` on it and the console of the center show it')
    .option('--receipt <file>', 'a receipt of the box: what it saw of the log must still be in it')
    .action(
      action(async (context, file: string | undefined, options: { key?: string; receipt?: string }) => {
        if (file === undefined) return verifyRunning(context);
        const { verifyAuditExport } = await import('../policy/audit-export.js');
        const published = options.receipt === undefined ? undefined : await auditOfReceipt(options.receipt);
        const trusted = options.key === undefined ? [] : [options.key];
        const verdict = verifyAuditExport(readText(file, 'a copy of the audit log'), trusted, published);
        context.show(verdict, () => {
          if (verdict.fault?.code === 'TOLD_LATER') return line(`cannot tell: ${verdict.fault.why}`);
          if (verdict.fault !== null) return line(`TAMPERED at row ${verdict.fault.seq}: ${verdict.fault.why}`);
          const author = verdict.trusted ? '' : '; by whom is not known: give --key';
          line(`${verdict.rows} rows, nothing changed or left out${author}`);
          if (verdict.head?.toldLater === true) line('it ends before a look of which the owner is told later');
        });
        if (verdict.fault?.code === 'TOLD_LATER') return EXIT.cannotTell;
        if (verdict.fault !== null) return EXIT.checkFailed;
        return verdict.trusted || options.key === undefined ? EXIT.ok : EXIT.cannotTell;
      }),
    );
}

async function verifyRunning(context: Context): Promise<number> {
  const verdict = await context.agent().get<AuditVerdict>('/audit/verify');
  context.show(verdict, () => {
    if (verdict.fault !== null) return line(`TAMPERED at row ${verdict.fault.seq}: ${verdict.fault.why}`);
    const checkpoint = verdict.checkpoint === null ? 'no checkpoint yet' : `the checkpoint of ${verdict.checkpoint}`;
    line(`${verdict.rows} rows, nothing changed, left out or cut off (${checkpoint})`);
  });
  return verdict.fault === null ? EXIT.ok : EXIT.checkFailed;
}

const WEEK_MS = 7 * 86_400_000;

function printDigest(context: Context, digest: AuditDigest, withLines: boolean): void {
  context.show(digest, () => {
    line(`${digest.from} to ${digest.to}, site in ${digest.timeZone}`);
    for (const words of digest.summary) line(`  ${words}`);
    if (!withLines || digest.lines.length === 0) return;
    line('');
    for (const words of digest.lines) line(words);
    if (digest.more > 0) line(`and ${digest.more} more: \`bluelight audit show --outside\``);
  });
}

async function shown(context: Context, options: ShowOptions): Promise<AuditEntry[]> {
  const now = context.clock.now();
  const time = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : toUtc(parseTime(text, now));
  const query = {
    limit: String(options.limit),
    before: options.before?.toString(),
    camera: options.camera,
    outcome: options.refused === true ? 'refused' : undefined,
    from: time(options.from),
    to: time(options.to),
    about: options.outside === true ? 'outside' : options.looks === true ? 'looks' : 'everything',
  };
  if (options.file !== undefined) return offlineEntries(options.file, options, query);
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const { entries } = await context
    .agent()
    .get<{ entries: AuditEntry[] }>(`/audit?${new URLSearchParams(given).toString()}`);
  return entries;
}

async function offlineEntries(
  file: string,
  options: ShowOptions,
  { from, to, about }: { from?: string; to?: string; about: string },
): Promise<AuditEntry[]> {
  const [{ toAuditEntry }, { auditWords }, { rows, site }] = await Promise.all([
    import('../policy/audit-note.js'),
    import('../policy/audit-words.js'),
    copyOf(file),
  ]);
  const wanted = rows.filter(
    (row) =>
      row.seq < (options.before ?? Infinity) &&
      (options.camera === undefined || row.camera === options.camera) &&
      (options.refused !== true || row.outcome === 'refused') &&
      (about === 'everything' || row.kind === 'access') &&
      (about !== 'outside' || (row.agency !== null && row.ref === null)) &&
      (from === undefined || row.atMs >= Date.parse(from)) &&
      (to === undefined || row.atMs < Date.parse(to)),
  );
  const entry = toAuditEntry(auditWords(site.names, site.timeZone));
  return wanted.reverse().slice(0, options.limit).map(entry);
}

async function offlineDigest(
  file: string,
  rangeOf: (timeZone: string) => { fromMs: number; toMs: number },
): Promise<AuditDigest> {
  const [{ auditDigest, auditOfRows }, { auditNumbers }, { rows, site }] = await Promise.all([
    import('../policy/audit-report.js'),
    import('../store/audit-numbers.js'),
    copyOf(file),
  ]);
  return auditDigest(auditOfRows(rows, auditNumbers), rangeOf(site.timeZone), site);
}

/** Rows of an exported log. What was changed in it shows `audit verify`; here it is only read. */
async function copyOf(file: string) {
  const { readAuditExport } = await import('../policy/audit-export.js');
  const { rows, head } = readAuditExport(readText(file, 'a copy of the audit log'));
  return { rows, site: { names: head?.cameras ?? {}, timeZone: head?.timeZone ?? 'UTC' } };
}

/** The signature is not checked here: a forged receipt can only make the check fail. */
async function auditOfReceipt(path: string): Promise<{ seq: number; link: string }> {
  try {
    const envelope = signedManifest.parse(JSON.parse(readFileSync(path, 'utf8')));
    if (envelope.payloadType !== RECEIPT_TYPE) throw new TypeError(envelope.payloadType);
    return receiptSchema.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8'))).audit;
  } catch (cause) {
    throw new BluelightError('USAGE', `${path} is not a receipt of a box`, {
      fix: 'name the file that `bluelight optout --out` wrote',
      cause,
    });
  }
}

function year(text: string): number {
  const value = whole(text);
  if (value < 2000 || value > 9998) throw new InvalidArgumentError('a year such as 2026 is needed');
  return value;
}
