import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { BluelightError, errorMessage } from '../base/errors.js';
import { motionZones, zone as zoneSchema, type MotionZones, type Zone } from '../contract/zones.js';
import { action, type Context } from './context.js';
import { line } from './output.js';

interface SetOptions {
  file?: string;
  name?: string;
  kind: Zone['kind'];
  polygon?: string;
  minimumSize?: string;
}

export function addZonesCommands(program: Command): void {
  const zones = program.command('zones').description('which part of the motion of a camera is told');
  zones
    .command('list <camera>')
    .description('zones, masks, least size and hours of a camera; with --json what `set --file` takes')
    .action(action(async (context, camera: string) => show(context, await get(context, camera))));
  zones
    .command('set <camera>')
    .description('add or replace a zone, or all of them from a file; in force at once')
    .option('--file <file>', 'JSON as `zones list --json` prints it: replaces everything')
    .option('--name <name>', 'of the zone')
    .addOption(new Option('--kind <kind>', 'what it does').choices(['include', 'exclude', 'mask']).default('include'))
    .option('--polygon <corners>', 'corners in thousandths of width and height: "0,500 1000,500 1000,1000 0,1000"')
    .option('--minimum-size <thousandths>', 'of the picture: what stays smaller is not told')
    .action(
      action(async (context, camera: string, options: SetOptions) => {
        const wanted = changed(
          options.file === undefined ? await get(context, camera) : readZones(options.file),
          options,
        );
        show(context, await context.agent().put<MotionZones>(path(camera), wanted));
      }),
    );
  zones
    .command('remove <camera> <name>')
    .description('remove a zone')
    .action(
      action(async (context, camera: string, name: string) => {
        const before = await get(context, camera);
        if (before.zones.every((one) => one.name !== name)) {
          throw new BluelightError('NOT_FOUND', `${camera} has no zone "${name}"`, {
            fix: 'see `bluelight zones list`',
          });
        }
        const after = { ...before, zones: before.zones.filter((one) => one.name !== name) };
        show(context, await context.agent().put<MotionZones>(path(camera), after));
      }),
    );
}

/** @throws BluelightError BAD_REQUEST */
export function readZones(file: string): MotionZones {
  try {
    return motionZones.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new BluelightError('BAD_REQUEST', `${file} holds no zones: ${errorMessage(cause)}`, {
      fix: 'see what `bluelight zones list CAMERA --json` prints',
      cause,
    });
  }
}

function changed(zones: MotionZones, { name, kind, polygon, minimumSize }: SetOptions): MotionZones {
  const least = minimumSize === undefined ? zones.minimumSize : Number(minimumSize);
  if (name === undefined && polygon === undefined) return { ...zones, minimumSize: least };
  const corners = (polygon ?? '').trim().split(/\s+/).map((corner) => corner.split(',').map(Number)); // prettier-ignore
  const made = zoneSchema.safeParse({ name, kind, polygon: corners });
  if (!made.success) {
    const issue = made.error.issues[0];
    throw new BluelightError('USAGE', `not a zone: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`, {
      fix: 'give --name and --polygon with at least three corners, 0 to 1000',
    });
  }
  return { ...zones, minimumSize: least, zones: [...zones.zones.filter((one) => one.name !== name), made.data] };
}

function path(camera: string): string {
  return `/cameras/${encodeURIComponent(camera)}/zones`;
}

function get(context: Context, camera: string): Promise<MotionZones> {
  return context.agent().get<MotionZones>(path(camera));
}

function show(context: Context, zones: MotionZones): void {
  context.show(zones, () => {
    const hours = (list: Zone['hours']): string =>
      list.length === 0 ? 'always' : list.map((one) => `${one.days.join(' ')} ${one.from}-${one.to}`).join(', ');
    if (zones.zones.length === 0) line('no zones: motion is told everywhere');
    context.table(
      zones.zones.map((one) => ({
        ...{ name: one.name, kind: one.kind, hours: hours(one.hours) },
        polygon: one.polygon.map((corner) => corner.join(',')).join(' '),
      })),
    );
    if (zones.minimumSize > 0) line(`least size: ${zones.minimumSize} thousandths of the picture`);
    if (zones.hours.length > 0) line(`told: ${hours(zones.hours)}`);
  });
}
