import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../base/units.js';
import { toUtc } from '../contract/primitives.js';
import type { StreamCoverage } from '../contract/coverage.js';
import { action, EXIT } from './context.js';
import { parseTime } from './input.js';
import { line } from './output.js';

export function addCoverageCommand(program: Command): void {
  program
    .command('coverage <camera>')
    .description('what is recorded of a camera, and why the rest is not')
    .option('--from <time>', '2026-11-23T14:05:00Z, 14:05 or -1h', '-1h')
    .option('--to <time>', 'as --from', 'now')
    .option('--role <role>', 'main or sub', 'main')
    .action(
      action(async (context, camera: string, options: { from: string; to: string; role: string }) => {
        const now = context.clock.now();
        const query = new URLSearchParams({
          camera,
          role: options.role,
          from: toUtc(parseTime(options.from, now)),
          to: toUtc(parseTime(options.to, now)),
        });
        const coverage = await context.agent().get<StreamCoverage>(`/coverage?${query.toString()}`);
        context.show(coverage, () => {
          const rows = [
            ...coverage.spans.map((s) => ({ ...s, what: `recorded, ${formatBytes(s.bytes)}` })),
            ...coverage.gaps.map((g) => ({ ...g, what: `gap: ${g.reason}` })),
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
