import type { CommandArgs, FootageCommand } from '../contract/commands.js';
import type { TimeRange } from '../contract/primitives.js';
import type { Job } from '../store/jobs.js';

export interface CommandTarget {
  camera: string;
  range: TimeRange;
}

/** A frame lies within this around the moment that was asked for. */
const STILL_MS = 1_000;

/** What each command that shows footage asks to see: one entry per camera. A command without an entry does not compile. */
const TARGETS: { [N in FootageCommand]: (args: CommandArgs<N>, now: number) => CommandTarget[] } = {
  'coverage.get': (args) => ranges(args),
  'clip.request': (args) => ranges(args),
  'hold.set': (args) => ranges(args),
  'sighting.query': (args) => ranges(args),
  'still.request': (args) => {
    const at = Date.parse(args.at);
    return [{ camera: args.camera, range: { fromMs: at - STILL_MS, toMs: at + STILL_MS } }];
  },
  'live.start': (args, now) => [{ camera: args.camera, range: { fromMs: now, toMs: Infinity } }],
  'live.renew': (args, now) => [{ camera: args.camera, range: { fromMs: now, toMs: Infinity } }],
  'sighting.watch': (args, now) =>
    args.cameras.map((camera) => ({ camera, range: { fromMs: now, toMs: Date.parse(args.until) } })),
};

function ranges(args: { cameras: string[]; from: string; to: string }): CommandTarget[] {
  const range = { fromMs: Date.parse(args.from), toMs: Date.parse(args.to) };
  return [...new Set(args.cameras)].map((camera) => ({ camera, range }));
}

/** @param job of a footage command, its arguments already checked */
export function commandTargets(job: Job, now: number): CommandTarget[] {
  const targets = TARGETS[job.name as FootageCommand] as (args: unknown, now: number) => CommandTarget[];
  return targets(job.args, now);
}
