import type { z } from 'zod';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import {
  command as commandSchema,
  COMMAND_TYPE,
  COMMANDS,
  operatorsMessage,
  OPERATORS_TYPE,
  type Command,
  type CommandName,
  type OperatorsMessage,
} from '../contract/commands.js';
import { policyProposal, PROPOSAL_TYPE, type PolicyProposal } from '../contract/messages.js';
import { openJws } from '../proof/jws.js';
import type { Operator } from '../store/receipts.js';

/** Commands may be signed ahead of a box whose clock is behind, and wait for one that is offline, but not longer. */
const AHEAD_MS = 5 * 60_000;
export const LONGEST_LIFE_MS = 7 * 24 * 3_600_000;

/** To whom the box belongs. */
export interface Bound {
  site: string;
  box: string;
  centerKeys: readonly string[];
}

/** A command that the center signed, for this box, in time, in the name of an operator whom it enrolled. */
export interface Admitted {
  command: Command;
  name: CommandName;
  /** Checked against the shape of this command. */
  args: unknown;
}

/** A refusal and as much as is known of what was refused. `command` only if the center's signature is good. */
export class CommandRefused extends BluelightError {
  readonly command: Command | null;

  constructor(code: string, message: string, command: Command | null) {
    super(code, message, { fix: 'the center must send a new command' });
    this.command = command;
  }
}

/**
 * Checks a command, cheapest and most certain reasons first.
 * @param now wall clock, ms
 * @throws CommandRefused NOT_ENROLLED | BAD_SIGNATURE | UNSUPPORTED | WRONG_BOX | EXPIRED | UNKNOWN_OPERATOR
 */
export async function admitCommand(
  text: string,
  bound: Bound | null,
  now: number,
  findOperator: (who: { agency: string; operator: string }) => Promise<Operator | null>,
): Promise<Admitted> {
  if (bound === null) throw new CommandRefused('NOT_ENROLLED', 'this box belongs to no center', null);
  const command = parseSigned(text, COMMAND_TYPE, bound, commandSchema);
  const refuse = (code: string, why: string): CommandRefused => new CommandRefused(code, why, command);
  if (command.site !== bound.site || command.box !== bound.box) {
    throw refuse('WRONG_BOX', `the command is for ${command.site}/${command.box}`);
  }
  const issued = Date.parse(command.issuedAt);
  const expires = Date.parse(command.expiresAt);
  if (expires <= now) throw refuse('EXPIRED', `the command expired at ${command.expiresAt}`);
  if (issued > now + AHEAD_MS) throw refuse('EXPIRED', `the command is from the future: ${command.issuedAt}`);
  if (!(expires > issued) || expires - issued > LONGEST_LIFE_MS) {
    throw refuse('EXPIRED', 'a command lives at most 7 days');
  }
  const known = await findOperator({ agency: command.by.agency, operator: command.by.operator });
  if (known === null || known.role !== command.by.role) {
    throw refuse(
      'UNKNOWN_OPERATOR',
      `${command.by.operator} of ${command.by.agency} is not enrolled as ${command.by.role}`,
    );
  }
  if (!Object.hasOwn(COMMANDS, command.name)) throw refuse('UNSUPPORTED', `there is no command "${command.name}"`);
  const name = command.name as CommandName;
  const args = COMMANDS[name].args.safeParse(command.args);
  if (!args.success) throw refuse('UNSUPPORTED', `${name}: ${firstIssue(args.error)}`);
  return { command, name, args: args.data };
}

/** @throws CommandRefused NOT_ENROLLED | BAD_SIGNATURE | UNSUPPORTED | WRONG_BOX */
export function admitOperators(text: string, bound: Bound | null): OperatorsMessage {
  if (bound === null) throw new CommandRefused('NOT_ENROLLED', 'this box belongs to no center', null);
  const message = parseSigned(text, OPERATORS_TYPE, bound, operatorsMessage);
  if (message.site !== bound.site || message.box !== bound.box) {
    throw new CommandRefused('WRONG_BOX', `the list of operators is for ${message.site}/${message.box}`, null);
  }
  return message;
}

/** @throws BluelightError NOT_ENROLLED | BAD_SIGNATURE | UNSUPPORTED | WRONG_BOX */
export function admitProposal(text: string, bound: Bound | null): PolicyProposal {
  if (bound === null) throw new CommandRefused('NOT_ENROLLED', 'this box belongs to no center', null);
  const message = parseSigned(text, PROPOSAL_TYPE, bound, policyProposal);
  if (message.site !== bound.site || message.box !== bound.box) {
    throw new CommandRefused('WRONG_BOX', `the proposal is for ${message.site}/${message.box}`, null);
  }
  return message;
}

function parseSigned<T>(text: string, type: string, bound: Bound, shape: z.ZodType<T>): T {
  let payload: unknown;
  try {
    payload = openJws(text, { type, trusted: bound.centerKeys }).payload;
  } catch (error) {
    // One code for all of it: who forges need not learn what was wrong. The audit log says it.
    throw new CommandRefused('BAD_SIGNATURE', `${errorCode(error) ?? ''} ${errorMessage(error)}`, null);
  }
  const checked = shape.safeParse(payload);
  if (!checked.success) throw new CommandRefused('UNSUPPORTED', firstIssue(checked.error), null);
  return checked.data;
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]!;
  return `${issue.path.join('.') || 'the document'}: ${issue.message}`;
}
