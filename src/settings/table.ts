import { join } from 'node:path';
import { z } from 'zod';
import { duration, linksSetting, size } from './links.js';

/** One setting: everything that anyone needs to know of it, in one place. */
export interface Setting<T = unknown> {
  decode: z.ZodType<T>;
  /** As a person would write it in the file; undefined: must be given. */
  default: unknown;
  unit?: string;
  /** One sentence: what follows from the value. */
  consequence: string;
  secret?: boolean;
  /** True: a change takes effect at the next start only. */
  restart: boolean;
}

const durationOrNever = z.union([z.literal('never').transform(() => null), duration], {
  error: 'a text such as "7d", or "never"',
});
const path = z.string({ error: 'a path such as "/var/lib/bluelight"' }).min(1);
const port = z.number({ error: 'a port number' }).int().min(0).max(65_535);

function setting<T>(
  decode: z.ZodType<T>,
  fallback: unknown,
  consequence: string,
  more: Partial<Setting<T>> = {},
): Setting<T> {
  return { decode, default: fallback, consequence, restart: true, ...more };
}

/** Every key of the configuration file. Types, defaults, `settings explain` and the example file come from here. */
export const SETTINGS = {
  state_dir: setting(
    path,
    '/var/lib/bluelight',
    'Where the box keeps its key, its database and its socket; losing it makes this a new box.',
  ),
  socket: setting(
    z.string({ error: 'a path such as "/run/bluelight/agent.sock", or ""' }),
    '',
    'Where the programs of this box reach the agent; empty means agent.sock in state_dir. On a disk that may be taken out it would hold that disk.',
  ),
  'log.level': setting(
    z.enum(['debug', 'info', 'warn', 'error']),
    'info',
    'How much the log tells; debug fills the journal.',
  ),

  'recording.dir': setting(path, '/var/lib/bluelight/ring', 'The recording disk; put it on its own file system.'),
  'recording.create': setting(
    z.boolean(),
    false,
    'Whether an empty directory may become the recording disk at the next start; otherwise a missing disk is refused and never written over.',
  ),
  'recording.quota': setting(size, '100GB', 'The ring overwrites its oldest footage before it holds more than this.', {
    unit: 'bytes',
  }),
  'recording.reserve': setting(
    size,
    '2GB',
    'The ring shrinks when less than this is free on its disk, whoever filled it.',
    { unit: 'bytes' },
  ),
  'recording.floor': setting(
    duration,
    '30m',
    'Every stream keeps at least this much recorded time while another has more to give up.',
    { unit: 'ms' },
  ),
  'recording.segment': setting(duration, '10s', 'Length of a segment; longer ones round clips out further.', {
    unit: 'ms',
  }),
  'recording.queue': setting(
    size,
    '96MB',
    'So much footage waits in memory while the disk takes none; what does not fit becomes a gap with its reason.',
    { unit: 'bytes' },
  ),
  'recording.checkpoint': setting(
    duration,
    '5m',
    'How often the heads of all recordings are signed and sent to the center; a clip is proved complete by the next one.',
    { unit: 'ms' },
  ),
  'recording.originals': setting(
    durationOrNever,
    '7d',
    'Main streams without motion are given up after this; "never" leaves it to space alone.',
    { unit: 'ms' },
  ),
  'recording.keep': setting(
    durationOrNever,
    '30d',
    'Everything is given up after this; "never" leaves it to space alone.',
    { unit: 'ms' },
  ),
  'recording.promise': setting(
    duration,
    '7d',
    'The retention promise: an alarm is raised when the forecast falls below it.',
    { unit: 'ms' },
  ),

  'cameras.interfaces': setting(
    z.array(z.string()),
    [],
    'Network interfaces on which cameras are looked for; empty means every one but that of the default route.',
  ),
  'cameras.allow_loopback': setting(
    z.boolean(),
    false,
    'Whether a camera may live on this machine itself; for virtual cameras only.',
  ),
  'cameras.basic_login': setting(
    z.array(z.string()),
    [],
    'IP addresses of cameras that may be given their password readable (Basic login), because they know no other; everybody in the network of such a camera can then read it and use it.',
  ),
  'cameras.engine': setting(
    z.enum(['auto', 'native', 'ffmpeg']),
    'auto',
    'Which ingest engine speaks to the cameras; auto falls back to ffmpeg for streams the native one cannot take.',
  ),

  'motion.enabled': setting(
    z.boolean(),
    true,
    'Whether this box looks for motion; without it everything is still recorded, but nothing is marked, told or sent by itself.',
  ),
  'motion.cadence': setting(
    z.enum(['adaptive', 'full', 'key']),
    'adaptive',
    'How many frames are looked at; key is cheapest and misses short passages.',
  ),
  'motion.camera_events': setting(
    z.enum(['ours', 'either', 'both']),
    'ours',
    "Whose word counts beside the box's own eyes: ours takes the camera's only as a reason to look; either tells both; both tells what the two agree on.",
  ),
  'motion.pre_roll': setting(duration, '5s', 'Footage before a motion event that belongs to its clip.', { unit: 'ms' }),
  'motion.post_roll': setting(duration, '5s', 'Footage after a motion event that belongs to its clip.', { unit: 'ms' }),

  'clips.max_length': setting(duration, '5m', 'Longer motion is cut into several clips.', { unit: 'ms' }),
  'clips.rendition': setting(
    z.enum(['original', 'proxy']),
    'original',
    'What is sent of a motion event by itself: the main stream or the substream.',
  ),

  'center.address': setting(
    z.string(),
    '',
    'Where the center answers to a typed claim code; empty: the address is typed beside the code.',
  ),
  'center.heartbeat': setting(duration, '30s', 'Time between heartbeats; each costs about 1 kB of the uplink.', {
    unit: 'ms',
  }),
  'center.heartbeat_metered': setting(duration, '3m', 'Time between heartbeats over a metered link.', { unit: 'ms' }),
  'uplinks.links': setting(
    linksSetting,
    [],
    'The ways out of the box, best first, as tables [[uplinks.links]] with id, kind, interface, cost, budget, billing_day, reserve, hours, dns, auto and originals; empty means the default route.',
  ),
  'policy.file': setting(path, '/etc/bluelight/policy.json', 'Who may see what; without it nothing leaves the box.', {
    restart: false,
  }),

  'web.host': setting(z.string(), '0.0.0.0', 'Address of the local page; 127.0.0.1 closes it to the network.'),
  'web.port': setting(port, 8443, 'Port of the local page (HTTPS).'),
  'web.technician': setting(
    duration,
    '4h',
    'How long a technician stays logged in, and how long a new code for him is good.',
    { unit: 'ms' },
  ),
  'web.hosts': setting(
    z.array(z.string()),
    [],
    'Further names under which the page may be opened; other names are refused.',
  ),
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof SETTINGS;
export type Settings = { readonly [K in SettingKey]: z.output<(typeof SETTINGS)[K]['decode']> };

/** Where the agent listens for the programs of this box. */
export function socketPath(settings: Settings): string {
  return settings.socket === '' ? join(settings.state_dir, 'agent.sock') : settings.socket;
}
