import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A small ext4 on a loop device that can lose its power. Needs root. */
export class LoopDisk {
  readonly directory: string;
  readonly image: string;
  readonly #place: string;
  #placed = false;

  constructor(work: string, megabytes: number) {
    this.image = join(work, 'disk.img');
    this.#place = join(work, 'place');
    this.directory = join(this.#place, 'mnt');
    mkdirSync(this.directory, { recursive: true });
    execFileSync('truncate', ['-s', `${megabytes}M`, this.image]);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', this.image]);
  }

  /** @param image another disk in the place of this one */
  mount(image = this.image): void {
    // Whoever makes a mount namespace meanwhile (`ip netns exec`) gets a copy of every mount, which keeps the disk in
    // use after ours is gone, unless the place of the mount is shared.
    if (!this.#placed) {
      execFileSync('mount', ['--bind', this.#place, this.#place]);
      execFileSync('mount', ['--make-shared', this.#place]);
      this.#placed = true;
      process.prependOnceListener('exit', () => this.remove());
    }
    execFileSync('mount', ['-o', 'loop', image, this.directory]);
    this.#leaveAlone();
  }

  /**
   * The kernel holds back writes of a device that answers slower than in 2 ms, as every loop device does on a loaded
   * machine, and then may hold one back for minutes: a sync hung for 100 s and more.
   */
  #leaveAlone(): void {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    const device = mounts.find((line) => line.split(' ')[1] === this.directory)?.split(' ')[0];
    const setting = `/sys/block/${basename(device ?? '')}/queue/wbt_lat_usec`;
    if (existsSync(setting)) writeFileSync(setting, '0');
  }

  /** Everything that is not on the disk yet is gone and every further call fails: EXT4_IOC_SHUTDOWN, no log flush. */
  cutPower(): void {
    const code =
      'import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))';
    execFileSync('/usr/bin/python3', ['-c', code, this.directory]);
  }

  /** @throws Error while files on it are open */
  umount(): void {
    execFileSync('umount', [this.directory], { stdio: 'pipe' });
  }

  /** Off, whether it is mounted or not and whoever has files open there. */
  remove(): void {
    spawnSync('umount', ['-l', this.directory], { stdio: 'ignore' });
    if (this.#placed) execFileSync('umount', ['-l', this.#place]);
    this.#placed = false;
  }
}

/** Root, loop devices and ext4 are needed to cut the power. */
export function canCutPower(): boolean {
  return process.getuid?.() === 0 && existsSync('/dev/loop-control') && existsSync('/usr/bin/python3');
}
