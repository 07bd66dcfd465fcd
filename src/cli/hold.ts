import type { Command } from 'commander';
import { formatBytes, parseDuration } from '../base/units.js';
import type { HoldBody, HoldsBody } from '../contract/http.js';
import { toUtc } from '../contract/primitives.js';
import { mustExist } from './camera.js';
import { action } from './context.js';
import { parseRange } from './input.js';
import { line } from './output.js';

interface AddOptions {
  from: string;
  to: string;
  for?: string;
  reason: string;
}

export function addHoldCommands(program: Command): void {
  const hold = program.command('hold').description('footage that is kept from being overwritten');
  hold
    .command('add <camera>')
    .description('keep a range; it counts at once')
    .requiredOption('--from <time>', '2026-11-23T14:05:00Z, 14:05 or -5m')
    .requiredOption('--to <time>', 'as --from; may lie in the future: +1h')
    .option('--for <duration>', 'such as 30d (default: until it is released)')
    .requiredOption('--reason <text>', 'why; the owner sees it, and it stands in the audit log')
    .action(
      action(async (context, camera: string, options: AddOptions) => {
        const now = context.clock.now();
        const agent = context.agent();
        await mustExist(agent, camera);
        const until = options.for === undefined ? null : toUtc(now + parseDuration(options.for));
        const range = parseRange(options.from, options.to, now);
        const added = await agent.post<HoldBody>('/holds', { camera, ...range, until, reason: options.reason });
        context.show(added, () => line(`${added.id}  ${added.from} to ${added.to}  ${formatBytes(added.bytes)} held`));
      }),
    );
  hold
    .command('list')
    .description('what is held, for whom, why and until when')
    .action(
      action(async (context) => {
        const body = await context.agent().get<HoldsBody>('/holds');
        context.show(body, () => {
          context.table(
            body.holds.map((one) => ({
              id: one.id,
              camera: one.camera,
              from: one.from,
              to: one.to,
              until: one.expiresAt ?? 'released',
              size: formatBytes(one.bytes),
              for: one.by,
              reason: one.reason,
            })),
          );
          line(`${formatBytes(body.bytes)} of at most ${formatBytes(body.limitBytes)}`);
        });
      }),
    );
  hold
    .command('release <id>')
    .description('let it be overwritten again')
    .requiredOption('--reason <text>', 'why; it stands in the audit log')
    .action(
      action(async (context, id: string, options: { reason: string }) => {
        await context.agent().post(`/holds/${encodeURIComponent(id)}/release`, { reason: options.reason });
      }),
    );
}
