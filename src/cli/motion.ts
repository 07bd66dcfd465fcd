import { Option, type Command } from 'commander';
import { action, EXIT } from './context.js';
import { line } from './output.js';

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
    .action(
      action(async (context, file: string, options: { cadence: 'adaptive' | 'full' | 'key' }) => {
        const { clock, processes } = context;
        const { analyzeFile } = await import('../motion/analyze.js');
        const { events, stats } = await analyzeFile({ clock, processes, path: file, cadence: options.cadence });
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
