import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { BluelightError, errorCode } from '../base/errors.js';
import { createLog, Redactor } from '../base/log.js';
import { formatBytes, formatDuration } from '../base/units.js';
import type { RingCheckAsk, RingCheckLevel, RingCheckReport } from '../contract/ring.js';
import { CheckDesk } from '../ring/check-desk.js';
import { Ring } from '../ring/ring.js';
import { action, EXIT, type Context } from './context.js';
import { line } from './output.js';

const POLL_MS = 300;
const STEP_MS = 200;

export function addRingCommands(program: Command): void {
  const ring = program.command('ring').description('the recordings on the disk');
  ring
    .command('check')
    .description('hold index and recordings against each other; beside the running agent, or on the disk without it')
    .addOption(
      new Option('--level <level>', 'hash reads every byte, presence looks at names and sizes')
        .choices(['hash', 'presence'])
        .default('hash'),
    )
    .option('--rebuild', 'first put the index aside and build it anew from journal and recordings', false)
    .action(
      action(async (context, options: { level: RingCheckLevel; rebuild: boolean }) => {
        const report = await checkRing(context, { level: options.level, rebuild: options.rebuild });
        if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
        context.show(report, () => print(report));
        if (report.state === 'failed') return EXIT.cannotTell;
        return report.findings.length > 0 ? EXIT.checkFailed : EXIT.ok;
      }),
    );
}

/** The agent holds the disk alone while it runs, so it is asked first. */
async function checkRing(context: Context, ask: RingCheckAsk): Promise<RingCheckReport> {
  try {
    return await checkInAgent(context, ask);
  } catch (error) {
    if (errorCode(error) !== 'AGENT_UNREACHABLE') throw error;
  }
  return checkOnDisk(context, ask);
}

async function checkInAgent(context: Context, ask: RingCheckAsk): Promise<RingCheckReport> {
  const agent = context.agent();
  let { check } = await agent.post<{ check: RingCheckReport | null }>('/ring/check', ask);
  while (check?.state === 'checking' || check?.state === 'rebuilding') {
    showProgress(context, check);
    await context.clock.sleep(POLL_MS);
    ({ check } = await agent.get<{ check: RingCheckReport | null }>('/ring/check'));
  }
  if (check !== null) return check;
  throw new BluelightError('CHECK_LOST', 'the agent was restarted during the check', { fix: 'start the check again' });
}

function checkOnDisk(context: Context, ask: RingCheckAsk): RingCheckReport {
  const settings = context.settings();
  const { clock } = context;
  const ring = new Ring({
    directory: settings['recording.dir'],
    clock,
    // Nothing is recorded here, so no time is written either, but for the end of what a crash left open.
    clockTrust: () => 'rtc',
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    limits: {
      quotaBytes: settings['recording.quota'],
      reserveBytes: settings['recording.reserve'],
      floorMs: settings['recording.floor'],
      originalsMs: settings['recording.originals'],
      keepMs: settings['recording.keep'],
      maximumMs: {},
    },
    log: createLog({ redactor: new Redactor(), level: 'error' }),
  });
  ring.open();
  try {
    const desk = new CheckDesk(ring, clock);
    desk.start(ask);
    while (desk.step(STEP_MS)) showProgress(context, desk.report!);
    return desk.report!;
  } finally {
    ring.close();
  }
}

function showProgress(context: Context, report: RingCheckReport): void {
  if (!process.stderr.isTTY || context.json) return;
  process.stderr.write(`\r\x1b[K${progressOf(report)}`);
}

function progressOf({ state, rebuilt, checked, total, bytes, remainingMs, findings }: RingCheckReport): string {
  if (state === 'rebuilding') return `building the index: ${Math.round(rebuilt * 100)} %`;
  const rest = remainingMs === null ? '' : `, ${formatDuration(remainingMs)} left`;
  return `${checked} of ${total} segments, ${formatBytes(bytes)}${rest}, ${findings.length} differences`;
}

function print(report: RingCheckReport): void {
  const { findings, checked, bytes, indexDamaged, problem } = report;
  for (const { kind, stream, seq, message } of findings) {
    line(
      `${kind.replaceAll('_', ' ')}: ${[stream, seq].filter((part) => part !== null && part !== '').join(' ')}: ${message}`,
    );
  }
  line(
    `${checked} segments, ${formatBytes(bytes)}: ${findings.length === 0 ? 'all is well' : `${findings.length} differences`}`,
  );
  if (problem !== null) line(`the check could not be finished: ${problem}`);
  if (indexDamaged) line('the index is damaged: `bluelight ring check --rebuild` builds it anew');
}
