import { Option, type Command } from 'commander';
import { formatBytes, formatDuration } from '../base/units.js';
import type { StreamCoverage } from '../contract/coverage.js';
import { mustExist } from './camera.js';
import { action, EXIT } from './context.js';
import { parseRange } from './input.js';
import { line } from './output.js';

export function addCoverageCommand(program: Command): void {
  program
    .command('coverage <camera>')
    .description('what is recorded of a camera, and why the rest is not')
    .option('--from <time>', '2026-11-23T14:05:00Z, 14:05 or -1h', '-1h')
    .option('--to <time>', 'as --from', 'now')
    .addOption(new Option('--role <role>', 'stream').choices(['main', 'sub']).default('main'))
    .action(
      action(async (context, camera: string, options: { from: string; to: string; role: string }) => {
        const range = parseRange(options.from, options.to, context.clock.now());
        const query = new URLSearchParams({
          camera,
          role: options.role,
          ...range,
        });
        const agent = context.agent();
        const coverage = await agent.get<StreamCoverage>(`/coverage?${query.toString()}`);
        if (coverage.spans.length === 0) await mustExist(agent, camera);
        context.show(coverage, () => {
          const rows = [
            ...coverage.spans.map((s) => ({ ...s, what: `recorded, ${formatBytes(s.bytes)}` })),
            ...coverage.gaps.map((g) => ({ ...g, what: `gap: ${g.reason.replaceAll('_', ' ')}` })),
          ].sort((a, b) => a.from.localeCompare(b.from));
          for (const row of rows) {
            line(
              `${row.from}  ${row.to}  ${formatDuration(Date.parse(row.to) - Date.parse(row.from)).padStart(12)}  ${row.what}`,
            );
          }
        });
        return coverage.spans.length > 0 ? EXIT.ok : EXIT.failure;
      }),
    );
}
