import type { Command } from 'commander';
import { BluelightError, errorMessage } from '../base/errors.js';
import { enrolmentMessage } from '../contract/enrolment.js';
import type { ClaimedBody, ClaimFoundBody, IdentityBody, RotatedBody } from '../contract/identity.js';
import { claimFile } from '../contract/messages.js';
import { action, EXIT, type Context } from './context.js';
import { ask, readSecret, readText } from './input.js';
import { line } from './output.js';

interface ClaimOptions {
  file?: string;
  qr?: boolean;
  code?: boolean;
  cancel?: boolean;
  center?: string;
  fingerprint?: string;
}

export function addClaimCommand(program: Command): void {
  program
    .command('claim')
    .description('bind this box to a center, now or as soon as it can be reached')
    .option('--file <path>', 'the claim file that the center gave')
    .option('--qr', 'the text of its QR code, read from standard input')
    .option('--code', 'its eight-character code, read from standard input')
    .option('--center <address>', 'with --code: where the center answers (default: center.address)')
    .option('--fingerprint <groups>', 'with --code: as the center told it; without, it is shown to be compared')
    .option('--cancel', 'take back a claim that the center has not answered yet')
    .action(
      action(async (context, options: ClaimOptions) => {
        const claimed = await claim(context, options);
        context.show(claimed, () => printClaim(claimed));
      }),
    );
  addKeyCommands(program);
}

async function claim(context: Context, options: ClaimOptions): Promise<ClaimedBody> {
  const ways = [options.file !== undefined, options.qr, options.code, options.cancel].filter((way) => way === true);
  if (ways.length !== 1) {
    throw new BluelightError('USAGE', 'give one of --file, --qr, --code and --cancel', {
      fix: 'see `bluelight claim --help`',
    });
  }
  const agent = context.agent();
  if (options.file !== undefined) return agent.post<ClaimedBody>('/claim', readClaim(options.file));
  if (options.qr === true)
    return agent.post<ClaimedBody>('/claim/qr', { text: await readSecret('text of the code: ') });
  if (options.cancel === true) return agent.delete<ClaimedBody>('/claim');
  const address = options.center;
  const fingerprint = options.fingerprint ?? (await compared(context, address));
  const code = await readSecret('code: ');
  return agent.post<ClaimedBody>('/claim/code', { address, code, fingerprint });
}

/** Shows who answers; a person says whether that is the center that gave the code. */
async function compared(context: Context, address: string | undefined): Promise<string> {
  const found = await context.agent().post<ClaimFoundBody>('/claim/look', { address });
  process.stderr.write(`center ${found.center} answers at ${found.address}, fingerprint\n\n  ${found.fingerprint}\n\n`);
  if ((await ask('Is this what the center told you? Type yes: ')) === 'yes') return found.fingerprint;
  throw new BluelightError('CENTER_FOREIGN', 'the fingerprint was not confirmed; nothing was sent', {
    fix: 'compare it with the center over the phone, or give it with --fingerprint',
  });
}

function printClaim({ state, site, box, center, detail }: ClaimedBody): void {
  const name = site === null ? 'this box' : `this box is now ${site}/${box} of center ${center}`;
  if (state === 'none') line('this box belongs to nobody');
  else if (state === 'waiting') line(`${name}: the claim waits and completes by itself; ${detail}`);
  else line(name);
}

function printCertificate({ fingerprint, issuer, expiresAt, detail }: NonNullable<IdentityBody['certificate']>): void {
  line(`page     ${issuer === 'center' ? 'certificate of the center' : 'self-signed'}, good until ${expiresAt}`);
  line(`         SHA-256 ${fingerprint}`);
  if (detail !== '') line(`         ${detail}`);
}

function readClaim(path: string): unknown {
  return readJson(path, 'the claim file that the center gave', 'CLAIM_INVALID', claimFile);
}

function readJson(
  path: string,
  what: string,
  code: string,
  schema: typeof claimFile | typeof enrolmentMessage,
): unknown {
  const wrong = (reason: string, cause: unknown): BluelightError =>
    new BluelightError(code, `${path}: ${reason}`, { fix: `give ${what}, or ask it for a new one`, cause });
  let data: unknown;
  const text = readText(path, what);
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw wrong(errorMessage(error), error);
  }
  const checked = schema.safeParse(data);
  if (checked.success) return checked.data;
  const first = checked.error.issues[0];
  throw wrong(`${first?.path.join('.') ?? ''}: ${first?.message ?? 'not such a file'}`, checked.error);
}

function addKeyCommands(program: Command): void {
  const key = program.command('key').description('the keys of this box and of its center');
  key
    .command('show')
    .description('every key that counts or did, and what vouches for it')
    .action(
      action(async (context) => {
        const identity = await context.agent().get<IdentityBody>('/identity');
        context.show(identity, () => {
          line(`box      ${identity.key}`);
          line(`         fingerprint ${identity.fingerprint}`);
          if (identity.centerKey !== null) {
            line(`center   ${identity.centerKey}`);
            line(`         fingerprint ${identity.centerFingerprint}`);
          }
          if (identity.certificate !== null) printCertificate(identity.certificate);
          line('');
          context.table(identity.keys.map(({ role, state, key: text, since, until }) => ({ role, state, key: text, since, until: until ?? '-' }))); // prettier-ignore
        });
      }),
    );
  key
    .command('rotate')
    .description('give the box a new key; the center hears of it in the words of the old one')
    .action(
      action(async (context) => {
        const rotated = await context.agent().post<RotatedBody>('/identity/rotate');
        context.show(rotated, () => line(`${rotated.before} gave way to ${rotated.after}`));
      }),
    );
  key
    .command('center <file>')
    .description("the center's signed words on a new key of its own, or on letting this box go, from a file")
    .action(
      action(async (context, file: string) => {
        const message = readJson(file, 'the file that the center gave', 'BAD_REQUEST', enrolmentMessage);
        await context.agent().post('/identity/center', message);
        const identity = await context.agent().get<IdentityBody>('/identity');
        context.show(identity, () => printClaim(identity.claim));
        return EXIT.ok;
      }),
    );
}
