import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../base/units.js';
import type { AlarmsBody, StatusBody } from '../contract/http.js';
import { action, EXIT, type Context } from './context.js';
import { line } from './output.js';

export function addStatusCommand(program: Command): void {
  program
    .command('alarms')
    .description('what is wrong, since when, and what to bring; then what was wrong before')
    .action(
      action(async (context) => {
        const { alarms } = await context.agent().get<AlarmsBody>('/alarms');
        context.show(alarms, () => printAlarms(alarms));
        return alarms.some((alarm) => alarm.clearedAt === null) ? EXIT.checkFailed : EXIT.ok;
      }),
    );
  program
    .command('status')
    .description('is it recording, does it reach the center, and what is wrong')
    .action(
      action(async (context) => {
        const status = await context.agent().get<StatusBody>('/status');
        context.show(status, () => printStatus(context, status));
        return status.state === 'problem' ? EXIT.checkFailed : EXIT.ok;
      }),
    );
}

function printAlarms(alarms: AlarmsBody['alarms']): void {
  if (alarms.length === 0) line('no alarm');
  for (const { kind, message, hint, since, clearedAt, count } of alarms) {
    const times = count > 1 ? `, ${count} times` : '';
    line(`${clearedAt === null ? 'HOLDS' : 'ended'} ${kind}: ${message}`);
    line(`  since ${since}${clearedAt === null ? '' : ` until ${clearedAt}`}${times}`);
    if (clearedAt === null) line(`  ${hint}`);
  }
}

function printStatus(context: Context, status: StatusBody): void {
  line(`${status.box.site}/${status.box.box}: ${status.state}, up ${formatDuration(status.box.uptime * 1000)}`);
  line(`key      ${status.box.key}`);
  line(`center   ${status.center.state}${status.center.detail === '' ? '' : `: ${status.center.detail}`}`);
  const days = status.disk.days === null ? '' : `, ${status.disk.days.toFixed(1)} days`;
  line(`disk     ${status.disk.state}: ${formatBytes(status.disk.bytes)} of ${formatBytes(status.disk.quota)}${days}`);
  for (const { camera, days, originals } of status.disk.forecast) {
    line(`         ${camera}: ${days.toFixed(1)} days, all originals of ${originals.toFixed(1)} days`);
  }
  const { clips, bytes, outbox } = status.queue;
  line(`queue    ${clips} clips, ${formatBytes(bytes)}; ${outbox} events wait for the center`);
  line('');
  context.table(
    status.streams.map((s) => ({
      stream: s.stream,
      state: s.state,
      size: `${s.width}x${s.height}`,
      fps: s.fps.toFixed(1),
      rate: `${formatBytes(s.bitrate / 8)}/s`,
      'on disk': s.ageMs === null ? '-' : `${(s.ageMs / 1000).toFixed(1)} s ago`,
      detail: s.detail,
    })),
  );
  for (const problem of status.problems) {
    line('');
    line(`${problem.severity.toUpperCase()} ${problem.code}: ${problem.message}`);
    line(`  ${problem.fix}`);
  }
}
