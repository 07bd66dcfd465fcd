import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Foreign, note } from './compare.js';

/** Debian's `motion`; installed if it is not there. Its service is not started. */
export function needMotion(): string {
  if (spawnSync('motion', ['-h'], { stdio: 'ignore' }).error === undefined) return version();
  note('watch: installing motion');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const install = ['env', 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'motion'];
  const command = process.getuid?.() === 0 ? install : ['sudo', ...install];
  execFileSync(command[0]!, command.slice(1), { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return version();
}

function version(): string {
  return (
    /motion Version (\S+)/i.exec(spawnSync('motion', ['-h'], { encoding: 'utf8' }).stdout)?.[1]?.replace(/,$/, '') ??
    '?'
  );
}

export interface Watched {
  sub: string;
  main: string;
}

/**
 * One daemon for all cameras, as its manual proposes for network cameras: motion is looked for in the substream, and
 * the main stream goes into the movie as it came. Everything else is left as it is by default, except for its web
 * pages, which nobody looks at.
 */
export function startMotion(dir: string, cameras: readonly Watched[]): Foreign {
  mkdirSync(join(dir, 'movies'), { recursive: true });
  const files = cameras.map(({ sub, main }, i) => {
    const path = join(dir, `camera-${i + 1}.conf`);
    const lines = [`camera_id ${i + 1}`, `camera_name camera-${i + 1}`, `netcam_url ${sub}`, `netcam_high_url ${main}`];
    writeFileSync(path, lines.join('\n') + '\n');
    return path;
  });
  const config = join(dir, 'motion.conf');
  const lines = [
    ...['daemon off', 'setup_mode off', 'log_level 4', `target_dir ${join(dir, 'movies')}`],
    ...['width 640', 'height 360', 'framerate 15', 'picture_output off', 'movie_output on', 'movie_passthrough on'],
    ...['webcontrol_port 0', 'stream_port 0', ...files.map((file) => `camera ${file}`)],
  ];
  writeFileSync(config, lines.join('\n') + '\n');
  return new Foreign('motion', ['-n', '-c', config]);
}
