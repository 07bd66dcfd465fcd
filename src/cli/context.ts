import type { Command } from 'commander';
import { systemClock, type Clock } from '../base/clock.js';
import { BluelightError, toErrorData } from '../base/errors.js';
import { systemProcesses, type Processes } from '../base/processes.js';
import { loadSettings } from '../settings/load.js';
import { socketPath, type Settings } from '../settings/table.js';
import { connectAgent, type Agent } from './agent.js';
import { printTable } from './output.js';

export const DEFAULT_CONFIG = '/etc/bluelight/bluelight.toml';

/** Exit codes are part of the contract. */
export const EXIT = { ok: 0, failure: 1, usage: 2, checkFailed: 3, unreachable: 4, denied: 5, cannotTell: 6 } as const;

const DENIED = new Set([
  'POLICY_DENIED',
  'OUTSIDE_HOURS',
  'PAUSED_BY_OWNER',
  'OWNER_APPROVAL_REQUIRED',
  'NOT_ENROLLED',
]);

export function exitCodeOf(code: string): number {
  if (DENIED.has(code)) return EXIT.denied;
  if (code === 'AGENT_UNREACHABLE') return EXIT.unreachable;
  if (
    code === 'CONFIG_INVALID' ||
    code === 'CONFIG_UNREADABLE' ||
    code === 'BAD_UNIT' ||
    code === 'BAD_REQUEST' ||
    code === 'USAGE'
  )
    return EXIT.usage;
  return EXIT.failure;
}

/** What a command gets: its options that all share, and ways to speak. */
export interface Context {
  clock: Clock;
  processes: Processes;
  json: boolean;
  settings(): Settings;
  agent(): Agent;
  /** Prints `data` as JSON, or what `human` prints when a person reads. */
  show(data: unknown, human: () => void): void;
  table(rows: Record<string, string | number>[]): void;
}

export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<{ config: string; json?: boolean; socket?: string }>();
  const clock = systemClock();
  const json = options.json ?? false;
  const settings = (): Settings => loadSettings(options.config);
  return {
    clock,
    processes: systemProcesses(clock),
    json,
    settings,
    agent: () => connectAgent(options.socket ?? socketPath(settings())),
    show(data, human) {
      if (json) process.stdout.write(JSON.stringify(data, null, 2) + '\n');
      else human();
    },
    table: (rows) => printTable(rows),
  };
}

/** Runs a command's action; an error becomes one clear message and the agreed exit code. */
export function action<A extends unknown[]>(
  run: (context: Context, ...args: A) => Promise<number | void> | number | void,
): (this: Command, ...args: A) => Promise<void> {
  return async function (this: Command, ...args: A) {
    try {
      process.exitCode = (await run(contextOf(this), ...args)) ?? EXIT.ok;
    } catch (error) {
      const data = toErrorData(error);
      if (this.optsWithGlobals<{ json?: boolean }>().json) process.stdout.write(JSON.stringify({ error: data }) + '\n');
      process.stderr.write(`bluelight: ${data.message}\n`);
      if (data.fix !== undefined) process.stderr.write(`  ${data.fix}\n`);
      if (!(error instanceof BluelightError) && process.env['BLUELIGHT_DEBUG'] !== undefined) console.error(error);
      process.exitCode = exitCodeOf(data.code);
    }
  };
}
