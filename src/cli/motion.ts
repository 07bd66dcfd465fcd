import { Option, type Command } from 'commander';
import { action, EXIT } from './context.js';
import { line } from './output.js';
import { readZones } from './zones.js';

export function addMotionCommand(program: Command): void {
  const motion = program.command('motion').description('motion detection');
  motion
    .command('analyze <file>')
    .description('motion events of a video file, by the detector and the defaults that run live')
    .addOption(
      new Option('--cadence <cadence>', 'how many frames are looked at')
        .choices(['adaptive', 'full', 'key'])
        .default('adaptive'),
    )
    .option('--zones <file>', 'JSON as `zones list CAMERA --json` prints it; hours do not count in a file')
    .action(
      action(async (context, file: string, options: { cadence: 'adaptive' | 'full' | 'key'; zones?: string }) => {
        const { processes } = context;
        const zones = options.zones === undefined ? undefined : readZones(options.zones);
        const { analyzeFile } = await import('../motion/analyze.js');
        const { events, stats } = await analyzeFile({ processes, path: file, cadence: options.cadence, zones });
        context.show(events, () => {
          for (const e of events) {
            line(`${e.start.toFixed(1).padStart(8)} s to ${e.end.toFixed(1).padStart(8)} s  ${e.reason}`);
          }
          line(`${events.length} events; frames looked at: ${JSON.stringify(stats)}`);
        });
        return EXIT.ok;
      }),
    );
}
