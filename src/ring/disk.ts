import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BluelightError } from '../base/errors.js';
import { writeFileAtomic } from '../base/files.js';
import { parseUnique } from '../proof/json.js';
import { unlinkIfThere, type DiskIo } from './disk-io.js';
import { BALLAST_FILE, IDENTITY_FILE } from './layout.js';

/** What may lie on a fresh file system. */
const FRESH = new Set(['lost+found', '.Trash-0']);

/**
 * Who the disk in this directory is. A directory without identity is refused: it may be the mount point of a disk
 * that is not mounted, and writing there would fill the system disk.
 * @throws BluelightError DISK_MISSING | DISK_WRONG | DISK_FOREIGN
 */
export function identifyDisk(
  directory: string,
  options: { create: boolean; expect: string | undefined; newId?: () => string },
): string {
  if (!existsSync(directory)) throw missing(`${directory} does not exist`);
  const path = join(directory, IDENTITY_FILE);
  if (!existsSync(path)) {
    if (!options.create || options.expect !== undefined) throw missing(`there is no ${IDENTITY_FILE} in ${directory}`);
    return initialise(directory, path, options.newId ?? randomUUID);
  }
  const id = readIdentity(path);
  if (options.expect !== undefined && id !== options.expect) {
    throw new BluelightError('DISK_WRONG', `the disk in ${directory} is ${id}, not ${options.expect}`, {
      fix: 'put the right disk in, or let a technician adopt this one',
      retryable: true,
    });
  }
  return id;
}

function initialise(directory: string, path: string, newId: () => string): string {
  const others = readdirSync(directory).filter((name) => !FRESH.has(name));
  if (others.length > 0) {
    throw new BluelightError('DISK_FOREIGN', `${directory} is not empty and is no recording disk`, {
      fix: 'give the ring an empty directory; nothing there was touched',
    });
  }
  const id = newId();
  writeFileAtomic(path, `${JSON.stringify({ format: 1, disk: id })}\n`);
  return id;
}

function readIdentity(path: string): string {
  const value = parseUnique(readFileSync(path, 'utf8'));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    if (value['format'] === 1 && typeof value['disk'] === 'string') return value['disk'];
  }
  throw new BluelightError('DISK_FOREIGN', `${path} is not the identity of a recording disk`, {
    fix: 'check which disk is mounted there',
  });
}

function missing(what: string): BluelightError {
  return new BluelightError('DISK_MISSING', `the recording disk is not there: ${what}`, {
    fix: 'mount the disk, or set the recording directory up with create',
    retryable: true,
  });
}

/** Tells this mount of the directory from another one in its place: device and inode of the identity file. */
export function mountMark(directory: string): string | undefined {
  const stat = statSync(join(directory, IDENTITY_FILE), { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/**
 * Space that the ring keeps to itself for the moment in which the disk is full: SQLite cannot even delete then.
 */
export class Ballast {
  readonly #io: DiskIo;
  readonly #path: string;
  readonly #bytes: number;

  constructor(io: DiskIo, directory: string, bytes: number) {
    this.#io = io;
    this.#path = join(directory, BALLAST_FILE);
    this.#bytes = bytes;
  }

  get bytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Bytes that it should hold and does not: free space that is not for recording. */
  get missingBytes(): number {
    return Math.max(0, this.#bytes - this.bytes);
  }

  /** Writes it anew if it is not whole and there is room for it. */
  ensure(freeBytes: number): void {
    if (this.#bytes === 0 || this.bytes === this.#bytes || freeBytes < this.#bytes * 2) return;
    this.release();
    const fd = this.#io.create(this.#path);
    try {
      const chunk = new Uint8Array(Math.min(1 << 20, this.#bytes));
      for (let done = 0; done < this.#bytes; done += chunk.length) {
        this.#io.write(fd, chunk.subarray(0, Math.min(chunk.length, this.#bytes - done)));
      }
      this.#io.sync(fd);
    } finally {
      this.#io.close(fd);
    }
  }

  /** True when that made room. */
  release(): boolean {
    return unlinkIfThere(this.#io, this.#path);
  }
}
